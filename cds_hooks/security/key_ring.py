"""The key ring: every client's keys, fetched ones kept and renewed.

Rules, for keys that are fetched:

- Younger than half of MAX_AGE_SECONDS: used. Older: used, and renewed meanwhile. Older than all of it: renewed first.
- An id that is not among them: renewed once, for the client may have changed its keys; not again for
  MIN_INTERVAL_SECONDS, for anyone can make up an id.
- The URL fails: asked again after FIRST_RETRY_SECONDS, then twice as long each time, up to LAST_RETRY_SECONDS. The
  keys last fetched stay in use until they are KEEP_SECONDS old.
- Many calls that wait for one key set wait for one fetch.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from cds_hooks.security.errors import Refused
from cds_hooks.security.key_fetch import KeyFetchError
from cds_hooks.security.keys import KeySet, KeySetError, VerificationKey, read_key_set
from cds_hooks.security.registrations import Registration
from cds_hooks.security.tokens import Header
from cds_hooks.security.urls import ServerUrl, UrlError, read_url

MAX_AGE_SECONDS: Final = 600.0
MIN_INTERVAL_SECONDS: Final = 30.0
FIRST_RETRY_SECONDS: Final = 5.0
LAST_RETRY_SECONDS: Final = 300.0
KEEP_SECONDS: Final = 12 * 3600.0

Fetch: TypeAlias = Callable[[Registration, ServerUrl], Awaitable[bytes]]
Clock: TypeAlias = Callable[[], float]

_logger = logging.getLogger("cds_hooks.security")


class KeyRing:
    """Finds the key that a token names, in one process."""

    def __init__(self, fetch: Fetch, *, monotonic: Clock) -> None:
        """`fetch`: see KeyFetcher; `monotonic`: seconds that only ever grow, from any start."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._fetched: dict[tuple[str, ServerUrl], _FetchedKeys] = {}

    async def find(self, registration: Registration, header: Header) -> VerificationKey:
        """The key with which the token's signature is to be checked.

        Raises:
            Refused: the token names a key set that is not listed, a key that is not there, or one that is not for
                its algorithm; or the keys are out of reach.
        """
        url = _key_url(registration, header)
        if registration.keys:  # pinned: a listed jku is allowed to be said, and is not fetched
            keys: Mapping[str, VerificationKey] = registration.keys
        else:
            keys = await self._kept(registration, url).holding(header.kid)
        key = keys.get(header.kid)
        if key is None:
            raise Refused("key unknown", client=registration.name)
        if not key.fits(header.alg):
            raise Refused("key for another algorithm", client=registration.name)
        return key

    def _kept(self, registration: Registration, url: ServerUrl | None) -> "_FetchedKeys":
        if url is None:  # the token names no jku, and there is no other place
            raise Refused("jku not listed", client=registration.name)
        place = (registration.name, url)
        if place not in self._fetched:  # bounded: only listed URLs come here
            self._fetched[place] = _FetchedKeys(registration, url, self._fetch, self._monotonic)
        return self._fetched[place]


def _key_url(registration: Registration, header: Header) -> ServerUrl | None:
    """Where the token's key is published: never anywhere but where the registration says."""
    if header.jku is None:
        return registration.jwks_url
    try:
        url = read_url(header.jku)
    except UrlError:
        raise Refused("jku not listed", client=registration.name) from None
    if url != registration.jwks_url and url not in registration.jku:
        raise Refused("jku not listed", client=registration.name)
    return url


class _FetchedKeys:
    """The key set of one client at one URL."""

    def __init__(self, registration: Registration, url: ServerUrl, fetch: Fetch, monotonic: Clock) -> None:
        self._registration = registration
        self._url = url
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: Mapping[str, VerificationKey] = {}
        self._fetched_at = float("-inf")
        self._next_try_at = float("-inf")
        self._failures = 0
        self._renewal: asyncio.Task[None] | None = None

    async def holding(self, key_id: str) -> Mapping[str, VerificationKey]:
        """The keys, renewed if they are old or if this id is not among them.

        Raises:
            Refused: there are none.
        """
        age = self._age()
        if key_id not in self._keys or age > MAX_AGE_SECONDS:
            await self._renewed()
        elif age > MAX_AGE_SECONDS / 2:
            self._renew()
        if self._age() > KEEP_SECONDS:
            raise Refused("keys out of reach", client=self._registration.name)
        return self._keys

    def _age(self) -> float:
        return self._monotonic() - self._fetched_at

    async def _renewed(self) -> None:
        renewal = self._renew()
        if renewal is not None:
            await asyncio.shield(renewal)  # a caller that gives up does not take the keys from the others

    def _renew(self) -> asyncio.Task[None] | None:
        """The renewal under way, or a new one if it is time for one."""
        if self._renewal is not None:
            return self._renewal
        if self._monotonic() < self._next_try_at:
            return None
        self._renewal = asyncio.create_task(self._try())
        return self._renewal

    async def _try(self) -> None:
        try:
            found = read_key_set(await self._fetch(self._registration, self._url))
        except (KeyFetchError, KeySetError) as error:
            self._failed(str(error))
        else:
            self._succeeded(found)
        finally:
            self._renewal = None

    def _succeeded(self, found: KeySet) -> None:
        now = self._monotonic()
        self._keys, self._fetched_at, self._failures = found.keys, now, 0
        self._next_try_at = now + MIN_INTERVAL_SECONDS
        _logger.info("keys_fetched", extra=self._said | {"keys": len(found.keys), "ignored": dict(found.ignored)})

    def _failed(self, why: str) -> None:
        pause = min(FIRST_RETRY_SECONDS * 2 ** min(self._failures, 16), LAST_RETRY_SECONDS)
        self._failures += 1
        self._next_try_at = self._monotonic() + pause
        _logger.warning("keys_not_fetched", extra=self._said | {"why": why, "failures": self._failures})

    @property
    def _said(self) -> dict[str, object]:
        return {"client": self._registration.name, "url": str(self._url)}
