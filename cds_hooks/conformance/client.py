"""The checker's HTTP client, safe against a hostile server. The only file of the checker that knows httpx.

A server is given a bounded time and a bounded size; it cannot send the checker elsewhere (redirects are not followed)
and cannot make it unpack anything (identity is asked for and nothing else is read).
"""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cds_hooks.conformance.exchange import Answer, Ask, Fault

USER_AGENT = "bedside-conform"

# Of larger bodies that were sent the account keeps the name only.
_KEPT_BYTES = 100_000


class TargetError(ValueError):
    """The server cannot be checked like this; the message says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server may cost the checker. An answer that takes longer or is larger is a finding, not an error."""

    request_seconds: float = 15.0
    total_seconds: float = 600.0
    answer_bytes: int = 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    services: int = 50


@dataclass(slots=True, kw_only=True)
class Client:
    """Sends asks to one base URL and keeps every answer that it got, in order.

    `issued`: the tokens that were sent; a server may send them back, and no report may repeat them.
    """

    http: httpx.AsyncClient
    base_url: str
    authorization: Callable[[str], str | None]
    limits: Limits
    until: float
    answers: list[Answer] = field(default_factory=list)
    received: int = 0
    issued: set[str] = field(default_factory=set, repr=False)

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent."""
        return time.monotonic() >= self.until or self.received >= self.limits.total_bytes

    async def send(self, ask: Ask) -> Answer:
        """One ask and its answer; never raises for what the server does."""
        answer = await self._answer(ask)
        if answer.fault is Fault.CLOSED:
            # The server may just have let go of an idle connection: only a new one shows what it thinks of the ask.
            answer = await self._answer(ask)
        kept = ask if len(ask.body or b"") <= _KEPT_BYTES else replace(ask, body=None)
        self.answers.append(replace(answer, ask=kept))
        return answer

    async def _answer(self, ask: Ask) -> Answer:
        started = time.monotonic()
        left = min(self.limits.request_seconds, self.until - started)
        if self.over:
            return Answer(ask=ask, fault=Fault.OVER)
        try:
            async with asyncio.timeout(left):
                return await self._exchange(ask, started)
        except (TimeoutError, httpx.TimeoutException):
            fault = Fault.TIMEOUT if left == self.limits.request_seconds else Fault.OVER
        except httpx.ConnectError:
            fault = Fault.UNREACHABLE
        except (httpx.ReadError, httpx.WriteError, httpx.CloseError):
            fault = Fault.CLOSED
        except httpx.RemoteProtocolError as error:
            fault = Fault.CLOSED if "disconnected" in str(error) else Fault.BROKEN
        except httpx.HTTPError:
            fault = Fault.BROKEN
        return Answer(ask=ask, fault=fault, seconds=time.monotonic() - started)

    async def _exchange(self, ask: Ask, started: float) -> Answer:
        url = self.base_url + ask.path
        headers = self._headers(ask, url)
        async with self.http.stream(ask.method, url, content=ask.body, headers=headers) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            body, fault = b"", None
            if received.get("content-encoding", "identity") != "identity":
                fault = Fault.COMPRESSED
            else:
                body, fault = await self._body(response)
            return Answer(
                ask=ask,
                status=response.status_code if fault is None else None,
                headers=received,
                body=body,
                seconds=time.monotonic() - started,
                fault=fault,
            )

    async def _body(self, response: httpx.Response) -> tuple[bytes, Fault | None]:
        chunks: list[bytes] = []
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            self.received += len(chunk)
            if received > self.limits.answer_bytes:
                return b"", Fault.OVERSIZED
            chunks.append(chunk)
        return b"".join(chunks), None

    def _headers(self, ask: Ask, url: str) -> Mapping[str, str]:
        headers = {"accept-encoding": "identity", "user-agent": USER_AGENT, **ask.headers}
        bearer = self.authorization(url) if ask.authorized else None
        if bearer is not None:
            self.issued.add(bearer)
            headers.setdefault("authorization", f"Bearer {bearer}")
        return headers


@asynccontextmanager
async def connected(
    base_url: str,
    authorization: Callable[[str], str | None],
    limits: Limits,
    ca_file: Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Client]:
    """A client of one server. Neither proxies nor passwords are taken from the environment.

    Args:
        base_url: as `base_url_of` returns it.
        authorization: the bearer token for a URL of this server, or None for none.
        limits: what the server may cost.
        ca_file: certificates to trust in place of the usual ones, as PEM.
        transport: in place of the network, for an application in the same process.
    """
    async with httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        timeout=limits.request_seconds,
        verify=True if ca_file is None else _trusting(ca_file),
        transport=transport,
    ) as http:
        yield Client(
            http=http,
            base_url=base_url,
            authorization=authorization,
            limits=limits,
            until=time.monotonic() + limits.total_seconds,
        )


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise TargetError(f"{ca_file}: expected certificates in PEM.") from error


def base_url_of(url: str, *, with_token: bool) -> str:
    """The base URL below which `/cds-services` lies, from that or from the discovery URL itself.

    Raises:
        TargetError: no http(s) URL, or one over which the token would travel unencrypted.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise TargetError(
            f"Expected the http(s) base URL of a CDS Hooks server, such as https://cds.example, got {url!r}."
        )
    if with_token and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise TargetError("Expected https with a token: over http anybody on the way could read it.")
    return url.rstrip("/").removesuffix("/cds-services")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
