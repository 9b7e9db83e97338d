"""Client authentication, through the router: who gets in, who does not, and that nobody learns why.

Everything but the network is real: keys, signatures, the store of used tokens. The attacks on tokens themselves are in
tests/cds_hooks/security.
"""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import base64
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cds_hooks.refusal import Refusal
from cds_hooks.request import CdsRequest
from cds_hooks.router import cds_router
from cds_hooks.security.caller import Caller
from tests.cds_hooks.security.clients import (
    ABSENT,
    ISSUER,
    KEYS_URL,
    NOW,
    OTHER_ISSUER,
    PUBLIC_URL,
    Site,
    claims,
    client,
    ec_key,
    encoded,
    header,
    key_set,
    public,
    refusal,
    rsa_key,
    signed,
    site,
    toml_keys,
)
from tests.conformance.client import Client, cards, failed
from tests.conformance.requests import request
from tests.conformance.weight_check import WeightCheck

CALL = "/cds-services/weight-loss"
FEEDBACK = f"{CALL}/feedback"
DISCOVERY = "/cds-services"
OTHER_SERVICE = "/cds-services/weight-gain"
ORIGIN = "https://app.ehr.example"
AT_DISCHARGE = {"userId": "Practitioner/example", "patientId": "p1", "encounterId": "e1"}
OUTCOME = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-01-15T10:11:12Z"}


class Attentive(WeightCheck):
    """Remembers who called."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[Caller | None] = []

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None
    ) -> bytes:
        self.callers.append(caller)
        return await super().call(service_id, request, headers, caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A server that asks who calls."""

    site: Site
    client: Client
    services: Attentive
    refusals: list[Refusal]

    def send(
        self, method: str, path: str, token: str | None = None, *, body: Any = None, scheme: str = "Bearer"
    ) -> httpx.Response:
        authorization = {} if token is None else {"authorization": f"{scheme} {token}"}
        return self.client.send(method, path, body, {"origin": ORIGIN, **authorization})

    def call(self, token: str | None = None, *, path: str = CALL, scheme: str = "Bearer") -> httpx.Response:
        return self.send("POST", path, token, body=request(), scheme=scheme)


def guarded(folder: Path, *clients: str, base: str = "") -> Guarded:
    at = site(folder, *(clients or (client(services=["weight-loss"], cors_origins=[ORIGIN]),)))
    services, refusals = Attentive(), list[Refusal]()
    app = FastAPI()
    cors = at.authenticator.registrations.cors()
    app.include_router(
        cds_router(services, base=base, cors=cors, authenticator=at.authenticator, on_refusal=refusals.append)
    )
    return Guarded(site=at, client=Client(app), services=services, refusals=refusals)


@pytest.fixture
def server(tmp_path: Path) -> Guarded:
    return guarded(tmp_path)


_numbers: Iterator[int] = iter(range(1_000_000))


def token_for(path: str = CALL, /, **changes: Any) -> str:
    """A token that is good for one request of this path."""
    return signed(body=claims(**{"aud": PUBLIC_URL + path, "jti": f"new-{next(_numbers)}"} | changes))


def is_unauthenticated(response: httpx.Response) -> None:
    """A 401 as everyone gets it, whatever was wrong."""
    issue = failed(response, 401)
    assert issue["code"] == "login"
    assert response.headers["www-authenticate"].startswith("Bearer ")


def test_A_01_A_14_A_15_nothing_is_answered_without_a_token(server: Guarded) -> None:
    for method, path, body in (
        ("GET", DISCOVERY, None),
        ("HEAD", DISCOVERY, None),
        ("GET", f"{DISCOVERY}/", None),
        ("POST", CALL, request()),
        ("POST", FEEDBACK, {"feedback": [OUTCOME]}),
        ("POST", "/cds-services/unknown", request()),
        ("POST", CALL, b"no JSON"),
    ):
        response = server.send(method, path, body=body)
        assert response.status_code == 401, (method, path)
        assert "error=" not in response.headers["www-authenticate"]  # RFC 6750, 3.1: there was no token
    assert server.services.outcomes == []


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(lambda body: signed(body=body), id="ES384"),
        pytest.param(lambda body: signed(header(alg="RS384", kid="rsa-1"), body, key=rsa_key()), id="RS384"),
    ],
)
def test_A_02_A_03_both_algorithms_of_the_standard_open_every_endpoint(
    sign: Callable[[Any], str], server: Guarded
) -> None:
    def token(path: str) -> str:
        return sign(claims(aud=PUBLIC_URL + path, jti=f"jti of {path}"))

    assert len(cards(server.call(token(CALL))).cards) == 1
    assert server.send("GET", DISCOVERY, token(DISCOVERY)).status_code == 200
    assert server.send("POST", FEEDBACK, token(FEEDBACK), body={"feedback": [OUTCOME]}).status_code == 200
    assert len(server.services.outcomes) == 1


def _none() -> str:
    parts = (json.dumps(part).encode() for part in (header(alg="none"), claims(aud=PUBLIC_URL + CALL)))
    return b".".join(map(encoded, parts)).decode() + "."


def test_A_04_a_token_without_signature_is_refused(server: Guarded) -> None:
    is_unauthenticated(server.call(_none()))
    is_unauthenticated(server.call(f"{_none()}{base64.urlsafe_b64encode(b'x').decode().rstrip('=')}"))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_A_05_the_public_key_is_no_secret_to_sign_with(algorithm: str, server: Guarded) -> None:
    """The confusion of a public key with a shared secret, which a verifier invites that believes `alg`."""
    for key in (ec_key(), rsa_key()):
        for secret in (json.dumps(public(key)).encode(), key.as_pem(private=False)):
            parts = (header(alg=algorithm, kid=key.kid), claims(aud=PUBLIC_URL + CALL))
            signing_input = b".".join(encoded(json.dumps(part).encode()) for part in parts)
            mac = hmac.digest(secret, signing_input, f"sha{algorithm[2:]}")
            is_unauthenticated(server.call((signing_input + b"." + encoded(mac)).decode()))


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param(PUBLIC_URL, id="the server"),
        pytest.param(PUBLIC_URL + DISCOVERY, id="discovery"),
        pytest.param(PUBLIC_URL + FEEDBACK, id="feedback"),
        pytest.param(PUBLIC_URL + OTHER_SERVICE, id="another service"),
        pytest.param(f"https://elsewhere.example{CALL}", id="another server"),
        pytest.param([PUBLIC_URL, f"https://elsewhere.example{CALL}"], id="two others"),
    ],
)
def test_A_06_A_07_a_token_opens_the_endpoint_that_it_names_and_no_other(audience: Any, server: Guarded) -> None:
    is_unauthenticated(server.call(token_for(aud=audience)))
    assert server.call(token_for(aud=[PUBLIC_URL, PUBLIC_URL + CALL])).status_code == 200


def test_A_06_a_base_in_front_of_the_endpoint_is_a_part_of_its_url(tmp_path: Path) -> None:
    server = guarded(tmp_path, base="/3.0")
    assert server.call(token_for(f"/3.0{CALL}"), path=f"/3.0{CALL}").status_code == 200
    is_unauthenticated(server.call(token_for(CALL), path=f"/3.0{CALL}"))
    assert server.call(token_for(CALL)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"exp": int(NOW) - 60, "iat": int(NOW) - 120}, "expired", id="A-08 expired"),
        pytest.param({"iat": int(NOW) + 600, "exp": int(NOW) + 700}, "not yet valid", id="A-13 of tomorrow"),
        pytest.param({"exp": int(NOW) + 10 * 365 * 86_400}, "lifetime too long", id="A-22 good for ten years"),
    ],
)
def test_A_08_A_13_A_22_times_are_honoured(
    changes: dict[str, Any], reason: str, server: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    is_unauthenticated(server.call(token_for(**changes)))
    assert refusal(caplog) == reason


def test_A_09_only_registered_issuers_are_trusted(server: Guarded) -> None:
    is_unauthenticated(server.call(token_for(iss=OTHER_ISSUER)))
    is_unauthenticated(server.call(token_for(iss=ISSUER.rstrip("/"))))


def test_A_10_the_key_that_kid_names_must_have_signed(server: Guarded) -> None:
    body = claims(aud=PUBLIC_URL + CALL)
    is_unauthenticated(server.call(signed(body=body, key=ec_key("somebody-else"))))
    is_unauthenticated(server.call(signed(header(kid="unknown"), body)))
    is_unauthenticated(server.call(signed(header(kid="rsa-1"), body)))


def test_A_11_a_token_is_good_for_one_request(server: Guarded) -> None:
    token = token_for()
    assert server.call(token).status_code == 200
    is_unauthenticated(server.call(token))
    assert server.call(token_for()).status_code == 200


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti"])
def test_A_12_every_claim_of_the_standard_is_needed(claim: str, server: Guarded) -> None:
    changes: dict[str, Any] = {claim: ABSENT}
    is_unauthenticated(server.call(token_for(**changes)))


@pytest.mark.parametrize("member", ["alg", "kid", "typ"])
def test_A_12_every_header_member_of_the_standard_is_needed(member: str, server: Guarded) -> None:
    is_unauthenticated(server.call(signed(header(**{member: ABSENT}), claims(aud=PUBLIC_URL + CALL))))


def test_A_14_discovery_shows_a_client_the_services_that_it_may_call(tmp_path: Path) -> None:
    for name, services, shown in (
        ("one", ["weight-loss"], {"weight-loss"}),
        ("every", ["*"], {"weight-loss", "weight-gain"}),
    ):
        (tmp_path / name).mkdir()
        found = guarded(tmp_path / name, client(services=services)).send("GET", DISCOVERY, token_for(DISCOVERY))
        assert {service["id"] for service in found.json()["services"]} == shown


def test_A_15_feedback_wants_a_token_for_the_feedback_url(server: Guarded) -> None:
    body = {"feedback": [OUTCOME]}
    is_unauthenticated(server.send("POST", FEEDBACK, token_for(CALL), body=body))
    assert server.send("POST", FEEDBACK, token_for(FEEDBACK), body=body).status_code == 200


def test_A_16_keys_are_fetched_from_where_the_site_said_and_nowhere_else(server: Guarded) -> None:
    theirs = "https://attacker.example/keys"
    server.site.published.bodies[theirs] = key_set(ec_key("theirs"))
    forged = signed(header(jku=theirs, kid="theirs"), claims(aud=PUBLIC_URL + CALL), key=ec_key("theirs"))
    is_unauthenticated(server.call(forged))
    assert server.site.published.asked == []
    assert server.call(token_for()).status_code == 200
    assert server.site.published.asked == [KEYS_URL]


def test_A_16_without_a_url_the_keys_of_the_registration_are_used(tmp_path: Path) -> None:
    server = guarded(tmp_path, client(services=["*"], jwks_url=ABSENT) + "\n" + toml_keys(ec_key()))
    assert server.call(token_for()).status_code == 200
    assert server.site.published.asked == []


def test_A_17_whatever_is_wrong_the_answer_is_the_same(server: Guarded) -> None:
    used = token_for()
    assert server.call(used).status_code == 200
    wrong = (used, token_for(iss=OTHER_ISSUER), token_for(exp=int(NOW) - 60), token_for(aud="x"), _none(), "x.y.z", "x")
    answers = [server.call(token) for token in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {
        'Bearer realm="cds-services", error="invalid_token"'
    }
    # A web page must be able to read that it is refused.
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {ORIGIN}


def test_A_19_another_type_or_scheme_is_refused(server: Guarded) -> None:
    is_unauthenticated(server.call(signed(header(typ="at+jwt"), claims(aud=PUBLIC_URL + CALL))))
    is_unauthenticated(server.call(token_for(), scheme="Basic"))
    assert server.call(token_for(), scheme="bearer").status_code == 200  # RFC 9110, 11.1: in any case


def test_A_20_the_tenant_of_the_token_is_checked_and_handed_on(tmp_path: Path) -> None:
    server = guarded(tmp_path, client(services=["*"], tenants=["north", "south"]))
    assert server.call(token_for(tenant="north")).status_code == 200
    is_unauthenticated(server.call(token_for(tenant="west")))
    is_unauthenticated(server.call(token_for()))
    assert [caller.tenant for caller in server.services.callers if caller] == ["north"]


def test_A_23_each_registration_says_which_algorithms_it_takes(tmp_path: Path) -> None:
    server = guarded(tmp_path, client(services=["*"], algorithms=["RS384"]))
    is_unauthenticated(server.call(token_for()))
    by_rsa = signed(header(alg="RS384", kid="rsa-1"), claims(aud=PUBLIC_URL + CALL), key=rsa_key())
    assert server.call(by_rsa).status_code == 200


def test_A_24_a_preflight_needs_no_token_and_names_the_origins_of_the_registrations(server: Guarded) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://other.example", None)):
        headers = {"origin": origin, "access-control-request-method": "POST"}
        response = server.client.send("OPTIONS", CALL, None, headers)
        assert response.status_code == 204
        assert response.headers.get("access-control-allow-origin") == allowed
    assert server.refusals == []


def test_a_client_that_is_registered_for_other_services_is_told_so(server: Guarded) -> None:
    response = server.call(token_for(OTHER_SERVICE), path=OTHER_SERVICE)
    assert failed(response, 403)["code"] == "forbidden"
    assert server.refusals == [
        Refusal(at="call", status=403, code="forbidden", service_id="weight-gain", client="ward-ehr")
    ]


def test_a_client_that_calls_too_often_hears_when_it_may_call_again(tmp_path: Path) -> None:
    server = guarded(tmp_path, client(services=["*"], requests_per_minute=2))
    assert [server.call(token_for()).status_code for _ in range(3)] == [200, 200, 429]
    response = server.call(token_for())
    assert failed(response, 429)["code"] == "throttled"
    assert response.headers["retry-after"] == "30"
    assert {(each.status, each.client) for each in server.refusals} == {(429, "ward-ehr")}


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        pytest.param(
            lambda at: at.call(), Refusal(at="call", status=401, code="login", service_id="weight-loss"), id="no token"
        ),
        pytest.param(
            lambda at: at.call(path="/cds-services/CANARY"),
            Refusal(at="call", status=401, code="login"),
            id="a service that is none",
        ),
        pytest.param(
            lambda at: at.send("POST", CALL, token_for(), body=b"CANARY"),
            Refusal(at="call", status=400, code="structure", service_id="weight-loss", client="ward-ehr"),
            id="no JSON",
        ),
        pytest.param(
            lambda at: at.send(
                "POST", CALL, token_for(), body=request(hook="encounter-discharge", context=AT_DISCHARGE)
            ),
            Refusal(at="call", status=400, code="not-supported", service_id="weight-loss", client="ward-ehr"),
            id="another hook",
        ),
        pytest.param(
            lambda at: at.send("POST", FEEDBACK, token_for(FEEDBACK), body={}),
            Refusal(at="feedback", status=400, code="required", service_id="weight-loss", client="ward-ehr"),
            id="feedback without entries",
        ),
        pytest.param(
            lambda at: at.send("GET", CALL, token_for()),
            Refusal(at="elsewhere", status=405, code="not-supported", service_id="weight-loss"),
            id="another method",
        ),
        pytest.param(
            lambda at: at.send("GET", "/cds-services/CANARY/CANARY"),
            Refusal(at="elsewhere", status=404, code="not-found"),
            id="another path",
        ),
    ],
)
def test_the_host_hears_of_what_no_service_saw_in_words_of_ours(
    send: Callable[[Guarded], httpx.Response], expected: Refusal, server: Guarded
) -> None:
    assert send(server).status_code == expected.status
    assert server.refusals == [expected]


def test_the_host_is_not_told_of_what_a_service_saw_itself(server: Guarded) -> None:
    assert server.call(token_for()).status_code == 200
    missing = server.send("POST", CALL, token_for(), body=request(prefetch={}))
    assert missing.status_code == 412
    assert server.refusals == []
