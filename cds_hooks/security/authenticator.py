"""The authenticator: from a request's Authorization header to the client that sent it, or a refusal.

Source: CDS Hooks 2.0.1 and 3.0 ballot, Trusting CDS Clients. Discovery and feedback are authenticated like calls.
"""

import logging
from collections.abc import Callable, Collection, Sequence

from cds_hooks.errors import Overloaded
from cds_hooks.security.caller import Caller, Endpoint
from cds_hooks.security.errors import Forbidden, Refused, Unauthenticated
from cds_hooks.security.key_ring import KeyRing
from cds_hooks.security.keys import KEY_TYPES, VerificationKey, decoys
from cds_hooks.security.rates import RateLimits
from cds_hooks.security.registrations import Registration, Registrations
from cds_hooks.security.replay import ReplayStore, ReplayStoreError
from cds_hooks.security.tokens import (
    CLOCK_SKEW_SECONDS,
    Claims,
    Token,
    bearer,
    check_audience,
    check_times,
    read_token,
)
from cds_hooks.security.urls import read_url

__all__ = ["Authenticator", "Caller", "Endpoint"]

_logger = logging.getLogger("cds_hooks.security")


class Authenticator:
    """Checks tokens in one process."""

    def __init__(
        self,
        *,
        registrations: Registrations,
        public_urls: Collection[str],
        keys: KeyRing,
        replay: ReplayStore,
        rates: RateLimits,
        clock: Callable[[], float],
    ) -> None:
        """Set up.

        Args:
            registrations: the clients.
            public_urls: every URL under which clients know this server; `aud` is one of them and the endpoint's path.
            keys: of the clients.
            replay: which tokens were used, by any process.
            rates: how often each client called this process.
            clock: seconds since 1970.

        Raises:
            UrlError: a public URL is none.
        """
        self.registrations = registrations
        self._public_urls = tuple(str(read_url(url)) for url in public_urls)
        self._keys = keys
        self._decoys = decoys()
        self._replay = replay
        self._rates = rates
        self._clock = clock

    async def authenticate(self, authorizations: Sequence[str], endpoint: Endpoint) -> Caller:
        """The client that sent a request, which may do what it asks for and has one request less to spend.

        Args:
            authorizations: the values of all Authorization headers that came.
            endpoint: what is called; it need not exist.

        Raises:
            Unauthenticated: 401, the same words whatever is wrong.
            Forbidden: 403, a client that may not call this service.
            TooManyRequests: 429.
            Overloaded: 503, whether the token was used before cannot be told.
        """
        try:
            caller = await self._caller(authorizations, endpoint)
        except Refused as refusal:
            _logger.warning(
                "client_refused",
                extra={"reason": refusal.reason, "client": refusal.client, "endpoint": endpoint.kind},
            )
            raise Unauthenticated(token_came=bool(authorizations)) from None
        except ReplayStoreError as error:
            _logger.error("used_tokens_out_of_reach", extra={"why": str(error)})  # noqa: TRY400 - type and place suffice
            raise Overloaded("The server cannot check tokens now.", headers={"retry-after": "5"}) from error
        self._rates.take(caller.registration)
        if endpoint.service_id is not None and not caller.registration.may_call(endpoint.service_id):
            _logger.warning("service_forbidden", extra={"client": caller.registration.name, "endpoint": endpoint.kind})
            raise Forbidden(
                "Expected a call of a service that this client is registered for; it is for another.",
                client=caller.registration.name,
            )
        return caller

    async def _caller(self, authorizations: Sequence[str], endpoint: Endpoint) -> Caller:
        token = read_token(bearer(authorizations))
        claims, now = token.claims, self._clock()
        # First what costs nothing and tells the caller nothing but what it sent; then the signature.
        if token.header.alg not in KEY_TYPES:
            raise Refused("algorithm not allowed")
        check_audience(claims, frozenset(url + endpoint.path for url in self._public_urls))
        check_times(claims, now=now)
        registration = await self._signer(token)
        check_times(claims, now=now, lifetime_seconds=registration.token_lifetime_seconds)
        await self._check_first_use(claims, registration, now)
        return Caller(registration=registration, tenant=claims.tenant)

    async def _signer(self, token: Token) -> Registration:
        """The client whose signature this is. One signature is checked in any case, if need be against a decoy."""
        registration = self.registrations.find(token.claims.iss, token.claims.tenant)
        try:
            key = await self._key(registration, token)
        except Refused:
            self._decoys[token.header.alg].verifies(token.compact, token.header.alg)
            raise
        genuine = key.verifies(token.compact, token.header.alg)
        if registration is None or not genuine:
            raise Refused("wrong signature", client=None if registration is None else registration.name)
        return registration

    async def _key(self, registration: Registration | None, token: Token) -> VerificationKey:
        if registration is None:
            raise Refused("issuer or tenant not registered")
        if token.header.alg not in registration.algorithms:
            raise Refused("algorithm not allowed", client=registration.name)
        return await self._keys.find(registration, token.header)

    async def _check_first_use(self, claims: Claims, registration: Registration, now: float) -> None:
        first = await self._replay.first_use(
            claims.iss, claims.jti, expires_at=claims.exp + CLOCK_SKEW_SECONDS, now=now
        )
        if not first:
            raise Refused("used before", client=registration.name)
