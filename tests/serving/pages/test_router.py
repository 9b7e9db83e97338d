"""The pages' addresses: what they answer, and with which headers."""

import asyncio
from dataclasses import dataclass, replace

import httpx
import pytest
from fastapi import FastAPI

from serving.pages import PageService, pages_router
from serving.pages.router import ANSWER_LIMIT_BYTES
from tests.serving.pages.sample_host import PAGE_SERVICE, WITHOUT_SAMPLES, app_of, new_host

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks an app, without a network."""

    app: FastAPI

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        return self.ask("POST", path, content=content, headers=headers)

    def ask(
        self, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://bedside.example") as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(go())


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(app_of(new_host()))


@pytest.mark.parametrize(
    ("path", "status", "media_type"),
    [
        pytest.param("/", 200, "text/html; charset=utf-8", id="home"),
        pytest.param("/models/sepsis", 200, "text/html; charset=utf-8", id="model facts"),
        pytest.param("/models/kidney", 200, "text/html; charset=utf-8", id="model facts without a model card"),
        pytest.param("/models/%3Cscript%3E", 404, "text/html; charset=utf-8", id="unknown model"),
        pytest.param("/static/page.css", 200, "text/css; charset=utf-8", id="style"),
        pytest.param("/static/workbench.js", 200, "text/javascript; charset=utf-8", id="script"),
        pytest.param("/static/icon.svg", 200, "image/svg+xml", id="icon"),
        pytest.param("/static/router.py", 404, "text/plain; charset=utf-8", id="unknown file"),
        pytest.param("/static/%2e%2e", 404, "text/plain; charset=utf-8", id="folder above"),
        pytest.param("/static/..%2Frouter.py", 404, "application/json", id="file above"),
        pytest.param("/api/services", 200, "application/json", id="services"),
        pytest.param("/api/samples/sepsis/high", 200, "application/json", id="sample"),
        pytest.param("/api/samples/sepsis/nobody", 404, "text/plain; charset=utf-8", id="unknown sample"),
        pytest.param("/api/samples/nothing/high", 404, "text/plain; charset=utf-8", id="sample of an unknown service"),
    ],
)
def test_each_address_answers_with_its_status_and_type(client: Client, path: str, status: int, media_type: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (status, media_type)


@pytest.mark.parametrize(
    "path",
    ["/", "/models/sepsis", "/models/none", "/static/page.css", "/static/none", "/api/services", "/api/samples/a/b"],
)
def test_each_answer_forbids_what_the_pages_do_not_need(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/models/sepsis", "/models/none"])
def test_a_page_obeys_its_own_policy(client: Client, path: str) -> None:
    html = client.get(path).text
    assert "style=" not in html
    assert "<style" not in html
    assert " on" not in html.partition("<main")[0]
    assert html.count("<script") == html.count('<script type="module" src="/static/')
    assert html.count("<h1") == 1
    assert '<html lang="en">' in html


def test_the_home_page_lists_the_services_without_any_script(client: Client) -> None:
    html = client.get("/").text
    for service in (PAGE_SERVICE, WITHOUT_SAMPLES):
        assert service.title in html
        assert service.description in html
        assert service.status_line in html
        assert f'href="/models/{service.id}"' in html
    assert '<time datetime="2026-03-01">2026-03-01</time>' in html
    assert "not yet" in html


def test_the_model_page_shows_the_model_card_with_its_contents(client: Client) -> None:
    html = client.get("/models/sepsis").text
    assert "<h1>Sepsis within 12 hours</h1>" in html
    assert '<a href="#card-intended-use">Intended use</a>' in html
    assert '<h2 id="card-intended-use">Intended use</h2>' in html
    assert '<td class="align-right">0.84</td>' in html
    assert "plot.png" not in html


def test_a_service_without_a_model_card_says_so(client: Client) -> None:
    html = client.get("/models/kidney").text
    assert "This bundle carries no model card." in html
    assert 'class="contents"' not in html


class _Host:
    def __init__(self, *services: PageService) -> None:
        self._services = services

    def services(self) -> tuple[PageService, ...]:
        return self._services


def test_a_hosts_texts_never_become_markup() -> None:
    hostile = "\"'><script>alert(1)</script>$main"
    service = replace(
        PAGE_SERVICE, title=hostile, description=hostile, hooks=(hostile,), version=hostile, released=hostile,
        status_line=hostile, model_card=f"# {hostile}\n\n## {hostile}",
    )  # fmt: skip
    client = _client_of(_Host(service))
    for path in ("/", "/models/sepsis"):
        html = client.get(path).text
        assert "<script>" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;$main" in html


def test_a_server_without_services_says_so() -> None:
    client = _client_of(_Host())
    assert "No service is loaded" in client.get("/").text
    assert client.get("/api/services").json() == []


def test_the_script_learns_services_and_samples_but_not_their_data(client: Client) -> None:
    sepsis, kidney = client.get("/api/services").json()
    assert sepsis == {
        "id": "sepsis",
        "title": PAGE_SERVICE.title,
        "description": PAGE_SERVICE.description,
        "hooks": ["patient-view"],
        "version": "1.2.0",
        "released": "2026-03-01",
        "statusLine": PAGE_SERVICE.status_line,
        "samples": [{"id": each.id, "title": each.title, "note": each.note} for each in PAGE_SERVICE.samples],
    }
    assert kidney["samples"] == []


def test_a_sample_comes_byte_for_byte(client: Client) -> None:
    sample = PAGE_SERVICE.sample("high")
    assert sample is not None
    assert client.get("/api/samples/sepsis/high").content == sample.request


def test_an_unchanged_file_is_not_sent_again(client: Client) -> None:
    first = client.get("/static/page.css")
    again = client.get("/static/page.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY


def test_an_answer_is_rendered_in_the_language_of_the_header(client: Client) -> None:
    headers = {"content-type": "application/json", "accept-language": "de"}
    response = client.post("/api/render", b'{"cards": []}', headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    assert response.text.startswith('<div class="cards" lang="de"><p class="no-card">Keine Karte.')


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        pytest.param(b'{"cards": []}', "text/plain", 415, "Expected Content-Type", id="what a form can send"),
        pytest.param(b'{"cards": [', "application/json", 422, "Expected a CDS Hooks response", id="broken JSON"),
        pytest.param(b" " * (ANSWER_LIMIT_BYTES + 1), "application/json", 413, "at most 1048576 bytes", id="too long"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_plain_text(
    client: Client, body: bytes, content_type: str, status: int, words: str
) -> None:
    response = client.post("/api/render", body, {"content-type": content_type})
    assert response.status_code == status
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert words in response.text


def test_head_answers_as_get_without_a_body(client: Client) -> None:
    response = client.ask("HEAD", "/")
    assert (response.status_code, response.content) == (200, b"")


def test_the_pages_are_no_part_of_the_api_description() -> None:
    app = FastAPI()
    app.include_router(pages_router(new_host()))
    assert app.openapi()["paths"] == {}


def _client_of(host: _Host) -> Client:
    app = FastAPI()
    app.include_router(pages_router(host))
    return Client(app)


def test_without_the_simulator_there_is_no_sample_no_script_and_no_api() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(pages_router(new_host(), simulator=False))
    client = Client(app)
    home, facts = client.get("/"), client.get("/models/sepsis")
    assert "Sepsis within 12 hours" in home.text
    for page in (home, facts):
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "#try" not in page.text
        assert "sample" not in page.text.lower()
    for method, path in (("GET", "/api/services"), ("GET", "/api/samples/sepsis/low"), ("POST", "/api/render")):
        assert client.ask(method, path).status_code == 404


def test_model_facts_alone_may_stand_in_the_frames_of_registered_origins() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(pages_router(new_host(), framed_by=("https://a.example", "https://b.example")))
    client = Client(app)

    def frame_ancestors(path: str) -> str:
        policy: str = client.get(path).headers["content-security-policy"]
        return policy.rpartition("frame-ancestors ")[2]

    assert frame_ancestors("/models/sepsis") == "https://a.example https://b.example"
    assert frame_ancestors("/models/unknown") == frame_ancestors("/") == frame_ancestors("/static/page.css") == "'none'"
