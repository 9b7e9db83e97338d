"""O and A: browsers, and clients that bring a token nobody asked for."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import pytest

from cds_hooks.cors import CorsPolicy
from tests.conformance.client import Client, cards
from tests.conformance.requests import CALL, FEEDBACK, OVERRIDDEN, UNKNOWN, feedback, request
from tests.conformance.weight_check import weight_app

_ORIGIN = "https://ehr.example"


@pytest.mark.parametrize(
    ("path", "method"), [("/cds-services", "GET"), (CALL, "POST"), (FEEDBACK, "POST")], ids=["O-01", "O-02", "O-04"]
)
def test_O_01_O_02_O_04_A_24_each_endpoint_answers_a_preflight_without_a_token(
    client: Client, path: str, method: str
) -> None:
    asked = {
        "origin": _ORIGIN,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
    }
    response = client.send("OPTIONS", path, headers=asked)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert method in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/cds-services", None, 200),
        ("POST", CALL, request(), 200),
        ("POST", FEEDBACK, feedback(OVERRIDDEN), 200),
        ("POST", CALL, b"{", 400),
        ("POST", UNKNOWN, request(), 404),
        ("GET", CALL, None, 405),
        ("POST", CALL, request(prefetch={}), 412),
        ("POST", CALL, b" " * (11 * 1024 * 1024), 413),
    ],
)
def test_O_03_every_answer_can_be_read_by_the_page(
    client: Client, method: str, path: str, body: object, status: int
) -> None:
    response = client.send(method, path, body, {"origin": _ORIGIN})
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", [("*",), (_ORIGIN,), ()], ids=["any", "one", "none"])
def test_O_05_credentials_are_never_allowed_and_no_origin_is_reflected_unlisted(origins: tuple[str, ...]) -> None:
    client = Client(weight_app(cors=CorsPolicy(origins=origins)))
    for method, path in (("GET", "/cds-services"), ("OPTIONS", CALL)):
        headers = client.send(method, path, headers={"origin": "https://evil.example"}).headers
        assert "access-control-allow-credentials" not in headers
        assert headers.get("access-control-allow-origin") in {None, "*"}


@pytest.mark.parametrize("authorization", ["Bearer a.b.c", "Bearer", "Basic dXNlcjpwdw==", "nonsense \x01"], ids=repr)
def test_A_18_a_token_that_nobody_asked_for_is_tolerated(client: Client, authorization: str) -> None:
    assert cards(client.post(CALL, request(), authorization=authorization)).cards
    assert client.send("GET", "/cds-services", headers={"authorization": authorization}).status_code == 200
