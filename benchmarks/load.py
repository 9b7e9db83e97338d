"""A load generator that costs little: one thread, raw sockets kept open, a request encoded once, HTTP/1.1.

Python's `http.client` in threads needs more of a core than the server under test. Here a call costs the client some
tens of microseconds: it sends bytes, waits in one selector for all its connections, and looks at the status line, the
length and one marker of the answer. Every answer is checked.
"""

import gc
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

HOST = "127.0.0.1"
RECEIVE_BYTES = 1 << 18
TIMEOUT_S = 60.0
_HEAD_END = b"\r\n\r\n"
_OK = b" 200 "


class LoadError(RuntimeError):
    """An answer was not what was asked for, or none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, and what its answer must hold.

    Attributes:
        wire: the whole HTTP request, head and body.
        expects: bytes that every good answer's body contains, such as `"summary"` of a card.
    """

    wire: bytes
    expects: bytes

    @classmethod
    def post(cls, path: str, body: bytes, *, expects: bytes, content_type: str = "application/json") -> "Request":
        """A POST of a body."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return cls(wire=head.encode("ascii") + body, expects=expects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of one run: each call's latency in seconds, and the time for all."""

    latencies_s: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Runs put together: latencies in milliseconds, calls a second, and of how many calls."""

    p50_ms: float
    p99_ms: float
    per_second: float
    calls: int


def drive(port: int, request: Request, *, calls: int, connections: int = 1, at_most_s: float = TIMEOUT_S) -> Load:
    """Send so many calls over so many connections, each waiting for its answer before its next call.

    Args:
        port: on the loopback.
        request: sent again and again.
        calls: in all.
        connections: open at once; the concurrency.
        at_most_s: no call is begun after so many seconds; those begun are waited for.

    Raises:
        LoadError: an answer is no 200, lacks what is expected or its length, or did not come in time.
    """
    with selectors.DefaultSelector() as selector, _quiet_collector():
        lanes = [_Lane(port, request, selector) for _ in range(min(connections, calls))]
        try:
            return _run(lanes, selector, calls, at_most_s)
        finally:
            for lane in lanes:
                lane.close()


def figures(loads: list[Load]) -> Figures:
    """Put runs together."""
    latencies = np.concatenate([load.latencies_s for load in loads])
    p50, p99 = 1000 * np.percentile(latencies, [50, 99])
    seconds = sum(load.seconds for load in loads)
    return Figures(p50_ms=float(p50), p99_ms=float(p99), per_second=len(latencies) / seconds, calls=len(latencies))


def _run(lanes: list["_Lane"], selector: selectors.BaseSelector, calls: int, at_most_s: float) -> Load:
    clock = time.perf_counter
    latencies: list[float] = []
    start = clock()
    last = start + at_most_s
    for lane in lanes:
        lane.begin(clock())
    begun, open_calls = len(lanes), len(lanes)
    while open_calls:
        ready = selector.select(TIMEOUT_S)
        if not ready:
            raise LoadError(f"Expected an answer within {TIMEOUT_S:g} s; none came.")
        for key, mask in ready:
            lane = key.data
            if mask & selectors.EVENT_WRITE:
                lane.send()
            if mask & selectors.EVENT_READ and lane.receive():
                now = clock()
                latencies.append(now - lane.began)
                if begun < calls and now < last:
                    begun += 1
                    lane.begin(clock())
                else:
                    open_calls -= 1
    return Load(latencies_s=tuple(latencies), seconds=clock() - start)


class _Lane:
    """One connection, and the call that is on it."""

    __slots__ = ("_expected", "_received", "_request", "_selector", "_sent", "_socket", "_writing", "began")

    def __init__(self, port: int, request: Request, selector: selectors.BaseSelector) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._request = request
        self._selector = selector
        self._sent = 0
        self._received = bytearray()
        self._expected = 0  # of head and body; 0 while the head is not there
        self._writing = False
        self.began = 0.0
        selector.register(self._socket, selectors.EVENT_READ, self)

    def begin(self, now: float) -> None:
        """Send the request, or as much of it as the socket takes."""
        self.began, self._sent, self._expected = now, 0, 0
        self._received.clear()
        self.send()

    def send(self) -> None:
        wire = self._request.wire
        try:
            while self._sent < len(wire):
                self._sent += self._socket.send(memoryview(wire)[self._sent :])
        except BlockingIOError:
            pass  # the rest when the socket is writable again
        except OSError as error:
            raise LoadError(f"The server closed the connection while it was sent to: {error.strerror}.") from error
        writing = self._sent < len(wire)
        if writing != self._writing:
            self._writing = writing
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
            self._selector.modify(self._socket, events, self)

    def receive(self) -> bool:
        """Take what came; True once the answer is whole and good."""
        try:
            part = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise LoadError(f"The server closed the connection: {error.strerror}.") from error
        if not part:
            raise LoadError(f"The server closed the connection after {len(self._received)} bytes of an answer.")
        self._received += part
        if not self._expected:
            self._expected = _length(self._received)
        if not self._expected or len(self._received) < self._expected:
            return False
        self._check()
        return True

    def _check(self) -> None:
        answer = self._received
        if _OK not in answer[: answer.index(b"\r\n")]:
            raise LoadError(f"Expected status 200, got: {bytes(answer[:400])!r}")
        if self._request.expects not in answer:
            raise LoadError(f"Expected {self._request.expects!r} in the answer, got: {bytes(answer[-400:])!r}")

    def close(self) -> None:
        self._socket.close()


def _length(received: bytearray) -> int:
    """Bytes of head and body by the head's Content-Length; 0 while the head is not whole."""
    end = received.find(_HEAD_END)
    if end < 0:
        return 0
    for line in bytes(received[:end]).lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return end + len(_HEAD_END) + int(line.partition(b":")[2])
    raise LoadError(f"Expected an answer with Content-Length, got the head: {bytes(received[:end])!r}")


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """The client's own garbage collection is no latency of the server."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
