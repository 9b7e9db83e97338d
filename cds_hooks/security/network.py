"""Network policy: where a client's request may make this server connect to.

A request names its FHIR server, a registration its key sets. Both are URLs that somebody else wrote, so: only what
the registration lists is connected to; a name is resolved once; and the connection goes to the address that was
checked, not to the name, which could mean another address a moment later (DNS rebinding).
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cds_hooks.security.addresses import is_permitted, meant
from cds_hooks.security.urls import Address, ServerUrl, UrlError, literal_address, read_url

if TYPE_CHECKING:  # it brings what checks signatures, which a server without clients need not import
    from cds_hooks.security.registrations import Registration

RESOLVE_SECONDS: Final = 3.0
_MOST_LOOKUPS: Final = 4  # at once: a name server that hangs must not take the threads of everything else

NetworkReason: TypeAlias = Literal["not a URL", "not listed", "name not resolved", "address not permitted"]
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_logger = logging.getLogger("cds_hooks.security")


class ConnectionRefusal(Exception):  # noqa: N818 - as cds_hooks.errors
    """We do not connect there. The message names neither URL nor address: it may reach the client."""

    def __init__(self, reason: NetworkReason) -> None:
        super().__init__(f"No connection is made: {reason}.")
        self.reason: NetworkReason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A server, and the checked addresses to connect to, in the order in which the resolver prefers them.

    To be reached by address, with `url.authority` as the Host header and `url.host` for SNI and the certificate.
    Never keep such a connection for another name: one address may serve many.
    """

    url: ServerUrl
    addresses: tuple[Address, ...]

    def by_address(self, address: Address) -> str:
        """The base URL with the address in place of the name."""
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - version of IP
        return f"{self.url.scheme}://{host}:{self.url.port}{self.url.path}"


class SystemResolver:
    """The operating system's resolver (hosts file, DNS), on a few threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=_MOST_LOOKUPS, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Addresses as text. Raises OSError where there are none."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return tuple(str(address[0]) for *_, address in found)

    def close(self) -> None:
        """Let the threads end; one that still waits for an answer ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def may_connect(registration: "Registration", fhir_server: str) -> bool:
    """Whether a request of this client may name this FHIR server: its base URL is one of those listed.

    Base URLs are compared in canonical form: host in any case, default port or none, with or without a slash at the
    end. Says nothing of addresses: that is `destination`.
    """
    try:
        return read_url(fhir_server) in registration.fhir_servers
    except UrlError:
        return False


async def fhir_destination(registration: "Registration", fhir_server: str, resolve: Resolver) -> Destination:
    """Where to connect for a request's `fhirServer`; no packet but the resolver's own leaves for it.

    Raises:
        ConnectionRefusal: it is not listed, cannot be resolved, or lies where this client's servers may not be.
    """
    try:
        url = read_url(fhir_server)
    except UrlError as error:
        raise ConnectionRefusal("not a URL") from error
    if url not in registration.fhir_servers:
        raise ConnectionRefusal("not listed")
    return await destination(registration, url, resolve)


async def destination(registration: "Registration", url: ServerUrl, resolve: Resolver) -> Destination:
    """Resolve a listed server once and keep the addresses that may be connected to.

    Raises:
        ConnectionRefusal: there is none.
    """
    found = (url.address,) if url.address is not None else await _addresses(url, resolve)
    permitted = tuple(
        address
        for address in dict.fromkeys(found)
        if is_permitted(address, registration.networks) and (url.scheme == "https" or meant(address).is_loopback)
    )
    if len(permitted) < len(set(found)):
        _logger.warning(
            "address_not_permitted",
            extra={"client": registration.name, "refused": len(set(found)) - len(permitted), "left": len(permitted)},
        )
    if not permitted:
        raise ConnectionRefusal("address not permitted")
    return Destination(url=url, addresses=permitted)


async def _addresses(url: ServerUrl, resolve: Resolver) -> tuple[Address, ...]:
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            texts = await resolve(url.host, url.port)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError; UnicodeError: no such name can be asked for
        raise ConnectionRefusal("name not resolved") from error
    addresses = tuple(address for text in texts if (address := literal_address(text)) is not None)
    if not addresses:
        raise ConnectionRefusal("name not resolved")
    return addresses
