"""Tokens: from the Authorization header to a header and claims of the agreed form, nothing believed yet.

Source: CDS Hooks 2.0.1 and 3.0 ballot, Trusting CDS Clients; RFC 6750, RFC 7515, RFC 7519.
"""

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from cds_hooks.security.errors import Refused
from cds_hooks.security.strict_json import JsonError, read_object
from cds_hooks.security.urls import UrlError, read_url

MOST_BYTES: Final = 8192  # a token with a 4096-bit signature, a long jku and ten claims has about 1500
CLOCK_SKEW_SECONDS: Final = 30
LONGEST_LIFETIME_SECONDS: Final = 3600  # "no more than an hour": CDS Hooks, best practices
MOST_AUDIENCES: Final = 8

_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LATEST: Final = 253_402_300_799  # the end of the year 9999, in seconds since 1970

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Seconds = Annotated[int, Meta(ge=0, le=_LATEST)] | Annotated[float, Meta(ge=0, le=_LATEST)]
T = TypeVar("T", "Header", "Claims")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Header:
    """What a token says of its signature. Other members are not looked at; `crit` and `b64` are refused."""

    alg: Text
    kid: Text
    typ: Literal["JWT"]
    jku: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Claims:
    """What a token says of its bearer. Times in seconds since 1970 (RFC 7519, NumericDate: fractions allowed)."""

    iss: Text
    aud: Text | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=MOST_AUDIENCES)]
    exp: Seconds
    iat: Seconds
    jti: Text
    nbf: Seconds = 0
    tenant: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Token:
    """A token that has the agreed form; whether it is genuine is another question."""

    compact: bytes
    header: Header
    claims: Claims


def bearer(authorizations: Sequence[str]) -> bytes:
    """The compact token of a request's Authorization headers.

    Raises:
        Refused: there is not exactly one, of the scheme Bearer, of bounded length.
    """
    if not authorizations:
        raise Refused("no token")
    if len(authorizations) > 1:
        raise Refused("several Authorization headers")
    (value,) = authorizations
    if len(value) > MOST_BYTES:
        raise Refused("token too long")
    scheme, _, compact = value.partition(" ")
    if scheme.lower() != "bearer":
        raise Refused("not a Bearer token")
    if not compact.isascii():
        raise Refused("not a JWT")
    return compact.strip(" ").encode("ascii")


def read_token(compact: bytes) -> Token:
    """Read a token's header and claims.

    Raises:
        Refused: they have not the agreed form.
    """
    if not _COMPACT.fullmatch(compact):
        raise Refused("not a JWT")
    header_part, claims_part, _ = compact.split(b".")
    try:
        header, claims = _decoded(header_part), _decoded(claims_part)
    except (JsonError, binascii.Error):
        raise Refused("not a JWT") from None
    # A member that must be understood, and none is; b64 changes what is signed (RFC 7515, 4.1.11; RFC 7797).
    if "crit" in header or "b64" in header:
        raise Refused("header not as agreed")
    try:
        read_header = _converted(header, Header)
    except msgspec.ValidationError:
        raise Refused("header not as agreed") from None
    try:
        read_claims = _converted(claims, Claims)
    except msgspec.ValidationError:
        raise Refused("claims not as agreed") from None
    return Token(compact=compact, header=read_header, claims=read_claims)


def check_audience(claims: Claims, endpoint: Collection[str]) -> None:
    """The token is for this endpoint: one of its audiences is one of the endpoint's URLs (RFC 7519, 4.1.3).

    Args:
        claims: of the token.
        endpoint: the endpoint's URLs, canonical, one for each name under which clients know this server.

    Raises:
        Refused: it is for another.
    """
    audiences = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if not any(_canonical(audience) in endpoint for audience in audiences):
        raise Refused("other audience")


def check_times(claims: Claims, *, now: float, lifetime_seconds: int = LONGEST_LIFETIME_SECONDS) -> None:
    """The token is valid now and was never meant to be for long; clocks may differ by `CLOCK_SKEW_SECONDS`.

    Raises:
        Refused: it is not.
    """
    if claims.exp <= now - CLOCK_SKEW_SECONDS:
        raise Refused("expired")
    if max(claims.iat, claims.nbf) > now + CLOCK_SKEW_SECONDS:
        raise Refused("not yet valid")
    if not 0 < claims.exp - claims.iat <= lifetime_seconds:
        raise Refused("lifetime too long")


def _decoded(part: bytes) -> dict[str, Any]:
    return read_object(base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True))


def _converted(found: dict[str, Any], to: type[T]) -> T:
    ours = {field.name: found[field.name] for field in fields(to) if field.name in found}
    # NUL, line ends and the like have no place in an identifier: they break stores and logs.
    if not all(value.isprintable() for value in ours.values() if isinstance(value, str)):
        raise msgspec.ValidationError
    return msgspec.convert(ours, to)


def _canonical(audience: str) -> str | None:
    try:
        return str(read_url(audience))
    except UrlError:
        return None
