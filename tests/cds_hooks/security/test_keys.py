"""Keys: which are taken from a JWK Set, and what they verify."""

import json
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey, OKPKey, RSAKey

from cds_hooks.security.keys import KEY_TYPES, MOST_KEYS, KeySetError, decoys, read_key, read_key_set
from tests.cds_hooks.security.clients import ec_key, header, key_set, public, rsa_key, signed

# CDS Hooks 3.0 ballot, Trusting CDS Clients, Example: the public key and the token that it prints.
PUBLISHED_KEY = {
    "kty": "EC",
    "use": "sig",
    "crv": "P-384",
    "kid": "example-kid",
    "x": "46SDH7Znh821wblCBglA61sNE9ZrHYKKt3qRtRTmSXyOI_FIGBLWrWa0GPUkDCEk",
    "y": "XMcRuuoGW7CXjQdy-F5i3FeBE0x9hPLdeFdSoDd3ELmx404tLX0VRRcqzAsPhXcI",
    "alg": "ES384",
}
PUBLISHED_TOKEN = (
    b"eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUta2lkIiwiamt1IjoiaHR0cHM6Ly9maGlyLWVoci5leGFtcGxlLmNvbS9q"
    b"d2tfdXJpIn0.eyJpc3MiOiJodHRwczovL2ZoaXItZWhyLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vY2RzLmV4YW1wbGUub3JnL2Nkcy1z"
    b"ZXJ2aWNlcy9zb21lLXNlcnZpY2UiLCJleHAiOjE0MjI1Njg4NjAsImlhdCI6MTMxMTI4MDk3MCwianRpIjoiZWUyMmIwMjEtZTFiNy00NjExLWJh"
    b"NWItOGVlYzZhMzNhYzFlIiwidGVuYW50IjoiMmRkZDZjM2EtOGU5YS00NGM2LWEzMDUtNTIxMTFhZDMwMmEyIn0.d1WfLjGRKlcWB94l9do4cM8R"
    b"EXeYJLL6SGUBO8VHZhfM8mwKYP70EMxJ67War4TQblEpaQrp11wx5p7oPFm2ETYgCicS84vXWEIYTdjooZdooCSDf2L8-i4awdoUwiEb"
)


def test_the_specifications_own_token_verifies_with_its_key() -> None:
    key = read_key(PUBLISHED_KEY, where="key")
    assert key.verifies(PUBLISHED_TOKEN, "ES384")
    assert not key.verifies(PUBLISHED_TOKEN.replace(b".d1W", b".d1X"), "ES384")


def _short_rsa() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return public(RSAKey.generate_key(1024, {"kid": "short"}))


REFUSED = [
    pytest.param(_short_rsa, "RSA key of 2048", id="RSA of 1024 bits"),
    pytest.param(lambda: public(rsa_key(), n="_" * 1408), "RSA key of 2048", id="RSA of 8448 bits"),
    pytest.param(lambda: public(rsa_key(), n="A" * 99_999), "as text", id="RSA of 600,000 bits"),
    pytest.param(lambda: public(rsa_key(), n="AQAB"), "numbers that are none", id="RSA of 17 bits"),
    pytest.param(lambda: public(rsa_key(), e="AQ"), "numbers that are none", id="RSA with exponent 1"),
    pytest.param(lambda: public(rsa_key(), n="*"), "numbers that are none", id="RSA that is no base64"),
    pytest.param(lambda: public(rsa_key(), n=7), "as text", id="RSA with a number"),
    pytest.param(lambda: public(ec_key("p256", "P-256")), "EC on P-384", id="P-256"),
    pytest.param(lambda: public(ec_key(), x="AAAA"), "numbers that are none", id="a point off the curve"),
    pytest.param(lambda: OctKey.generate_key(256, {"kid": "x"}).as_dict(), "secret", id="A-05 symmetric"),
    pytest.param(lambda: OKPKey.generate_key("Ed25519", {"kid": "x"}).as_dict(private=False), "kty RSA", id="Ed25519"),
    pytest.param(lambda: ec_key().as_dict(private=True), "secret", id="private"),
    pytest.param(lambda: public(ec_key(), use="enc"), "for signatures", id="for encryption"),
    pytest.param(lambda: public(ec_key(), key_ops=["sign"]), "for signatures", id="for signing alone"),
    pytest.param(lambda: public(ec_key(), key_ops="verify"), "key_ops as a list", id="key_ops no list"),
    pytest.param(lambda: public(ec_key(), alg="HS384"), "an alg of", id="for HMAC"),
    pytest.param(lambda: public(rsa_key(), alg="ES384"), "an alg of", id="for another kty"),
    pytest.param(lambda: public(ec_key(), kid=""), "expected a kid", id="empty kid"),
    pytest.param(lambda: public(ec_key(), kid=1), "expected a kid", id="kid a number"),
    pytest.param(lambda: public(ec_key(), kid="a\n"), "expected a kid", id="kid with a line end"),
    pytest.param(lambda: [1], "as an object", id="no object"),
]


@pytest.mark.parametrize(("jwk", "complaint"), REFUSED)
def test_a_key_that_we_do_not_use_is_left_aside_and_counted(jwk: Any, complaint: str) -> None:
    with pytest.raises(KeySetError, match=complaint):
        read_key(jwk(), where="key")
    published = read_key_set(json.dumps({"keys": [jwk(), public(ec_key("good"))]}).encode())
    assert list(published.keys) == ["good"]
    ((reason, count),) = published.ignored.items()
    assert complaint in reason
    assert count == 1


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(b"<html>", "no JSON in UTF-8", id="HTML"),
        pytest.param(b"[]", "no JSON object", id="a list"),
        pytest.param(b"{}", "with 1 to 32 keys", id="no keys"),
        pytest.param(b'{"keys":{}}', "with 1 to 32 keys", id="keys no list"),
        pytest.param(b'{"keys":[],"keys":[1]}', "one member twice", id="keys twice"),
        pytest.param(key_set(*[ec_key()] * (MOST_KEYS + 1)), "with 1 to 32 keys", id="33 keys"),
        pytest.param(key_set(ec_key(), ec_key()), "two of one kid", id="one kid twice"),
        pytest.param(key_set(ec_key("p256", "P-256")), "got none: key: expected kty RSA", id="no key for us"),
        pytest.param(b'{"keys":' + b"[" * 9000, "no JSON in UTF-8", id="nested 9000 deep"),
    ],
)
def test_a_set_that_is_none_is_refused(body: bytes, complaint: str) -> None:
    with pytest.raises(KeySetError, match=complaint):
        read_key_set(body)


@pytest.mark.parametrize("algorithm", KEY_TYPES)
def test_a_key_verifies_its_owners_signatures_by_each_algorithm(algorithm: str) -> None:
    private = rsa_key() if KEY_TYPES[algorithm] == "RSA" else ec_key()
    other = rsa_key("stranger") if KEY_TYPES[algorithm] == "RSA" else ec_key("stranger")
    compact = signed(header(alg=algorithm), key=private).encode()
    assert read_key(public(private), where="key").verifies(compact, algorithm)
    assert not read_key(public(other), where="key").verifies(compact, algorithm)
    assert not decoys()[algorithm].verifies(compact, algorithm)
    for another in set(KEY_TYPES) - {algorithm}:
        assert not read_key(public(private), where="key").verifies(compact, another)


def test_a_key_that_names_its_algorithm_verifies_no_other() -> None:
    compact = signed(header(alg="RS384"), key=rsa_key()).encode()
    assert read_key(public(rsa_key(), alg="RS384"), where="key").verifies(compact, "RS384")
    assert not read_key(public(rsa_key(), alg="PS384"), where="key").verifies(compact, "RS384")


@given(st.binary(max_size=200))
def test_no_text_without_a_signature_verifies(compact: bytes) -> None:
    assert not read_key(public(ec_key()), where="key").verifies(compact, "ES384")


def test_a_keys_text_form_shows_no_numbers() -> None:
    key = read_key(public(ec_key()), where="key")
    assert str(public(ec_key())["x"]) not in repr(key)
    assert repr(read_key_set(key_set(ec_key()))) == "KeySet(1 keys, 0 ignored)"
