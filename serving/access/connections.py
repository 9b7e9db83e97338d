"""Connections to FHIR servers; the only file of this package that knows the HTTP library.

Each server has connections of its own, to the address that the policy checked, with the server's own name as Host and
in the certificate: an address may serve many names, and a connection is never lent to another one. Requests go below
the library's client, which would keep cookies from one call to the next and write whole URLs into the log.
"""

import asyncio
import ssl
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import httpx

from cds_hooks.security.addresses import meant
from cds_hooks.security.network import Destination
from cds_hooks.security.urls import Address
from serving.access.answers import Answer
from serving.access.limits import Limits
from serving.access.reasons import NotObtained, Reason

_HEADERS: Final = {
    "accept": "application/fhir+json",
    "accept-encoding": "gzip",
    "prefer": "handling=strict",  # FHIR R4, search, "Handling Errors": a parameter left out in silence would be a lie
    "user-agent": "bedside",
}
_GZIP: Final = 16 + zlib.MAX_WBITS
_PART_BYTES: Final = 1024 * 1024

TakeBytes = Callable[[int], None]
"""Told of bytes before they are kept; raises NotObtained where they are too many."""


class _Server(NamedTuple):
    """Whose connections they are: a name, and the address that it was checked to have."""

    authority: str
    address: Address


class _Pool:
    """The connections of one server."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.under_way = 0


class Connections:
    """All connections of one process; to be closed in the end."""

    def __init__(self, limits: Limits, *, trusted: ssl.SSLContext | None = None) -> None:
        """`trusted`: certificate authorities, if others than the usual ones."""
        self._limits = limits
        self._trusted = trusted or httpx.create_ssl_context()
        self._pools: OrderedDict[_Server, _Pool] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def servers(self) -> int:
        """To how many servers connections are kept."""
        return len(self._pools)

    async def get(self, to: Destination, url: str, token: str, take: TakeBytes) -> Answer:
        """One answer, whatever its status.

        Args:
            to: the server.
            url: on its origin; the caller has seen to that.
            token: of the call.
            take: told of the body's bytes.

        Raises:
            NotObtained: none came, or it is too long.
        """
        last = NotObtained(Reason.UNREACHABLE)
        for address in to.addresses:
            try:
                return await self._get_from(to, address, url, token, take)
            except NotObtained as error:
                if error.reason is not Reason.UNREACHABLE:
                    raise
                last = error  # nothing was asked yet: its next address may answer
        raise last

    async def close(self) -> None:
        """Close all of them."""
        pools, self._pools = list(self._pools.values()), OrderedDict()
        await asyncio.gather(*(pool.transport.aclose() for pool in pools), *self._closing)

    async def _get_from(self, to: Destination, address: Address, url: str, token: str, take: TakeBytes) -> Answer:
        if to.url.scheme != "https" and not meant(address).is_loopback:
            raise NotObtained(Reason.NOT_LISTED)  # a token never crosses a network in the clear, whatever the policy
        request = request_to(to, address, url, token, self._limits)
        with_retry = True
        while True:
            try:
                async with self._sent(_Server(to.url.authority, address), request) as response:
                    return await _read(response, url, take)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                reason = Reason.UNREACHABLE
            except httpx.TimeoutException:
                reason = Reason.TIMEOUT
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if with_retry:  # a kept connection may end just as it is used
                    with_retry = False
                    continue
                reason = Reason.BROKEN
            except httpx.HTTPError:
                reason = Reason.BROKEN
            # Outside of the except: an exception of the library holds the request, and with it the token.
            raise NotObtained(reason)

    @asynccontextmanager
    async def _sent(self, server: _Server, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        pool = self._pool(server)
        pool.under_way += 1
        self._drop_oldest()
        try:
            response = await pool.transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            pool.under_way -= 1

    def _pool(self, server: _Server) -> _Pool:
        pool = self._pools.get(server) or _Pool(self._transport())
        self._pools[server] = pool
        self._pools.move_to_end(server)
        return pool

    def _transport(self) -> httpx.AsyncBaseTransport:
        most = self._limits.requests_of_server
        return httpx.AsyncHTTPTransport(
            verify=self._trusted,
            trust_env=False,
            limits=httpx.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=self._limits.idle_seconds
            ),
        )

    def _drop_oldest(self) -> None:
        """Close the connections that were used least recently, but none with a request under way."""
        for server, pool in list(self._pools.items()):
            if len(self._pools) <= self._limits.servers:
                return
            if not pool.under_way:
                del self._pools[server]
                task = asyncio.get_running_loop().create_task(pool.transport.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


def request_to(to: Destination, address: Address, url: str, token: str, limits: Limits) -> httpx.Request:
    """A request for a URL of a server, to one of its addresses.

    Raises:
        NotObtained: the library takes the URL for none.
    """
    timeouts = httpx.Timeout(limits.total_seconds, connect=min(limits.total_seconds, limits.connect_seconds))
    try:
        target = httpx.URL(url).copy_with(host=str(address), port=to.url.port, fragment=None)
    except (httpx.InvalidURL, ValueError) as error:  # ValueError: half a surrogate pair
        raise NotObtained(Reason.OTHER_ORIGIN) from error
    return httpx.Request(
        "GET",
        target,
        headers={"host": to.url.authority, **_HEADERS, "authorization": f"Bearer {token}"},
        extensions={"sni_hostname": to.url.host, "timeout": timeouts.as_dict()},
    )


async def _read(response: httpx.Response, url: str, take: TakeBytes) -> Answer:
    """The whole body, decompressed no further than may be kept; of an error nobody needs it."""
    body = bytearray()
    if response.status_code == httpx.codes.OK:
        unpack = _unpacking(response.headers.get("content-encoding", "identity").strip().lower())
        async for sent in response.aiter_raw():
            for part in unpack.parts(sent):
                take(len(part))
                body += part
        unpack.finish()
    return Answer(url=url, status=response.status_code, headers=response.headers, body=bytes(body))


def _unpacking(coding: str) -> "_Plain | _Gzip":
    match coding:
        case "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Gzip()
        case _:
            raise NotObtained(Reason.NOT_FHIR)


class _Plain:
    """A body as it is."""

    def parts(self, sent: bytes) -> Iterator[bytes]:
        yield sent

    def finish(self) -> None:
        """Nothing is left."""


class _Gzip:
    """A compressed body, unpacked a part at a time: a kilobyte may stand for a megabyte (RFC 1952)."""

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(_GZIP)

    def parts(self, sent: bytes) -> Iterator[bytes]:
        """What the bytes stand for.

        Raises:
            NotObtained: they are no gzip, or something follows its end.
        """
        part = b""
        while sent or len(part) == _PART_BYTES:
            try:
                part = self._unpack.decompress(sent, _PART_BYTES)
            except zlib.error as error:
                raise NotObtained(Reason.BROKEN) from error
            if self._unpack.unused_data:
                raise NotObtained(Reason.BROKEN)
            sent = self._unpack.unconsumed_tail
            yield part

    def finish(self) -> None:
        """Raises NotObtained if the end is lacking."""
        if not self._unpack.eof:
            raise NotObtained(Reason.BROKEN)
