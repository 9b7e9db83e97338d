"""The authenticator: who gets in, who does not, and what they hear. Requirements A-01 to A-22 of CDS Hooks."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cds_hooks.errors import CdsHooksError, Overloaded
from cds_hooks.security.authenticator import Caller, Endpoint
from cds_hooks.security.errors import Forbidden, TooManyRequests, Unauthenticated
from cds_hooks.security.keys import VerificationKey
from cds_hooks.security.tokens import CLOCK_SKEW_SECONDS
from tests.cds_hooks.security.clients import (
    ABSENT,
    CALL,
    CALLED,
    ISSUER,
    KEYS_URL,
    LISTED_JKU,
    NOW,
    OTHER_ISSUER,
    PUBLIC_URL,
    ask_with,
    claims,
    client,
    ec_key,
    header,
    key_set,
    refusal,
    rsa_key,
    signed,
    site,
    toml_keys,
)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed, id="A-02 ES384"),
        pytest.param(lambda: signed(header(alg="RS384", kid="rsa-1"), key=rsa_key()), id="A-03 RS384"),
        pytest.param(lambda: signed(body=claims(aud=[CALLED])), id="A-07 audience in an array"),
        pytest.param(lambda: signed(body=claims(aud=["https://x.example", CALLED])), id="A-07 one of two audiences"),
        pytest.param(lambda: signed(body=claims(aud="HTTPS://CDS.example:443/cds-services/aki/")), id="same URL"),
        pytest.param(lambda: signed(body=claims(exp=NOW + 9.5, iat=NOW - 0.5)), id="times with fractions"),
        pytest.param(lambda: signed(body=claims(exp=int(NOW) - 29, iat=int(NOW) - 300)), id="clock of the client slow"),
        pytest.param(lambda: signed(body=claims(iat=int(NOW) + CLOCK_SKEW_SECONDS)), id="clock of the client fast"),
        pytest.param(lambda: signed(body=claims(sub="x", scope=["y"])), id="further claims"),
        pytest.param(lambda: signed(header(jku=KEYS_URL)), id="A-16 jku that is the registered URL"),
        pytest.param(lambda: signed(header(x5t="abc", cty="x")), id="further header members"),
    ],
)
def test_a_token_as_the_standard_asks_for_is_accepted(token: Callable[[], str], tmp_path: Path) -> None:
    assert ask_with(site(tmp_path), token()).registration.name == "ward-ehr"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        pytest.param(Endpoint(), "/cds-services", id="A-14 discovery"),
        pytest.param(CALL, "/cds-services/aki", id="call"),
        pytest.param(Endpoint(service_id="aki", feedback=True), "/cds-services/aki/feedback", id="A-15 feedback"),
    ],
)
def test_each_endpoint_wants_a_token_for_itself(endpoint: Endpoint, path: str, tmp_path: Path) -> None:
    at = site(tmp_path, public_urls=("https://cds.example", "https://inside.example:8443/bedside"))
    for number, base in enumerate(("https://cds.example", "https://inside.example:8443/bedside")):
        assert ask_with(at, signed(body=claims(aud=base + path, jti=f"{number}")), endpoint).tenant is None
    with pytest.raises(Unauthenticated):
        ask_with(at, signed(body=claims(aud=f"https://cds.example{path}x", jti="3")), endpoint)


@pytest.mark.parametrize("feedback", [False, True], ids=["call", "feedback"])
def test_a_service_that_was_not_agreed_is_a_403(feedback: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table's column
    endpoint = Endpoint(service_id="sepsis", feedback=feedback)
    token = signed(body=claims(aud=PUBLIC_URL + endpoint.path))
    with pytest.raises(Forbidden) as refused:
        ask_with(site(tmp_path), token, endpoint)
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


def test_every_service_can_be_agreed(tmp_path: Path) -> None:
    at = site(tmp_path, client(services=["*"]))
    token = signed(body=claims(aud=f"{PUBLIC_URL}/cds-services/sepsis"))
    assert ask_with(at, token, Endpoint(service_id="sepsis")).registration.name == "ward-ehr"


def test_A11_a_token_is_good_for_one_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: N802
    at = site(tmp_path)
    ask_with(at, signed())
    for again in (signed(), signed(header(alg="RS384", kid="rsa-1"), key=rsa_key())):
        caplog.clear()
        with pytest.raises(Unauthenticated):
            ask_with(at, again)
        assert refusal(caplog) == "used before"


def test_A11_of_twenty_calls_at_once_with_one_token_one_gets_in(tmp_path: Path) -> None:  # noqa: N802
    at = site(tmp_path, client(), client(name="clinic", issuer=OTHER_ISSUER))

    async def together() -> list[Caller | BaseException]:
        calls = (at.authenticator.authenticate([f"Bearer {signed()}"], CALL) for _ in range(20))
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(together())
    assert sum(isinstance(outcome, Caller) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Unauthenticated) for outcome in outcomes) == 19
    other = claims(iss=OTHER_ISSUER)  # whose jti is the same by chance
    assert ask_with(at, signed(body=other)).registration.name == "clinic"


def test_a_refused_token_is_not_used_up(tmp_path: Path) -> None:
    """Whoever guesses a jti cannot spoil it: a use is noted once the signature was found genuine."""
    at = site(tmp_path)
    with pytest.raises(Unauthenticated):
        ask_with(at, signed(key=ec_key("stranger")))
    assert ask_with(at, signed()).registration.name == "ward-ehr"


def test_A16_a_listed_jku_is_where_the_keys_come_from(tmp_path: Path) -> None:  # noqa: N802
    at = site(tmp_path, client(jwks_url=ABSENT, jku=[LISTED_JKU]))
    at.published.bodies[LISTED_JKU] = key_set(ec_key("rotated"))
    token = signed(header(jku=LISTED_JKU, kid="rotated"), key=ec_key("rotated"))
    assert ask_with(at, token).registration.name == "ward-ehr"
    assert at.published.asked == [LISTED_JKU]
    with pytest.raises(Unauthenticated):
        ask_with(at, signed(body=claims(jti="2")))  # names no jku, and no other place is registered


def test_inline_keys_are_the_only_ones_and_nothing_is_fetched(tmp_path: Path) -> None:
    inline = client(jwks_url=ABSENT, jku=[LISTED_JKU]) + "\n" + toml_keys(ec_key(), rsa_key())
    at = site(tmp_path, inline)
    at.published.bodies[LISTED_JKU] = key_set(ec_key("rotated"))
    assert ask_with(at, signed(header(jku=LISTED_JKU))).registration.name == "ward-ehr"
    with pytest.raises(Unauthenticated):
        ask_with(at, signed(header(jku=LISTED_JKU, kid="rotated"), claims(jti="2"), key=ec_key("rotated")))
    assert at.published.asked == []


TENANTS = (
    client(name="north", tenants=["t-north"], services=["aki"]),
    client(name="south", tenants=["t-south", "t-southwest"], services=["sepsis"]),
)


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        pytest.param("t-north", "north", id="A-20 the one"),
        pytest.param("t-southwest", "south", id="A-20 the other"),
        pytest.param("t-east", None, id="unknown"),
        pytest.param(ABSENT, None, id="none"),
    ],
)
def test_clients_of_one_issuer_are_told_apart_by_tenant(tenant: Any, expected: str | None, tmp_path: Path) -> None:
    at = site(tmp_path, *TENANTS)
    token = signed(body=claims(tenant=tenant, aud=f"{PUBLIC_URL}/cds-services"))
    if expected is None:
        with pytest.raises(Unauthenticated):
            ask_with(at, token, Endpoint())
    else:
        caller = ask_with(at, token, Endpoint())
        assert (caller.registration.name, caller.tenant) == (expected, tenant)


def test_a_client_that_calls_too_often_is_told_when_to_call_again(tmp_path: Path) -> None:
    at = site(tmp_path, client(requests_per_minute=2))
    for number in range(2):
        ask_with(at, signed(body=claims(jti=f"{number}")))
    with pytest.raises(TooManyRequests) as refused:
        ask_with(at, signed(body=claims(jti="2")))
    assert (refused.value.status, refused.value.headers["retry-after"]) == (429, "30")


def test_strangers_do_not_spend_a_clients_requests(tmp_path: Path) -> None:
    at = site(tmp_path, client(requests_per_minute=1))
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            ask_with(at, signed(key=ec_key("stranger")))
    assert ask_with(at, signed()).registration.name == "ward-ehr"


def test_where_uses_cannot_be_noted_nobody_gets_in(tmp_path: Path) -> None:
    at = site(tmp_path)
    for file in tmp_path.glob("used.db*"):
        file.unlink()
    (tmp_path / "used.db").mkdir()
    with pytest.raises(Overloaded):
        ask_with(at, signed())


@pytest.mark.parametrize("issuer", [ISSUER, "https://x.example"], ids=["issuer known", "issuer unknown"])
def test_a_signature_is_checked_whoever_the_issuer_is(
    issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the time of a refusal does not tell which issuers are registered."""
    at = site(tmp_path)
    checked: list[str] = []
    real = VerificationKey.verifies

    def counting(self: VerificationKey, compact: bytes, algorithm: str) -> bool:
        checked.append(algorithm)
        return real(self, compact, algorithm)

    monkeypatch.setattr(VerificationKey, "verifies", counting)
    for head, key in ((header(), ec_key("stranger")), (header(alg="RS384", kid="rsa-1"), rsa_key("stranger"))):
        with pytest.raises(Unauthenticated):
            ask_with(at, signed(head, claims(iss=issuer), key=key))
    assert checked == ["ES384", "RS384"]


def test_refusals_have_a_status_and_a_code_that_fhir_knows() -> None:
    errors: tuple[type[CdsHooksError], ...] = (Unauthenticated, Forbidden, TooManyRequests)
    assert [(error.status, error.code) for error in errors] == [(401, "login"), (403, "forbidden"), (429, "throttled")]
