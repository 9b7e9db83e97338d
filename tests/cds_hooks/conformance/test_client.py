"""The checker's client against servers that mean harm: real sockets, small limits."""

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from cds_hooks.conformance.checker import Check, check
from cds_hooks.conformance.client import Client, Limits, TargetError, base_url_of, connected
from cds_hooks.conformance.exchange import Answer, Ask, Fault, get

LIMITS = Limits(request_seconds=0.4, total_seconds=3.0, answer_bytes=10_000)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that hands each connection to `serve`, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with closing(connection):
                    try:
                        connection.recv(65_536)
                        serve(connection)
                    except OSError:
                        continue  # the checker hung up, as it should

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def asked(url: str, limits: Limits = LIMITS, ask: Ask | None = None) -> Answer:
    async def go() -> Answer:
        async with connected(url, lambda _: None, limits) as client:
            return await client.send(ask or get(name="discovery", path="/cds-services"))

    return asyncio.run(go())


def _flood(connection: socket.socket) -> None:
    connection.sendall(_HEAD + b"Content-Length: 1000000000\r\n\r\n")
    while True:
        connection.sendall(b" " * 65_536)


def _drip(connection: socket.socket) -> None:
    connection.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def _silence(connection: socket.socket) -> None:
    connection.recv(1)


def _bomb(connection: socket.socket) -> None:
    body = gzip.compress(b"0" * 10_000_000)
    connection.sendall(_HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def _nonsense(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")


def _nothing(_: socket.socket) -> None:
    return


@pytest.mark.parametrize(
    ("serve", "fault"),
    [
        (_flood, Fault.OVERSIZED),
        (_drip, Fault.TIMEOUT),
        (_silence, Fault.TIMEOUT),
        (_bomb, Fault.COMPRESSED),
        (_nonsense, Fault.BROKEN),
        (_nothing, Fault.CLOSED),
    ],
)
def test_a_hostile_server_costs_bounded_time_and_memory(serve: Callable[[socket.socket], None], fault: Fault) -> None:
    with listening(serve) as url:
        answer = asked(url)
    assert (answer.status, answer.fault, answer.body) == (None, fault, b"")


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert asked(f"http://127.0.0.1:{port}").fault is Fault.UNREACHABLE
    with pytest.raises(TargetError, match="no connection"):
        check(Check(base_url=f"http://127.0.0.1:{port}"), lambda *_: None)


def test_a_redirect_is_not_followed() -> None:
    """The second server would hear of it if it were."""
    visits: list[bytes] = []

    def elsewhere(connection: socket.socket) -> None:
        visits.append(b"came")
        connection.sendall(_HEAD + b"Content-Length: 2\r\n\r\n{}")

    with listening(elsewhere) as second:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {second}/cds-services\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(lambda connection: connection.sendall(moved)) as first:
            assert asked(first).status == 302
    assert visits == []


def test_when_the_time_of_the_check_is_over_nothing_more_is_sent() -> None:
    connections: list[bytes] = []

    def slow(connection: socket.socket) -> None:
        connections.append(b"came")
        connection.sendall(_HEAD + b"Content-Length: 1000\r\n\r\n")
        time.sleep(0.1)

    async def go(url: str) -> list[Answer]:
        async with connected(url, lambda _: None, Limits(request_seconds=5, total_seconds=0.05)) as client:
            return [await client.send(get(name="a", path="/a")) for _ in range(3)]

    with listening(slow) as url:
        assert [answer.fault for answer in asyncio.run(go(url))] == [Fault.OVER] * 3
    assert len(connections) == 1


def test_every_answer_is_kept_for_the_account() -> None:
    async def go(url: str) -> list[Answer]:
        async with connected(url, lambda _: None, LIMITS) as client:
            await client.send(get(name="a", path="/a"))
            await client.send(get(name="b", path="/b"))
            return client.answers

    with listening(_nonsense) as url:
        assert [answer.ask.name for answer in asyncio.run(go(url))] == ["a", "b"]


def test_the_token_is_sent_unless_the_ask_says_otherwise() -> None:
    seen: list[bytes] = []

    async def go(url: str, ask: Ask) -> None:
        async with connected(url, lambda _: "secret", LIMITS) as client:
            assert isinstance(client, Client)
            await client.send(ask)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            for _ in range(3):
                connection, _address = listener.accept()
                with closing(connection):
                    seen.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=accept)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        asyncio.run(go(url, Ask(name="a", method="GET", path="/")))
        asyncio.run(go(url, Ask(name="a", method="GET", path="/", authorized=False)))
        asyncio.run(go(url, Ask(name="a", method="GET", path="/", headers={"authorization": "Basic x"})))
        thread.join()
    found = [[line for line in each.split(b"\r\n") if line.lower().startswith(b"authorization")] for each in seen]
    assert found == [[b"authorization: Bearer secret"], [], [b"authorization: Basic x"]]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://cds.example", "https://cds.example"),
        ("https://cds.example/", "https://cds.example"),
        ("https://cds.example/r4/cds-services", "https://cds.example/r4"),
        ("http://localhost:8000/cds-services/", "http://localhost:8000"),
    ],
)
def test_the_base_url_is_taken_from_either_form(url: str, expected: str) -> None:
    assert base_url_of(url, with_token=False) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cds.example",
        "ftp://cds.example",
        "https://user@cds.example",
        "https://cds.example?a=b",
        "http://[",
        "http://:8/",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(TargetError, match="base URL"):
        base_url_of(url, with_token=False)


@pytest.mark.parametrize(
    ("url", "taken"),
    [("http://cds.example", False), ("http://127.0.0.1:8000", True), ("http://localhost", True), ("https://x", True)],
)
def test_a_token_travels_encrypted_or_not_at_all(url: str, *, taken: bool) -> None:
    if taken:
        assert base_url_of(url, with_token=True) == url
    else:
        with pytest.raises(TargetError, match="Expected https with a token"):
            base_url_of(url, with_token=True)
