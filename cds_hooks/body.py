"""Reading a request's body: what is declared, how long it may be, and how long it may take."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from cds_hooks.errors import BodyTooLarge, BodyTooSlow, UnsupportedMediaType

BODY_LIMIT_BYTES: Final = 10 * 1024 * 1024
BODY_SECONDS: Final = 30.0
"""From the first look at a body to its last byte: ten MiB at three Mbit/s."""

# A body over the limit is still read, and dropped, up to this many times the limit: a client that is cut off
# while it sends sees a broken connection instead of the 413.
_DRAIN_FACTOR: Final = 4

# Where the rest of a body may still be on its way: the connection ends with the answer, and so does the waiting.
_CLOSE: Final = {"connection": "close"}


async def read_body(request: Request, *, limit_bytes: int = BODY_LIMIT_BYTES, seconds: float = BODY_SECONDS) -> bytes:
    """The body as it came, which its headers say is JSON.

    Raises:
        UnsupportedMediaType: it is declared as something else, or as compressed.
        BodyTooLarge: it is longer than `limit_bytes`.
        BodyTooSlow: it was not complete after `seconds`.
        ClientDisconnect: the client went away.
    """
    _check_declared(request.headers)
    try:
        async with asyncio.timeout(seconds):
            return await _received(request, limit_bytes)
    except TimeoutError:
        raise BodyTooSlow(f"Expected the whole body within {seconds:g} s; it did not come.", headers=_CLOSE) from None


def _check_declared(headers: Mapping[str, str]) -> None:
    """JSON and nothing else, as it is: what is never inflated cannot be a bomb (RFC 9110, section 8.4)."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Expected Content-Type: application/json; another or none came.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType(
            "Expected a body without Content-Encoding; one came. Send it uncompressed.",
            headers={"accept-encoding": "identity"},  # RFC 9110, section 15.5.16
        )


async def _received(request: Request, limit_bytes: int) -> bytes:
    chunks: list[bytes] = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received <= limit_bytes:
            chunks.append(chunk)
        elif received > _DRAIN_FACTOR * limit_bytes:
            break
    if received > limit_bytes:
        raise BodyTooLarge(f"Expected at most {limit_bytes} bytes; a longer body came.", headers=_CLOSE)
    return b"".join(chunks)
