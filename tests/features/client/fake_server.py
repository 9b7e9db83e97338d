"""A FHIR server over real HTTP that answers as it is told to, faults included, and remembers what it was asked."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from features.client.retry import Pace, Patience
from features.client.transport import Transport, open_transport

START = 1_700_000_000.0  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that arrived; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    form: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; of the body only `cut` bytes are sent, then `hold` is waited for, then the connection breaks."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    hold: threading.Event | None = None


def json(value: Any, status: int = 200, **headers: str) -> Reply:
    """An answer of FHIR JSON; header names with underscores."""
    return Reply(
        status=status,
        body=msgspec.json.encode(value),
        headers={"Content-Type": "application/fhir+json"}
        | {name.replace("_", "-"): text for name, text in headers.items()},
    )


Script = Reply | Callable[[Asked], Reply]


class FakeServer:
    """Replies by path, in turn; the last one of a path is repeated."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.base = ""
        self._scripts: dict[str, list[Script]] = {}

    def on(self, path: str, *scripts: Script) -> None:
        """Answer requests to a path so."""
        self._scripts[path] = list(scripts)

    def at(self, path: str) -> list[Asked]:
        """The requests to a path."""
        return [one for one in self.asked if one.path == path]

    def reply(self, asked: Asked) -> Reply:
        """The next answer."""
        self.asked.append(asked)
        scripts = self._scripts.get(asked.path)
        if not scripts:
            return json({"resourceType": "OperationOutcome", "issue": []}, status=404)
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        return script if isinstance(script, Reply) else script(asked)


@contextmanager
def fake_server(tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """A server on a free port of this machine."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
            asked = Asked(
                method=self.command,
                path=url.path,
                query=parse_qs(url.query, keep_blank_values=True),
                headers={name.lower(): text for name, text in self.headers.items()},
                form=parse_qs(self.rfile.read(length).decode()),
            )
            reply = fake.reply(asked)
            self.send_response(reply.status)
            for name, text in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(reply.body[: reply.cut])
            if reply.hold is not None:
                self.wfile.flush()
                reply.hold.wait(timeout=30)
            self.close_connection = reply.cut is not None

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        fake.base = f"http{'s' if tls else ''}://127.0.0.1:{http.server_port}/fhir"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            http.shutdown()
            thread.join()


class Time:
    """A clock that stands still but for sleeping."""

    def __init__(self) -> None:
        self.now = START
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.waits.append(seconds)
        self.now += seconds

    def pace(self, draw: float = 1.0) -> Pace:
        """This time; every draw is the same."""
        return Pace(clock=lambda: self.now, sleep=self.sleep, draw=lambda: draw)


PATIENCE = Patience(tries=4, first_wait_seconds=1, longest_wait_seconds=60, total_seconds=600)


@contextmanager
def connected(fake: FakeServer, time: Time) -> Iterator[Transport]:
    """A transport to the server."""
    with open_transport(
        fake.base, patience=PATIENCE, pace=time.pace(), timeout_seconds=5, certificates=certificates()
    ) as transport:
        yield transport


@cache
def certificates() -> ssl.SSLContext:
    """No authority, made once: making one takes longer than a test."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
