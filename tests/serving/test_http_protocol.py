"""The HTTP server's own limits, over a socket: what is too long or too slow is told so, and the connection ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from cds_hooks.router import cds_router
from serving.http_protocol import BoundedProtocol
from serving.listening import configuration
from tests.conformance.requests import CALL, UNKNOWN, request
from tests.conformance.weight_check import WeightCheck

PATIENCE_S = 10.0
BODY_SECONDS = 0.2
BODY = json.dumps(request()).encode()


class Impatient(BoundedProtocol):
    head_limit_bytes = 2_000
    head_seconds = 0.3
    request_seconds = 0.6
    linger_seconds = 0.1
    unread_seconds = 0.3


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def trickle(self, data: bytes, size: int = 1) -> None:
        """A few bytes at a time."""
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            await asyncio.sleep(0.01)

    async def answer_during(self, data: bytes, size: int = 1) -> Answer:
        """The answer that comes before all the data were sent."""
        sending = asyncio.create_task(self.trickle(data, size))
        answer = await self.answer()
        assert not sending.done()
        sending.cancel()
        return answer

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Answer(int(first.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"])))

    async def ended(self) -> bool:
        """Whether the server closes the connection, and has nothing more to say."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


def started(protocol: type[BoundedProtocol], app: ASGIApp) -> BoundedProtocol:
    config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False)
    config.load()
    return protocol(config, ServerState(), {})


@asynccontextmanager
async def connected(protocol: type[BoundedProtocol] = Impatient) -> AsyncIterator[Connection]:
    app = FastAPI()
    app.include_router(cds_router(WeightCheck(), body_limit_bytes=10_000, body_seconds=BODY_SECONDS))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: started(protocol, app), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        server.close()
        await server.wait_closed()


def post(path: str = CALL, *, length: int = len(BODY), more: str = "") -> bytes:
    """The head of a call."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: cds.example\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n{more}\r\n"
    ).encode()


CHUNKED = post().replace(f"content-length: {len(BODY)}".encode(), b"transfer-encoding: chunked")
UPGRADE = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/fhir+json")
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["issue"][0]["code"] == code


def run(act: Callable[[Connection], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(PATIENCE_S), connected() as connection:
            await act(connection)

    uvloop.run(go())  # as the server does


def test_calls_on_one_connection_are_answered_one_after_the_other() -> None:
    async def act(connection: Connection) -> None:
        for _ in range(3):
            connection.send(post() + BODY)
            assert (await connection.answer()).status == 200

    run(act)


def test_two_calls_sent_at_once_are_answered_in_order() -> None:
    async def act(connection: Connection) -> None:
        connection.send(post() + BODY + post(UNKNOWN) + BODY)
        assert [(await connection.answer()).status for _ in range(2)] == [200, 404]

    run(act)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(post(more="a: " + "x" * 2_000 + "\r\n"), id="one long header"),
        pytest.param(post(more="a: b\r\n" * 500), id="many headers"),
        pytest.param(post("/cds-services/" + "x" * 2_000), id="a long path"),
        pytest.param(post(more="a: " + "x" * 300_000), id="a header that does not end"),
        pytest.param(b"GET /" + b"x" * 300_000, id="a request line that does not end"),
    ],
)
def test_a_head_over_the_limit_is_refused_however_it_comes(head: bytes) -> None:
    async def whole(connection: Connection) -> None:
        connection.send(head)
        refused(await connection.answer(), 431, "too-long")
        assert await connection.ended()

    async def in_pieces(connection: Connection) -> None:
        refused(await connection.answer_during(head + b"x" * 1_000, 600), 431, "too-long")

    run(whole)
    run(in_pieces)


def test_ten_megabytes_of_headers_are_refused_when_the_released_limit_is_reached() -> None:
    async def go() -> None:
        async with asyncio.timeout(PATIENCE_S), connected(BoundedProtocol) as connection:
            head = b"GET /cds-services HTTP/1.1\r\n" + (b"a: " + b"x" * 10_000 + b"\r\n") * 1_000
            refused(await connection.answer_during(head, 10_000), 431, "too-long")

    uvloop.run(go())  # as the server does


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"], ids=repr)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    async def act(connection: Connection) -> None:
        connection.send(data)
        answer = await connection.answer()
        refused(answer, 400, "structure")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert await connection.ended()

    run(act)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n", id="a length that is no number"),
        pytest.param(b"2\r\n{}xx0\r\n\r\n", id="more than was announced"),
        pytest.param(b"2\n{}\r\n0\r\n\r\n", id="a line without its carriage return"),
    ],
)
def test_a_body_in_broken_chunks_is_refused(body: bytes) -> None:
    async def act(connection: Connection) -> None:
        connection.send(CHUNKED + body)
        refused(await connection.answer(), 400, "structure")
        assert await connection.ended()

    run(act)


def test_a_body_that_breaks_off_after_its_answer_gets_no_second_one() -> None:
    """A second answer would be taken for that to the next request, perhaps somebody else's."""

    async def act(connection: Connection) -> None:
        connection.send(CHUNKED.replace(CALL.encode(), UNKNOWN.encode()))
        assert (await connection.answer()).status == 404
        connection.send(b"zz\r\n")
        assert await connection.ended()

    run(act)


@pytest.mark.parametrize("calls", [1, 3])
def test_what_is_no_http_does_not_cost_the_requests_before_it_their_answers(
    calls: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(connection: Connection) -> None:
        connection.send((post() + BODY) * calls + b"\x16\x03\x01\x02\x00")
        assert [(await connection.answer()).status for _ in range(calls)] == [200] * calls
        assert await connection.ended()

    run(act)
    assert [record.message for record in caplog.records if record.levelname != "DEBUG"] == ["http_refused"]


def test_a_request_that_asks_for_another_protocol_is_heard_as_if_it_had_not() -> None:
    """As some programs do with each first request; httptools alone would lose the body."""

    async def act(connection: Connection) -> None:
        connection.send(post(more=UPGRADE) + BODY)
        assert (await connection.answer()).status == 200
        connection.send(post() + BODY)
        assert (await connection.answer()).status == 200

    run(act)


def test_the_body_of_a_request_that_asks_for_another_protocol_is_not_read_as_the_next_request() -> None:
    """A proxy in front would not have seen that request: whose it is, and who gets its answer, would be a guess."""

    async def act(connection: Connection) -> None:
        hidden = post(UNKNOWN) + BODY
        connection.send(post(length=len(hidden), more=UPGRADE))
        await asyncio.sleep(0.05)
        connection.send(hidden + post() + BODY)
        assert [(await connection.answer()).status for _ in range(2)] == [400, 200]

    run(act)


def test_a_tunnel_to_another_server_is_refused() -> None:
    async def act(connection: Connection) -> None:
        connection.send(b"CONNECT inside.example:443 HTTP/1.1\r\nhost: inside.example\r\n\r\n")
        refused(await connection.answer(), 400, "structure")
        assert await connection.ended()

    run(act)


def test_a_head_that_comes_a_byte_at_a_time_is_given_up() -> None:
    async def act(connection: Connection) -> None:
        refused(await connection.answer_during(post()), 408, "timeout")
        assert await connection.ended()

    run(act)


def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    async def act(connection: Connection) -> None:
        assert await connection.ended()

    run(act)


def test_a_body_that_comes_a_byte_at_a_time_is_given_up() -> None:
    async def act(connection: Connection) -> None:
        connection.send(post())
        refused(await connection.answer_during(BODY), 408, "timeout")
        assert await connection.ended()

    run(act)


def test_a_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    """The service is unknown, so the answer comes at once; the client goes on sending."""

    async def act(connection: Connection) -> None:
        connection.send(post(UNKNOWN, length=1_000_000))
        assert (await connection.answer()).status == 404
        sending = asyncio.create_task(connection.trickle(b" " * 1_000))
        assert await connection.ended()
        assert not sending.done()
        sending.cancel()

    run(act)


@pytest.mark.parametrize(
    "hosts", [pytest.param("", id="none"), pytest.param("host: cds.example\r\nhost: other.example\r\n", id="two")]
)
def test_a_request_says_once_which_host_it_means(hosts: str) -> None:
    """RFC 9112, section 3.2: two readers of one request could otherwise take it for different ones."""

    async def act(connection: Connection) -> None:
        connection.send(post().replace(b"host: cds.example\r\n", hosts.encode()) + BODY)
        refused(await connection.answer(), 400, "structure")

    run(act)


def test_a_body_that_never_ends_is_refused_and_the_connection_closed() -> None:
    async def act(connection: Connection) -> None:
        connection.send(post(length=10_000_000) + b" " * 60_000)
        refused(await connection.answer(), 413, "too-long")
        assert await connection.ended()

    run(act)


@pytest.mark.parametrize("size", [20_000, 2_000_000], ids=["that is written at once", "that is not"])
def test_a_client_that_does_not_read_its_answer_does_not_hold_the_connection(size: int) -> None:
    async def go() -> None:
        gone = asyncio.Event()

        class Watched(Impatient):
            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                gone.set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await Response(b"x" * size)(scope, receive, send)

        async with asyncio.timeout(PATIENCE_S):
            server = await asyncio.get_running_loop().create_server(lambda: started(Watched, app), "127.0.0.1", 0)
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                client.connect(server.sockets[0].getsockname())
                client.sendall(b"GET / HTTP/1.1\r\nhost: cds.example\r\n\r\n" * 400)
                await gone.wait()
            server.close()

    uvloop.run(go())


def test_the_server_is_configured_with_these_limits_and_does_not_tell_its_name() -> None:
    config = configuration(FastAPI(), backlog=1)
    assert config.http_protocol_class is BoundedProtocol
    assert config.ws_protocol_class is None
    assert not [name for name, _ in config.encoded_headers if name == b"server"]
