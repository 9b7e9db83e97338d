"""Tokens: whatever the text, it is a token of the agreed form or refused, and nothing else happens."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.security.errors import Refused
from cds_hooks.security.tokens import MOST_BYTES, Claims, Token, bearer, check_audience, check_times, read_token
from tests.cds_hooks.security.clients import CALLED, NOW, claims, encoded, header, signed

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def _compact(head: Any, body: Any) -> bytes:
    parts = (encoded(json.dumps(part).encode()) for part in (head, body))
    return b".".join((*parts, encoded(b"signature")))


def _checked(authorizations: list[str]) -> Token | str:
    """All that is done before a signature is looked at."""
    try:
        token = read_token(bearer(authorizations))
        check_audience(token.claims, {CALLED})
        check_times(token.claims, now=NOW)
    except Refused as refused:
        return refused.reason
    return token


@given(
    st.lists(st.text() | st.text().map("Bearer {}".format) | st.binary().map(lambda raw: f"Bearer {raw!r}"), max_size=2)
)
def test_any_headers_are_refused(authorizations: list[str]) -> None:
    assert isinstance(_checked(authorizations), str)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "jku", "crit", "x"]), ODD),
    st.dictionaries(st.sampled_from(["iss", "aud", "exp", "iat", "jti", "nbf", "tenant", "x"]), ODD),
)
def test_odd_members_in_place_of_agreed_ones_are_refused_or_read_as_what_they_are(
    head: dict[str, Any], body: dict[str, Any]
) -> None:
    found = _checked([f"Bearer {_compact(header(**head), claims(**body)).decode()}"])
    if isinstance(found, Token):
        assert set(head) <= {"alg", "kid", "jku", "x", "typ"}
        assert (found.claims.iss, found.claims.jti) == (claims(**body)["iss"], claims(**body)["jti"])
        assert isinstance(found.claims.exp, int | float)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_as_header_and_claims_are_refused(head: bytes, body: bytes) -> None:
    compact = b".".join((encoded(head), encoded(body), b"AAAA")).decode()
    assert isinstance(_checked([f"Bearer {compact}"]), str)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    """RFC 9110, section 11.1."""
    assert isinstance(_checked([f"{scheme} {signed()}"]), Token)


def test_the_longest_token_is_read_and_one_character_more_is_not() -> None:
    for length, expected in ((MOST_BYTES, "not a JWT"), (MOST_BYTES + 1, "token too long")):
        assert _checked([f"Bearer {'x' * (length - len('Bearer '))}"]) == expected


def test_a_tokens_text_form_shows_nothing_of_it() -> None:
    token = read_token(signed().encode())
    for thing in (token, token.header, token.claims, Claims(iss="i", aud="a", exp=1, iat=1, jti="canary")):
        assert not any(word in repr(thing) for word in ("canary", "jti-1", "ehr.example", "eyJ"))
