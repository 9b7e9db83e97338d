"""FHIR servers that take requests and do not answer before they are told to, in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.fhir_builders import EMPTY
from tests.serving.access.hospital import raw


@dataclass
class SlowServer:
    """One of them. `asked`: requests that arrived; `arrived`: the same, to be waited for, of all its neighbours."""

    arrived: asyncio.Semaphore
    base: str = ""
    connections: int = 0
    asked: int = 0
    under_way: int = 0
    most_under_way: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                self.arrived.release()
                self.under_way += 1
                self.most_under_way = max(self.under_way, self.most_under_way)
                await self.go.wait()
                self.under_way -= 1
                body = bytes(raw(EMPTY))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up: nobody is left to answer
        finally:
            writer.close()


@asynccontextmanager
async def slow_servers(number: int) -> AsyncIterator[list[SlowServer]]:
    """On ports of this machine."""
    async with AsyncExitStack() as stack:
        servers, arrived = [], asyncio.Semaphore(0)
        for _ in range(number):
            server = SlowServer(arrived)
            listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
            stack.callback(listening.close)
            server.base = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/fhir"
            servers.append(server)
        try:
            yield servers
        finally:
            for server in servers:
                server.go.set()


async def busy(requests: int, server: SlowServer) -> None:
    """Return when so many requests have arrived, at this server or its neighbours."""
    for _ in range(requests):
        await server.arrived.acquire()
