"""What keeps a caller out: the answers that a client sees, and the reasons that only our log sees.

CDS Hooks asks that a refusal does not tell why (best practices, JWT): every refused token gets one and the same
answer. The reason is a word of `Reason` in our log, beside the registration's own name; nothing of the token is in it.
"""

# ruff: noqa: N818 - as cds_hooks.errors: named for what happened

from collections.abc import Mapping
from typing import Literal, TypeAlias

from cds_hooks.errors import CdsHooksError

Reason: TypeAlias = Literal[
    "no token",
    "several Authorization headers",
    "not a Bearer token",
    "token too long",
    "not a JWT",
    "header not as agreed",
    "algorithm not allowed",
    "claims not as agreed",
    "other audience",
    "expired",
    "not yet valid",
    "lifetime too long",
    "issuer or tenant not registered",
    "jku not listed",
    "key unknown",
    "key for another algorithm",
    "keys out of reach",
    "wrong signature",
    "used before",
]

_EXPECTED = (
    "Expected Authorization: Bearer with a JWT as registered here (CDS Hooks, Trusting CDS Clients): header alg, kid "
    "and typ JWT; claims iss, aud (the URL of this endpoint), exp, iat and a new jti; short-lived, and signed."
)


class RegistrationError(ValueError):
    """A file of client registrations that cannot be used; the message names file, client and field."""


class Refused(Exception):
    """A token is not accepted. Stays in this package: the client sees `Unauthenticated`."""

    def __init__(self, reason: Reason, *, client: str | None = None) -> None:
        """`client`: name of the registration in question, once there is one; ours, not the token's."""
        super().__init__(reason)
        self.reason: Reason = reason
        self.client = client


class Unauthenticated(CdsHooksError):
    """No token, or one that is not accepted; which and why is not told."""

    status = 401
    code = "login"

    def __init__(self, *, token_came: bool) -> None:
        """`token_came`: RFC 6750, section 3.1: the challenge names an error only if there was a token."""
        challenge = 'Bearer realm="cds-services"' + (', error="invalid_token"' if token_came else "")
        super().__init__(_EXPECTED, headers={"www-authenticate": challenge})


class ClientRefused(CdsHooksError):
    """A client proved who it is, and is refused all the same. `client`: its registration's name."""

    def __init__(self, message: str, *, client: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.client = client


class Forbidden(ClientRefused):
    """The client is known, and this service is not among those that it may call."""

    status = 403
    code = "forbidden"


class TooManyRequests(ClientRefused):
    """The client calls more often than was agreed."""

    status = 429
    code = "throttled"
