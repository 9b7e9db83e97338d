"""Gates: how many calls, requests and bytes are under way, for each FHIR server and in all.

A call whose prefetch suffices passes none of them. A server is counted by its origin, whatever a client calls it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from serving.access.limits import Limits
from serving.access.reasons import NotObtained, Reason


class Gates:
    """The gates of one process, for one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shares: dict[str, _Share] = {}
        self._calls = 0
        self._bytes = 0
        self._requests = asyncio.Semaphore(limits.requests_of_process)

    @property
    def calls(self) -> int:
        """Calls that are waiting for a FHIR server."""
        return self._calls

    @property
    def bytes_held(self) -> int:
        """Bytes read for the calls under way."""
        return self._bytes

    @contextmanager
    def call(self, server: str) -> Iterator["Purse"]:
        """A call that may read from a server.

        Raises:
            NotObtained: too many wait already.
        """
        share = self._shares.get(server) or _Share(asyncio.Semaphore(self._limits.requests_of_server))
        if share.calls >= self._limits.calls_of_server or self._calls >= self._limits.calls_of_process:
            raise NotObtained(Reason.BUSY)
        self._shares[server] = share
        share.calls += 1
        self._calls += 1
        purse = Purse(self, share.requests)
        try:
            yield purse
        finally:
            self._bytes -= purse.bytes
            self._calls -= 1
            share.calls -= 1
            if not share.calls:
                del self._shares[server]

    @asynccontextmanager
    async def request(self, of_server: asyncio.Semaphore) -> AsyncIterator[None]:
        """Wait for a turn: first at the server, so that whoever waits for a slow one holds nobody else up."""
        async with of_server, self._requests:
            yield

    def take(self, count: int) -> bool:
        """Whether so many bytes more may be held; if so, they are."""
        if self._bytes + count > self._limits.bytes_of_process:
            return False
        self._bytes += count
        return True

    @property
    def limits(self) -> Limits:
        """What this process spends."""
        return self._limits


@dataclass(slots=True)
class _Share:
    """What is under way at one server; gone when no call is left."""

    requests: asyncio.Semaphore
    calls: int = 0


class Purse:
    """What one call may still take."""

    def __init__(self, gates: Gates, of_server: asyncio.Semaphore) -> None:
        self._gates = gates
        self._of_server = of_server
        self._of_call = asyncio.Semaphore(gates.limits.keys_at_once)
        self.bytes = 0
        self.entries = 0
        self.requests = 0

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """One request under way."""
        async with self._of_call, self._gates.request(self._of_server):
            self.requests += 1
            yield

    def take_bytes(self, count: int) -> None:
        """Hold so many bytes more until the call ends.

        Raises:
            NotObtained: the call, or the process, holds too many.
        """
        if self.bytes + count > self._gates.limits.bytes_of_call:
            raise NotObtained(Reason.BYTES)
        if not self._gates.take(count):
            raise NotObtained(Reason.BUSY)
        self.bytes += count

    def take_entries(self, count: int) -> None:
        """Read so many entries more.

        Raises:
            NotObtained: too many.
        """
        self.entries += count
        if self.entries > self._gates.limits.entries:
            raise NotObtained(Reason.ENTRIES)
