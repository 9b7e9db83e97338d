"""Attacks: tokens that must not be accepted, what the attacker hears, and what the log knows."""

import hmac
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_hooks.outcome import encode_outcome
from cds_hooks.security.errors import Unauthenticated
from cds_hooks.security.tokens import CLOCK_SKEW_SECONDS
from tests.cds_hooks.security.clients import (
    ABSENT,
    CALLED,
    ISSUER,
    KEYS_URL,
    NOW,
    OTHER_ISSUER,
    PUBLIC_URL,
    Site,
    ask,
    ask_with,
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
)


def _with_public_key_as_secret() -> str:
    signing_input = signed(header(alg="HS384"), algorithm="ES384").rpartition(".")[0]
    signature = hmac.digest(ec_key().as_pem(private=False), signing_input.encode(), "sha384")
    return f"{signing_input}.{encoded(signature).decode()}"


def _duplicated(name: str, first: object, last: object) -> str:
    text = json.dumps(claims(**{name: first}))
    return signed(body=f"{text[:-1]}, {json.dumps(name)}: {json.dumps(last)}}}".encode())


def _unsigned(alg: str) -> str:
    return f"{signed(header(alg=alg), algorithm='ES384').rpartition('.')[0]}."


def _tampered() -> str:
    head, _, signature = signed().split(".")
    return f"{head}.{encoded(json.dumps(claims(tenant='another')).encode()).decode()}.{signature}"


ATTACKS: list[tuple[str, str, Callable[[], str]]] = [
    ("A-04 alg none, no signature", "not a JWT", lambda: _unsigned("none")),
    ("A-04 alg none, some signature", "algorithm not allowed", lambda: _unsigned("none") + "AAAA"),
    ("A-04 alg nOnE", "algorithm not allowed", lambda: _unsigned("nOnE") + "AAAA"),
    ("A-05 HMAC with the public key", "algorithm not allowed", _with_public_key_as_secret),
    ("RS256", "algorithm not allowed", lambda: signed(header(alg="RS256", kid="rsa-1"), key=rsa_key())),
    ("PS384, not agreed", "algorithm not allowed", lambda: signed(header(alg="PS384", kid="rsa-1"), key=rsa_key())),
    ("ES384 with an RSA key's id", "key for another algorithm", lambda: signed(header(kid="rsa-1"))),
    ("alg missing", "header not as agreed", lambda: signed(header(alg=ABSENT))),
    ("kid missing", "header not as agreed", lambda: signed(header(kid=ABSENT))),
    ("typ missing", "header not as agreed", lambda: signed(header(typ=ABSENT))),
    ("A-19 typ another", "header not as agreed", lambda: signed(header(typ="at+jwt"))),
    ("crit", "header not as agreed", lambda: signed(header(crit=["exp"]))),
    ("b64 without crit", "header not as agreed", lambda: signed(header(b64=False))),
    ("kid a number", "header not as agreed", lambda: signed(header(kid=1))),
    ("kid with a line end", "header not as agreed", lambda: signed(header(kid="a\nb"))),
    ("A-06 another audience", "other audience", lambda: signed(body=claims(aud="https://x.example/cds-services/aki"))),
    ("A-06 another service", "other audience", lambda: signed(body=claims(aud=f"{PUBLIC_URL}/cds-services/sepsis"))),
    ("A-06 the server, not the endpoint", "other audience", lambda: signed(body=claims(aud=PUBLIC_URL))),
    ("A-15 the feedback to it", "other audience", lambda: signed(body=claims(aud=f"{CALLED}/feedback"))),
    ("audience over http", "other audience", lambda: signed(body=claims(aud=CALLED.replace("https", "http")))),
    ("audience with a query", "other audience", lambda: signed(body=claims(aud=f"{CALLED}?x"))),
    ("no audience in the array", "claims not as agreed", lambda: signed(body=claims(aud=[]))),
    ("99 audiences", "claims not as agreed", lambda: signed(body=claims(aud=[CALLED] * 99))),
    ("A-08 expired", "expired", lambda: signed(body=claims(exp=int(NOW) - CLOCK_SKEW_SECONDS))),
    ("A-13 issued in the future", "not yet valid", lambda: signed(body=claims(iat=int(NOW) + 31))),
    ("not yet to be used", "not yet valid", lambda: signed(body=claims(nbf=int(NOW) + 31))),
    ("A-22 valid for 301 seconds", "lifetime too long", lambda: signed(body=claims(exp=int(NOW) + 296))),
    ("A-22 valid for years", "lifetime too long", lambda: signed(body=claims(exp=int(NOW) + 100_000_000))),
    ("expires before it was issued", "lifetime too long", lambda: signed(body=claims(iat=NOW + 5, exp=NOW + 1))),
    *((f"A-12 {name} missing", "claims not as agreed", lambda name=name: signed(body=claims(**{name: ABSENT})))
      for name in ("iss", "aud", "exp", "iat", "jti")),
    ("exp a text", "claims not as agreed", lambda: signed(body=claims(exp="1800000200"))),
    ("exp true", "claims not as agreed", lambda: signed(body=claims(exp=True))),
    ("exp beyond all time", "claims not as agreed", lambda: signed(body=claims(exp=10**300))),
    ("exp of 5000 digits", "not a JWT", lambda: signed(body=b'{"exp":' + b"9" * 5000 + b"}")),
    ("exp Infinity", "not a JWT", lambda: signed(body=json.dumps(claims(exp=float("inf"))).encode())),
    ("exp 1e999", "claims not as agreed", lambda: signed(body=b'{"iss":"i","aud":"a","iat":1,"jti":"j","exp":1e999}')),
    ("jti empty", "claims not as agreed", lambda: signed(body=claims(jti=""))),
    ("jti of 2000 characters", "claims not as agreed", lambda: signed(body=claims(jti="x" * 2000))),
    ("jti with NUL", "claims not as agreed", lambda: signed(body=claims(jti="a\0b"))),
    ("jti with a lone surrogate", "not a JWT", lambda: signed(body=claims(jti="\ud800"))),
    ("a name with a lone surrogate", "not a JWT", lambda: signed(body=claims(**{"\udfff": 1}))),
    ("A-09 issuer unknown", "issuer or tenant not registered", lambda: signed(body=claims(iss="https://x.example"))),
    ("issuer without its slash", "issuer or tenant not registered", lambda: signed(body=claims(iss=ISSUER[:-1]))),
    ("A-10 kid unknown", "key unknown", lambda: signed(header(kid="other"))),
    ("A-10 key of nobody", "wrong signature", lambda: signed(key=ec_key("stranger"))),
    ("key of another client", "wrong signature", lambda: signed(key=ec_key("clinic"))),
    ("another client's kid", "key unknown", lambda: signed(header(kid="clinic"), key=ec_key("clinic"))),
    ("another client's issuer", "key unknown", lambda: signed(body=claims(iss=OTHER_ISSUER))),
    ("A-16 jku not listed", "jku not listed", lambda: signed(header(jku="https://evil.example/keys"))),
    ("jku of another client", "jku not listed", lambda: signed(header(jku="https://clinic.example/keys"))),
    ("jku that starts as the listed", "jku not listed", lambda: signed(header(jku=f"{KEYS_URL}.evil.example"))),
    ("jku with a user before the host", "jku not listed", lambda: signed(header(jku="https://ehr.example@evil.example/keys"))),
    ("jku a file", "jku not listed", lambda: signed(header(jku="file:///etc/passwd"))),
    ("the key in the header", "wrong signature",
     lambda: signed(header(jwk=public(ec_key("stranger"))), key=ec_key("stranger"))),
    ("claims changed after signing", "wrong signature", _tampered),
    ("signature cut", "wrong signature", lambda: signed()[:-4]),
    ("claims twice: aud", "not a JWT", lambda: _duplicated("aud", "https://x.example", CALLED)),
    ("claims twice: exp", "not a JWT", lambda: _duplicated("exp", 1, int(NOW) + 100)),
    ("header twice: alg", "not a JWT", lambda: signed(b'{"alg":"none","alg":"ES384","typ":"JWT","kid":"ec-1"}')),
    ("claims no object", "not a JWT", lambda: signed(body=b"[1]")),
    ("claims no JSON", "not a JWT", lambda: signed(body=b"{")),
    ("claims not UTF-8", "not a JWT", lambda: signed(body=b'{"iss":"\xff"}')),
    ("claims UTF-16", "not a JWT", lambda: signed(body=json.dumps(claims()).encode("utf-16"))),
    ("claims nested 4000 deep", "not a JWT", lambda: signed(body=b'{"a":' + b"[" * 4000)),
    ("huge", "token too long", lambda: signed(body=claims(filler="x" * 9000))),
    ("not ASCII", "not a JWT", lambda: signed().replace("e", "é", 1)),
    ("two parts", "not a JWT", lambda: signed().rpartition(".")[0]),
    ("four parts", "not a JWT", lambda: signed() + ".AAAA"),
    ("five parts (encrypted)", "not a JWT", lambda: signed() + ".AAAA.AAAA"),
    ("standard base64", "not a JWT", lambda: signed() + "+/"),
    ("base64 with padding", "not a JWT", lambda: signed() + "="),
    ("empty", "not a JWT", lambda: ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def two_clients(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with the client that is attacked, and another; somebody else's keys can be fetched, too."""
    clinic = client(name="clinic", issuer=OTHER_ISSUER, jwks_url="https://clinic.example/keys")
    at = site(tmp_path_factory.mktemp("site"), client(), clinic)
    at.published.bodies["https://clinic.example/keys"] = key_set(ec_key("clinic"))
    at.published.bodies["https://evil.example/keys"] = key_set(ec_key("stranger"))
    return at


@pytest.mark.parametrize(("reason", "attack"), [pytest.param(*rest, id=name) for name, *rest in ATTACKS])
def test_an_attack_is_a_401_whose_reason_only_the_log_knows(
    reason: str, attack: Callable[[], str], two_clients: Site, caplog: pytest.LogCaptureFixture
) -> None:
    at = two_clients
    with pytest.raises(Unauthenticated) as refused:
        ask_with(at, attack())
    assert refusal(caplog) == reason
    assert refused.value.message == Unauthenticated(token_came=True).message
    assert refused.value.headers["www-authenticate"] == 'Bearer realm="cds-services", error="invalid_token"'
    assert set(at.published.asked) <= {KEYS_URL, "https://clinic.example/keys"}


@pytest.mark.parametrize(
    ("authorizations", "reason"),
    [
        pytest.param((), "no token", id="none"),
        pytest.param(("Basic dXNlcjpwYXNz",), "not a Bearer token", id="A-19 Basic"),
        pytest.param(("Bearer",), "not a JWT", id="scheme alone"),
        pytest.param(("Bearer a.b.c", "Bearer a.b.c"), "several Authorization headers", id="two"),
        pytest.param(("Bearer " + "x" * 100_000,), "token too long", id="100 KB"),
    ],
)
def test_a_header_that_is_no_token_is_a_401(
    authorizations: tuple[str, ...], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        ask(site(tmp_path), *authorizations)
    assert refusal(caplog) == reason
    assert ("error=" in refused.value.headers["www-authenticate"]) == bool(authorizations)  # RFC 6750, 3.1


def test_A17_the_answer_is_an_operation_outcome_that_does_not_tell_why() -> None:  # noqa: N802 - the requirement's id
    document = json.loads(encode_outcome(Unauthenticated(token_came=True)))
    assert document["resourceType"] == "OperationOutcome"
    assert document["issue"][0]["code"] == "login"


def test_Z06_nothing_of_a_token_reaches_logs_or_errors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: N802
    caplog.set_level(logging.DEBUG)
    at = site(tmp_path)
    told: list[str] = []
    for attack in (signed, *(attack for _, _, attack in ATTACKS)):
        try:
            ask_with(at, attack())
        except Unauthenticated as error:
            told += [repr(error), repr(error.headers), encode_outcome(error).decode()]
    for record in caplog.records:
        told += [record.getMessage(), repr(record.__dict__), caplog.handler.format(record)]
    assert len(caplog.records) >= len(ATTACKS)
    for canary in ("jti-1", "x.example", "evil.example", "ec-1", "stranger", "eyJ", "passwd", str(int(NOW) + 200)):
        assert canary not in "".join(told)
