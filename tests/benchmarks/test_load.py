"""The load generator: what it sends, what it measures, what it refuses."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.load import HOST, Load, LoadError, Request, drive, figures

BODY = b'{"a": 1}'
GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"summary":1}'

Answer = Callable[[socket.socket, bytes], None]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """A server that keeps connections open: its port, and the bodies that came."""
    came: list[bytes] = []
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]

        def serve(connection: socket.socket) -> None:
            with connection:
                while body := _body(connection):
                    came.append(body)
                    answer(connection, body)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:  # the test has ended
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield port, came
        listening.shutdown(socket.SHUT_RDWR)


def _body(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return body


def request(body: bytes = BODY) -> Request:
    return Request.post("/x", body, expects=b'"summary"')


@pytest.mark.parametrize("connections", [1, 3, 8], ids="{} connections".format)
def test_every_call_is_sent_once_and_timed(connections: int) -> None:
    with server(lambda connection, _: connection.sendall(GOOD)) as (port, came):
        load = drive(port, request(), calls=20, connections=connections)
    assert came == [BODY] * 20
    assert len(load.latencies_s) == 20
    assert 0 < max(load.latencies_s) <= load.seconds


def test_a_body_larger_than_the_socket_takes_at_once_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    with server(lambda connection, _: connection.sendall(GOOD)) as (port, came):
        drive(port, request(body), calls=4, connections=2)
    assert came == [body] * 4


def test_an_answer_that_comes_in_pieces_is_put_together() -> None:
    def in_pieces(connection: socket.socket, _: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(GOOD), 7):
            connection.sendall(GOOD[at : at + 7])

    with server(in_pieces) as (port, _):
        assert len(drive(port, request(), calls=5).latencies_s) == 5


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            b"HTTP/1.1 503 Busy\r\nContent-Length: 13\r\n\r\n" + GOOD[-13:], "status 200", id="another status"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + b'{"cards":[]}', "summary", id="no card"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Content-Length", id="no length"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_ends_the_measurement(answer: bytes, message: str) -> None:
    with server(lambda connection, _: connection.sendall(answer)) as (port, _), pytest.raises(LoadError, match=message):
        drive(port, request(), calls=3)


def test_a_connection_that_the_server_closes_is_no_answer() -> None:
    with (
        server(lambda connection, _: connection.shutdown(socket.SHUT_RDWR)) as (port, _),
        pytest.raises(LoadError, match="closed"),
    ):
        drive(port, request(), calls=3)


def test_no_call_begins_after_the_time_is_over() -> None:
    with server(lambda connection, _: connection.sendall(GOOD)) as (port, came):
        load = drive(port, request(), calls=1_000, connections=2, at_most_s=0.0)
    assert len(load.latencies_s) == len(came) == 2


def test_figures_put_runs_together() -> None:
    found = figures([Load(latencies_s=(0.001, 0.003), seconds=0.004), Load(latencies_s=(0.002,), seconds=0.002)])
    assert (found.p50_ms, found.calls, found.per_second) == (2.0, 3, 500.0)
