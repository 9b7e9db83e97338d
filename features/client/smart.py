"""SMART Backend Services: an access token for a program, against its private key.

SMART App Launch 2.2, "Backend Services" (https://hl7.org/fhir/smart-app-launch/backend-services.html), and RFC 7523.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from features.client.errors import AuthorizationError, NotFhirError
from features.client.failures import failure, html_error, is_html, plain
from features.client.signing import SigningKey
from features.client.transport import Answer, Request, Transport
from features.client.urls import UrlError, is_private, origin_of, shown

WELL_KNOWN = ".well-known/smart-configuration"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240  # the standard allows 300; the rest is for clocks that differ
SHORTEST_LIFE_SECONDS = 60  # of a token of which the server does not say how long it lives
EARLY_SECONDS = 30  # a token is replaced this long before its end, but not before half of its life

OK = 200

# RFC 6749, section 5.2, and what is usually behind it.
_ADVICE = {
    "invalid_client": "Check that the client's id and the public key with this key id are registered there, and that "
    "both clocks are right.",
    "invalid_scope": "Ask for a scope that the client is registered for.",
    "unauthorized_client": "The client is not registered for backend services (client credentials).",
    "unsupported_grant_type": "The server does not offer backend services (client credentials).",
    "invalid_grant": "Check that both clocks are right.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who we are to the authorization server, and what we ask for."""

    client_id: str
    key: SigningKey
    scope: str = "system/*.rs"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float  # Unix seconds


class _Configuration(msgspec.Struct, frozen=True):
    token_endpoint: str
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()


class _Grant(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - how the token is sent
    expires_in: float | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: str
    error_description: str = ""


def discover(transport: Transport, client: Client) -> str:
    """The server's token endpoint, of a server that lets us in with a key like ours.

    Raises:
        ClientError: the server does not say where, or wants another way in.
    """
    answer = transport.send(Request(url=f"{transport.base}/{WELL_KNOWN}", headers={"Accept": "application/json"}))
    if answer.status != OK:
        raise failure(answer.status, answer.headers, answer.body, answer.url)
    try:
        found = msgspec.json.decode(answer.body, type=_Configuration)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if is_html(answer.headers, answer.body):
            raise html_error(answer.url, answer.status) from error
        raise NotFhirError(f"{shown(answer.url)}: expected a SMART configuration with a token_endpoint.") from error
    methods = found.token_endpoint_auth_methods_supported
    algorithms = found.token_endpoint_auth_signing_alg_values_supported
    if methods and "private_key_jwt" not in methods:
        raise AuthorizationError(f"{shown(answer.url)}: expected private_key_jwt among the ways in; it is not offered.")
    if algorithms and client.key.algorithm not in algorithms:
        raise AuthorizationError(
            f"{shown(answer.url)}: our key signs {client.key.algorithm}; the server takes "
            f"{plain(', '.join(algorithms))}. Register a key for one of RS384 and ES384 that it takes."
        )
    return found.token_endpoint


class BackendServices:
    """Tokens for a client, each kept until shortly before its end; for one thread."""

    def __init__(self, transport: Transport, client: Client, *, token_endpoint: str, new_id: Callable[[], str]) -> None:
        """Take what is needed.

        Args:
            transport: to the server, without authorization.
            client: who asks.
            token_endpoint: where; it may be on another origin than the FHIR server.
            new_id: gives a text that was never given before, for `jti`.

        Raises:
            AuthorizationError: the token endpoint is no URL, or others could listen.
        """
        try:
            is_kept_private = is_private(token_endpoint)
        except UrlError as error:
            raise AuthorizationError(f"Token endpoint: {error}") from error
        if not is_kept_private:
            raise AuthorizationError(f"{shown(token_endpoint)}: expected a token endpoint with https.")
        self._transport = transport
        self._client = client
        self._endpoint = token_endpoint
        self._new_id = new_id
        self._token: _Token | None = None

    def token(self) -> str:
        """A token that is valid now.

        Raises:
            AuthorizationError: none is given; the message says what the server says.
        """
        if self._token is None or self._transport.pace.clock() >= self._token.renew_at:
            # Each try signs anew: a server that has seen an assertion's `jti` refuses it.
            answer = self._transport.persist(lambda: self._transport.once(self._request()))
            self._token = self._granted(answer)
        return self._token.value

    def forget(self) -> None:
        """Ask for a new token the next time."""
        self._token = None

    def _request(self) -> Request:
        who = self._client.client_id
        assertion = self._client.key.sign(
            {
                "iss": who,
                "sub": who,
                "aud": self._endpoint,
                "exp": int(self._transport.pace.clock()) + ASSERTION_SECONDS,
                "jti": self._new_id(),
            }
        )
        return Request(
            url=self._endpoint,
            method="POST",
            headers={"Accept": "application/json"},
            form={
                "grant_type": "client_credentials",
                "scope": self._client.scope,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": assertion,
            },
            other_origins=frozenset({origin_of(self._endpoint)}),
        )

    def _granted(self, answer: Answer) -> _Token:
        if answer.status != OK:
            raise self._refused(answer)
        try:
            grant = msgspec.json.decode(answer.body, type=_Grant)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Not chained: what was sent may hold a token.
            raise AuthorizationError(
                f"{shown(answer.url)}: expected an access_token, got an answer without one."
            ) from None
        if grant.token_type.lower() != "bearer":
            raise AuthorizationError(f"{shown(answer.url)}: expected a bearer token, got another kind.")
        life = SHORTEST_LIFE_SECONDS if grant.expires_in is None else grant.expires_in
        renew_at = self._transport.pace.clock() + max(life - EARLY_SECONDS, life / 2)
        return _Token(value=grant.access_token, renew_at=renew_at)

    def _refused(self, answer: Answer) -> AuthorizationError:
        try:
            refusal = msgspec.json.decode(answer.body, type=_Refusal)
        except (msgspec.DecodeError, UnicodeDecodeError):
            refusal = _Refusal(error="")
        advice = _ADVICE.get(refusal.error, "See the authorization server's own log for why.")
        said = plain(f"{refusal.error} {refusal.error_description}")
        who = f"client {self._client.client_id}, key {self._client.key.key_id} ({self._client.key.algorithm})"
        return AuthorizationError(
            f"{shown(answer.url)}: no token for {who}: HTTP {answer.status}.{f' It says: {said}.' if said else ''} "
            f"{advice}",
            status=answer.status,
        )
