"""Clients: a site's registrations become what lets its clients in.

The only file of the server that loads what checks signatures; without registrations nobody imports it.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cds_hooks.cors import CorsPolicy
from cds_hooks.security.authenticator import Authenticator
from cds_hooks.security.key_fetch import KeyFetcher
from cds_hooks.security.key_ring import KeyRing
from cds_hooks.security.network import SystemResolver
from cds_hooks.security.rates import RateLimits
from cds_hooks.security.registration_files import load_registrations
from cds_hooks.security.registrations import Registrations
from cds_hooks.security.replay import ReplayStoreError, SqliteReplayStore
from serving.settings import SettingsError

USED_TOKENS = "used-tokens.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The clients of one process.

    Opened before workers are forked: until the first request there is neither a thread nor a connection, so that
    each worker has its own. Which tokens were used, all of them see in one file.

    Attributes:
        registrations: who they are.
        authenticator: lets them in.
        resolver: turns the names of their servers into addresses.
    """

    registrations: Registrations
    authenticator: Authenticator
    resolver: SystemResolver
    replay: SqliteReplayStore

    @property
    def cors(self) -> CorsPolicy:
        """Which web pages may call."""
        return self.registrations.cors()

    async def close(self) -> None:
        """Release threads and the file; no request may come after."""
        self.resolver.close()
        await self.replay.close()


def open_clients(path: Path, *, services: Collection[str], public_urls: Collection[str], state: Path) -> Clients:
    """Read the registrations and open what they need.

    Args:
        path: file or folder of registrations.
        services: ids of the services of this server; a client that is registered for another is a mistake.
        public_urls: every URL under which clients know this server.
        state: folder for the file of used tokens.

    Raises:
        RegistrationError: a registration cannot be used.
        UrlError: a public URL is none.
        SettingsError: the file of used tokens cannot be made.
    """
    registrations = load_registrations(path)
    registrations.check_services(services)
    resolver = SystemResolver()
    try:
        replay = SqliteReplayStore(state / USED_TOKENS)
    except ReplayStoreError as error:
        raise SettingsError(f"state: {error}") from error
    authenticator = Authenticator(
        registrations=registrations,
        public_urls=public_urls,
        keys=KeyRing(KeyFetcher(resolver), monotonic=time.monotonic),
        replay=replay,
        rates=RateLimits(monotonic=time.monotonic),
        clock=time.time,
    )
    return Clients(registrations=registrations, authenticator=authenticator, resolver=resolver, replay=replay)
