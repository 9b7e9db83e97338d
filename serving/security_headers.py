"""Security headers: on every answer of the server, whatever made it. What an answer says itself stands.

Sources: OWASP HTTP Headers Cheat Sheet; RFC 6797 (HSTS); RFC 9111, section 5.2.2.5 (no-store).
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_Header = tuple[bytes, bytes]

# An answer is data: nothing in it is ever run, shown in a frame, or taken for another type. It may hold a patient's
# data, so no cache keeps it: neither the proxy's nor the browser's.
ALWAYS: Final[tuple[_Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# A year, for this host alone: names below it are the site's to decide.
_OVER_TLS: Final[_Header] = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """An ASGI application that adds them to the answers of another one."""

    def __init__(self, app: ASGIApp, *, only_tls: bool) -> None:
        """`only_tls`: clients reach this server by https alone, and browsers are to remember that."""
        self._app = app
        self._headers = (*ALWAYS, _OVER_TLS) if only_tls else ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                names = {name for name, _ in said}  # in lower case: ASGI asks for it
                message["headers"] = said + [each for each in self._headers if each[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with_headers)
