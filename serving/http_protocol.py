"""HTTP with limits: how long the head of a request may be, and how long a request may take to arrive.

Uvicorn's own settings know neither for httptools: it keeps whatever headers come, and waits for the rest of a request
for ever. What is refused here never reaches the application, so it gets its OperationOutcome here.
"""

import asyncio
import http
import logging
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cds_hooks.body import BODY_SECONDS
from cds_hooks.errors import BodyTooSlow, CdsHooksError, HeadTooLarge, MalformedBody
from cds_hooks.outcome import MEDIA_TYPE, encode_outcome
from serving.security_headers import ALWAYS

_logger = logging.getLogger("bedside.http")


class BoundedProtocol(HttpToolsProtocol):
    """One connection, which is closed if a request on it is too slow or its head too long.

    Attributes:
        head_limit_bytes: of request line and headers together.
        head_seconds: for them to arrive; for the first request, from the connection on.
        request_seconds: for the body to arrive after them. The application has answered a slow body with its own 408
            by then; what is cut off is a body that nobody reads, as after a 404.
        linger_seconds: how long what still comes after a refusal is read and dropped. A socket that is closed with
            something unread in it resets the connection, and the client never sees why (RFC 9112, section 9.6).
        unread_seconds: for the client to take what was written; who never does would hold connection and answer.
    """

    head_limit_bytes: ClassVar[int] = 64 * 1024
    head_seconds: ClassVar[float] = 10.0
    request_seconds: ClassVar[float] = BODY_SECONDS + 10.0
    linger_seconds: ClassVar[float] = 1.0
    unread_seconds: ClassVar[float] = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_is_open = False
        self._head_bytes = 0
        self._body_is_open = False
        self._plain_head = b""  # of a request that asked for another protocol, until it is read again
        self._is_over = False
        self._refusal: CdsHooksError = MalformedBody("Expected an HTTP request (RFC 9112); something else came.")
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None  # by the client, of what was written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has come, and has so long for the head of its first request."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request; the parser holds back an incomplete header, so they are counted before it."""
        if self._is_over:
            return
        if self._head_is_open:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        if self._head_is_open and self._head_bytes > self.head_limit_bytes and not self._is_over:
            self._refuse(self._too_long())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_is_open, self._head_bytes = True, 0
        self._wait(self.head_seconds)

    def on_headers_complete(self) -> None:
        """The head is there. What is raised ends the parsing, and is told."""
        self._head_is_open = False
        # A line of a header has a colon, a space and its end besides.
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.head_limit_bytes:
            self._refusal = self._too_long()
            raise self._refusal
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and self.parser.get_http_version() != "1.0":  # RFC 9112, section 3.2
            raise self._refusal
        if self.parser.should_upgrade():
            self._plain_head = self._without_upgrade()
            return
        super().on_headers_complete()
        self._body_is_open = True
        self._wait(self.request_seconds)

    def on_message_complete(self) -> None:
        """The request is complete: from now on it is the client who waits."""
        if self._plain_head:
            return  # it only seems complete: its head comes again, and then its body
        self._body_is_open = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer was written, which is not to say that it was read."""
        if self.transport.get_write_buffer_size():
            self._expect_reading()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """More was written than is kept for a client that does not read."""
        self._expect_reading()
        super().pause_writing()

    def _expect_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self.loop.call_later(self.unread_seconds, self._abort_if_unread)

    def _abort_if_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _parse(self, data: bytes) -> None:
        """Hand bytes to the parser.

        Where a request asks for another protocol, httptools ends it with its head: its body would be lost, or be read
        as the next request, which a proxy in front never saw. No other protocol is spoken here, so the request is
        heard as if it had not asked (RFC 9110, section 7.8).
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as pause:
                rest = rest[pause.args[0] :]
                head, self._plain_head = self._plain_head, b""
                self.parser.feed_data(head)
            else:
                return

    def _without_upgrade(self) -> bytes:
        """The head of the request at hand, without the wish for another protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # a wish in itself, and this is no proxy
            raise self._refusal
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        if self._head_is_open and not self._is_over and self._nothing_is_answered():
            self._refuse(
                BodyTooSlow(f"Expected the head of a request within {self.head_seconds:g} s; it did not come.")
            )
        else:
            self.transport.close()

    def _nothing_is_answered(self) -> bool:
        """Whether no answer to an earlier request of this connection is on its way: ours would stand in its middle."""
        return self.cycle is None or self.cycle.response_complete

    def _too_long(self) -> HeadTooLarge:
        return HeadTooLarge(f"Expected at most {self.head_limit_bytes} bytes of request line and headers; more came.")

    def _refuse(self, error: CdsHooksError) -> None:
        self._is_over = True
        _logger.warning("http_refused", extra={"status": error.status, "code": error.code})
        if self._claims_the_answer():
            self.transport.write(_answer(error))
        elif not self.cycle.response_complete:
            self.cycle.keep_alive = False  # what was asked before is still answered, and with that the connection ends
            self._wait(self.request_seconds)
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait(self.linger_seconds)

    def _claims_the_answer(self) -> bool:
        """Whether ours is the next answer of this connection. Who reads a body that broke off need not give one."""
        if not self._body_is_open:
            return self._nothing_is_answered()
        if self.cycle.response_started:
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return not self.pipeline  # else earlier requests of this connection come first


def _answer(error: CdsHooksError) -> bytes:
    body = encode_outcome(error)
    headers = (
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *ALWAYS,
    )
    status = f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}\r\n".encode()
    return status + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body
