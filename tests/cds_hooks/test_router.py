"""The router: what happens at the edge between HTTP and a host."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import InvalidAnswer, MissingData, Overloaded
from cds_hooks.feedback import FeedbackEntry
from cds_hooks.request import CdsRequest
from cds_hooks.router import cds_router
from cds_hooks.security.caller import Caller
from tests.cds_hooks.samples import PATIENT_VIEW, encoded

JSON = {"content-type": "application/json"}


def _registry(*service_ids: str) -> ServiceRegistry:
    return ServiceRegistry(
        services=tuple(
            ServiceDescription(hook="patient-view", id=service_id, title="T", description="D")
            for service_id in service_ids
        )
    )


class Host:
    """A host that answers every call by one function, and remembers what it was given."""

    def __init__(self, answer: Callable[[CdsRequest], bytes] = lambda _: b'{"cards":[]}') -> None:
        self.registry = _registry("one")
        self.answer = answer
        self.headers: list[Mapping[str, str]] = []
        self.callers: list[Caller | None] = []

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None
    ) -> bytes:
        assert service_id == "one"
        self.headers.append(headers)
        self.callers.append(caller)
        return self.answer(request)

    async def feedback(self, service_id: str, entries: tuple[FeedbackEntry, ...], caller: Caller | None) -> None:
        self.callers.append(caller)
        raise Overloaded(f"Cannot keep {len(entries)} outcomes of {service_id} now.", headers={"retry-after": "5"})


def _app(host: Host, **settings: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(cds_router(host, **settings))
    return app


def _run(app: FastAPI, act: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> httpx.Response:
    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://cds.example") as client:
            return await act(client)

    return asyncio.run(go())


def _call(app: FastAPI, body: Any = None, **headers: str) -> httpx.Response:
    content = encoded(PATIENT_VIEW) if body is None else body
    return _run(app, lambda client: client.post("/cds-services/one", content=content, headers=JSON | headers))


def _raising(error: Exception) -> Host:
    def answer(_: CdsRequest) -> bytes:
        raise error

    return Host(answer)


def test_the_hosts_bytes_are_the_answer() -> None:
    response = _call(_app(Host(lambda request: request.hook_instance.encode())))
    assert response.text == PATIENT_VIEW["hookInstance"]


def test_the_host_sees_the_headers_whatever_their_case() -> None:
    host = Host()
    _call(_app(host), **{"Accept-Language": "de"})
    assert host.headers[0]["ACCEPT-language"] == "de"


def test_the_hosts_own_errors_keep_status_and_words() -> None:
    response = _call(_app(_raising(MissingData("Needed: creatinine of the last 48 h.", location="prefetch"))))
    assert response.status_code == 412
    assert response.json()["issue"][0]["diagnostics"] == "Needed: creatinine of the last 48 h."


def test_an_error_may_bring_headers() -> None:
    feedback = encoded(
        {"feedback": [{"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-01-15T10:11:12Z"}]}
    )
    response = _run(
        _app(Host()), lambda client: client.post("/cds-services/one/feedback", content=feedback, headers=JSON)
    )
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("CANARY-PATIENT"), None),
        (KeyError("CANARY-PATIENT"), None),
        (InvalidAnswer("Card.summary: expected one line of text."), "Card.summary: expected one line of text."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_is_logged_by_type_and_place_and_shown_as_a_bare_500(
    error: Exception, reason: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = _call(_app(_raising(error)))
    assert response.status_code == 500
    assert "one line" not in response.text
    (record,) = (record for record in caplog.records if record.name == "cds_hooks")
    fields = vars(record)
    assert (record.message, fields["service_id"], fields["error"]) == ("service_failed", "one", type(error).__name__)
    assert fields["reason"] == reason
    assert fields["raised_at"].startswith("test_router.py:")
    assert "CANARY" not in str(fields)
    assert "CANARY" not in response.text


def test_a_body_too_deep_for_the_host_is_the_clients_error() -> None:
    assert _call(_app(_raising(RecursionError()))).status_code == 400


@pytest.mark.parametrize(("spaces", "status"), [(0, 200), (1, 413), (500, 413), (100_000, 413)])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_body_is_read_up_to_its_limit(spaces: int, status: int, *, chunked: bool) -> None:
    body = encoded(PATIENT_VIEW)
    limit = len(body)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, limit + spaces, 64):
            yield (body + b" " * spaces)[start : start + 64]

    content = pieces() if chunked else body + b" " * spaces
    assert _call(_app(Host(), body_limit_bytes=limit), content).status_code == status


def test_a_body_that_never_ends_is_cut_off() -> None:
    pieces_sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal pieces_sent
        for _ in range(1000):
            pieces_sent += 1
            yield b" " * 100

    assert _call(_app(Host(), body_limit_bytes=1000), pieces()).status_code == 413
    assert pieces_sent <= 50


def test_the_host_may_exchange_its_registry_while_it_runs() -> None:
    host = Host()
    app = _app(host)
    assert _call(app).status_code == 200
    host.registry = _registry("two")
    assert _call(app).status_code == 404
    discovery = _run(app, lambda client: client.get("/cds-services"))
    assert [service["id"] for service in discovery.json()["services"]] == ["two"]


def test_a_client_that_goes_away_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """The connection closes in the middle of the body; nobody hears the answer and no fault is logged."""
    sent: list[Message] = []
    arriving: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return arriving.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/cds-services/one",
        "raw_path": b"/cds-services/one",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
        "server": None,
    }
    asyncio.run(_app(Host())(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.name == "cds_hooks"]


def test_the_router_keeps_a_hosts_prefix() -> None:
    app = FastAPI()
    app.include_router(cds_router(Host()), prefix="/r4")
    assert _run(app, lambda client: client.get("/r4/cds-services")).status_code == 200
    assert _run(app, lambda client: client.get("/r4/cds-services/one")).status_code == 405
    assert _run(app, lambda client: client.get("/cds-services")).status_code == 404
