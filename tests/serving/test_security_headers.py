"""Security headers: every answer has them, whatever made it, and what an answer says itself stands."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

from cds_hooks.router import cds_router
from serving.security_headers import SecurityHeaders
from tests.conformance.weight_check import WeightCheck

ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def fail() -> Response:
    raise RuntimeError("CANARY")


async def own() -> Response:
    return PlainTextResponse("x", headers={"Cache-Control": "no-cache", "Content-Security-Policy": "sandbox"})


def send(method: str, path: str, *, only_tls: bool = False) -> httpx.Response:
    app = FastAPI()
    app.add_api_route("/fail", fail)
    app.add_api_route("/own", own)
    app.include_router(cds_router(WeightCheck()))

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(SecurityHeaders(app, only_tls=only_tls), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://cds.example") as client:
            return await client.request(method, path)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/cds-services", 200, id="discovery"),
        pytest.param("OPTIONS", "/cds-services", 204, id="a preflight"),
        pytest.param("POST", "/cds-services/weight-loss", 415, id="a refusal of ours"),
        pytest.param("GET", "/nothing", 404, id="a refusal of the framework"),
        pytest.param("GET", "/fail", 500, id="a fault"),
    ],
)
def test_every_answer_has_the_headers_and_reveals_nothing_of_the_server(method: str, path: str, status: int) -> None:
    response = send(method, path)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "strict-transport-security" not in response.headers
    assert not {"server", "x-powered-by"} & set(response.headers)
    for word in ("CANARY", "Traceback", ".py", "/home", "RuntimeError", "fastapi", "starlette"):
        assert word not in response.text


def test_what_an_answer_says_itself_is_said_once() -> None:
    headers = send("GET", "/own").headers
    assert headers.get_list("cache-control") == ["no-cache"]
    assert headers.get_list("content-security-policy") == ["sandbox"]
    assert headers["referrer-policy"] == "no-referrer"


def test_browsers_are_told_to_use_tls_where_there_is_nothing_else() -> None:
    assert send("GET", "/nothing", only_tls=True).headers["strict-transport-security"] == "max-age=31536000"
