"""Fetching a client's JWK Set; the only file of this package that knows the HTTP library.

One connection for each fetch, to the address that the network policy checked, with the name's own certificate; no
redirects, no proxies from the environment, no compression, bounded in bytes and in time.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx

from cds_hooks.security.network import ConnectionRefusal, Destination, Resolver, destination
from cds_hooks.security.registrations import Registration
from cds_hooks.security.urls import Address, ServerUrl

MOST_BYTES: Final = 64 * 1024
FETCH_SECONDS: Final = 5.0

# What sends one request. Called for each fetch, so that no connection outlives it.
Transport = Callable[[], httpx.AsyncBaseTransport]


class KeyFetchError(Exception):
    """A JWK Set could not be fetched. The message may stand in a log: it names no address."""


class KeyFetcher:
    """Fetches JWK Sets over HTTPS; over HTTP from this machine alone (registrations see to that)."""

    def __init__(
        self, resolve: Resolver, *, transport: Transport | None = None, trusted: ssl.SSLContext | None = None
    ) -> None:
        """`trusted`: certificate authorities, if others than the system's; `transport`: in place of the network."""
        self._resolve = resolve
        authorities = trusted or ssl.create_default_context()  # once: to read them takes as long as a fetch
        self._transport = transport or (lambda: httpx.AsyncHTTPTransport(verify=authorities, trust_env=False))

    async def __call__(self, registration: Registration, url: ServerUrl) -> bytes:
        """The body of what lies at this URL.

        Raises:
            KeyFetchError: nothing usable came, or came in time.
        """
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                return await self._fetch(await destination(registration, url, self._resolve))
        except ConnectionRefusal as refusal:
            raise KeyFetchError(str(refusal)) from refusal
        except TimeoutError as error:
            raise KeyFetchError(f"No whole answer came within {FETCH_SECONDS} s.") from error

    async def _fetch(self, to: Destination) -> bytes:
        failure: httpx.ConnectError | None = None
        for address in to.addresses:
            try:
                return await self._fetch_from(to, address)
            except httpx.ConnectError as error:  # nothing was asked yet: its next address may answer
                failure = error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise KeyFetchError(f"The answer broke off or could not be read ({type(error).__name__}).") from error
        raise KeyFetchError("No connection could be made, or its certificate is not the server's.") from failure

    async def _fetch_from(self, to: Destination, address: Address) -> bytes:
        async with self._asked(to, address) as response:
            if response.status_code != httpx.codes.OK:
                raise KeyFetchError(f"Expected 200 (redirects are not followed), got {response.status_code}.")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise KeyFetchError("Expected a body without compression, as asked for.")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise KeyFetchError(f"Expected at most {MOST_BYTES} bytes, got more.")
            return bytes(body)

    @asynccontextmanager
    async def _asked(self, to: Destination, address: Address) -> AsyncIterator[httpx.Response]:
        headers = {
            "host": to.url.authority,
            "accept": "application/jwk-set+json, application/json",
            "accept-encoding": "identity",
        }
        client = httpx.AsyncClient(
            transport=self._transport(), follow_redirects=False, trust_env=False, timeout=FETCH_SECONDS
        )
        async with (
            client,
            client.stream(
                "GET", to.by_address(address), headers=headers, extensions={"sni_hostname": to.url.host}
            ) as response,
        ):
            yield response
