"""The pages' addresses. Every answer carries the same strict security headers.

    GET  /                             the services and the place to try them
    GET  /models/{service_id}          the model facts page
    GET  /static/{name}                script, style and icon, read once when the router is made
    GET  /api/services                 what the script needs to know
    GET  /api/samples/{service_id}/{sample_id}   a CDS Hooks request to send
    POST /api/render                   a service's answer in, safe HTML of its cards out

`/api` belongs to the simulator, the part of the start page where services are tried with invented patients, and may
change with it; EHRs call `/cds-services`. Without the simulator there is no `/api` and no script.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePosixPath

import msgspec
from fastapi import APIRouter, Request, Response

from serving.pages.card_words import words_for
from serving.pages.cards import UnreadableAnswer, render_answer
from serving.pages.host import PageHost, PageService
from serving.pages.layout import Layout

ANSWER_LIMIT_BYTES = 1024 * 1024
"""The longest answer that /api/render takes; cards are a few kilobytes."""


def security_headers(framed_by: Sequence[str] = ()) -> Mapping[str, str]:
    """Headers of every page. `framed_by`: origins whose pages may show it in a frame."""
    framing = " ".join(framed_by) or "'none'"
    return {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {framing}"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


SECURITY_HEADERS: Mapping[str, str] = security_headers()

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def pages_router(host: PageHost, *, simulator: bool = True, framed_by: Sequence[str] = ()) -> APIRouter:
    """The pages of one host. They are not part of the server's API description.

    Args:
        host: of the services.
        simulator: whether services can be tried with sample patients.
        framed_by: origins whose pages may show model facts in a frame: EHRs open a card's links so. There is nothing
            to click and nothing of a patient in them. No other page may be framed.
    """
    pages = _Pages(
        host=host,
        assets=_read_assets(),
        layout=Layout(simulator=simulator),
        facts_headers=security_headers(framed_by),
    )
    router = APIRouter(include_in_schema=False)
    reading = ["GET", "HEAD"]
    router.add_api_route("/", pages.home, methods=reading)
    router.add_api_route("/models/{service_id}", pages.model, methods=reading)
    router.add_api_route("/static/{name}", pages.asset, methods=reading)
    if not simulator:
        return router
    router.add_api_route("/api/services", pages.list_services, methods=reading)
    router.add_api_route("/api/samples/{service_id}/{sample_id}", pages.sample, methods=reading)
    router.add_api_route("/api/render", pages.render, methods=["POST"])
    return router


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asset:
    content: bytes
    media_type: str
    etag: str


def _read_assets() -> Mapping[str, _Asset]:
    assets: dict[str, _Asset] = {}
    for entry in files("serving.pages").joinpath("static").iterdir():
        media_type = _MEDIA_TYPES.get(PurePosixPath(entry.name).suffix)
        if media_type is None:
            raise ValueError(f"static/{entry.name}: expected one of {', '.join(_MEDIA_TYPES)}; add its media type.")
        content = entry.read_bytes()
        assets[entry.name] = _Asset(content=content, media_type=media_type, etag=f'"{sha256(content).hexdigest()}"')
    return assets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pages:
    """The endpoints. They are coroutines that never wait: what they do takes a millisecond at most."""

    host: PageHost
    assets: Mapping[str, _Asset]
    layout: Layout
    facts_headers: Mapping[str, str]

    async def home(self) -> Response:
        return _html(self.layout.home_page(self.host.services()))

    async def model(self, service_id: str) -> Response:
        service = self._service(service_id)
        if service is None:
            message = "No service with this id is loaded. The start page lists the services of this server."
            return _html(self.layout.message_page(title="No such model", message=message), status=404)
        return _html(self.layout.model_page(service), headers=self.facts_headers)

    async def asset(self, name: str, request: Request) -> Response:
        asset = self.assets.get(name)
        if asset is None:
            return _text("Nothing lives at this address.", status=404)
        headers = {"etag": asset.etag, "cache-control": "no-cache"}  # always asked for, rarely sent again
        if request.headers.get("if-none-match") == asset.etag:
            return _answer(b"", asset.media_type, status=304, headers=headers)
        return _answer(asset.content, asset.media_type, headers=headers)

    async def list_services(self) -> Response:
        return _answer(msgspec.json.encode([_summary(each) for each in self.host.services()]), "application/json")

    async def sample(self, service_id: str, sample_id: str) -> Response:
        service = self._service(service_id)
        sample = service.sample(sample_id) if service else None
        if sample is None:
            return _text("No such sample. GET /api/services lists them.", status=404)
        return _answer(sample.request, "application/json")

    async def render(self, request: Request) -> Response:
        # Asking for JSON also keeps forms of other sites out: they cannot send it.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _text("Expected Content-Type: application/json.", status=415)
        body = await _read(request, ANSWER_LIMIT_BYTES)
        if body is None:
            return _text(f"Expected an answer of at most {ANSWER_LIMIT_BYTES} bytes.", status=413)
        try:
            return _html(render_answer(body, words_for(request.headers.get("accept-language"))))
        except UnreadableAnswer as error:
            return _text(str(error), status=422)

    def _service(self, service_id: str) -> PageService | None:
        return next((service for service in self.host.services() if service.id == service_id), None)


def _summary(service: PageService) -> dict[str, object]:
    return {
        "id": service.id,
        "title": service.title,
        "description": service.description,
        "hooks": service.hooks,
        "version": service.version,
        "released": service.released,
        "statusLine": service.status_line,
        "samples": [{"id": each.id, "title": each.title, "note": each.note} for each in service.samples],
    }


async def _read(request: Request, limit_bytes: int) -> bytes | None:
    """The body, or None if it is longer than the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            return None
    return bytes(body)


def _html(html: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _answer(html.encode(), "text/html; charset=utf-8", status=status, headers=headers)


def _text(text: str, *, status: int) -> Response:
    return _answer(text.encode(), "text/plain; charset=utf-8", status=status)


def _answer(body: bytes, media_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status_code=status, media_type=media_type, headers={**SECURITY_HEADERS, **(headers or {})})
