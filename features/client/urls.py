"""URLs: which of those that a server names are followed, and how they are shown."""

import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urljoin, urlsplit

from features.client.errors import OtherOriginError

_PORTS = {"http": 80, "https": 443}
_PATIENT_ID = re.compile(r"(?<=/Patient/)[^/$][^/]*")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class UrlError(ValueError):
    """A URL that we do not use."""


class Origin(NamedTuple):
    """Scheme, host and port (RFC 6454): what must be the same for a token to go there."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def origin_of(url: str) -> Origin:
    """The origin of an absolute URL.

    Raises:
        UrlError: it is no absolute http or https URL, or names a user.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError("Expected a URL such as https://fhir.example/r4, got one that cannot be read.") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UrlError(f"Expected a URL such as https://fhir.example/r4, got {shown(url)}.")
    if parts.username is not None or parts.password is not None:
        raise UrlError(f"Expected a URL without a user's name or password in it, got one for {parts.hostname}.")
    return Origin(parts.scheme, parts.hostname.lower(), _PORTS[parts.scheme] if port is None else port)


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent: https, or this machine itself."""
    origin = origin_of(url)
    return origin.scheme == "https" or origin.host in _LOOPBACK


def base_url(text: str) -> str:
    """A FHIR server's base URL, without a slash at its end.

    Raises:
        UrlError: it is none.
    """
    origin_of(text)
    if urlsplit(text).query or urlsplit(text).fragment:
        raise UrlError(f"Expected a base URL without a query, got {shown(text)}.")
    return text.rstrip("/")


def follow(link: str, *, seen_at: str, base: str, others: Collection[Origin] = ()) -> str:
    """The absolute URL of a link or redirect that we may follow.

    Args:
        link: absolute, or relative to where it was seen.
        seen_at: the URL whose answer names it.
        base: the server's base URL.
        others: origins that may be asked besides the server's own, without a token.

    Raises:
        OtherOriginError: it leads elsewhere.
    """
    target = urljoin(seen_at, link)
    try:
        origin = origin_of(target)
    except UrlError as error:
        raise OtherOriginError(f"{shown(seen_at)}: expected a link to {origin_of(base)}, got none: {error}") from error
    if origin != origin_of(base) and origin not in others:
        raise OtherOriginError(
            f"{shown(seen_at)}: expected a link to {origin_of(base)}, got one to {origin}. It is not followed, for it "
            "could take the token or the records with it. If it is the same server, mend the base URL that the server "
            "believes to have (often http behind a proxy that speaks https), or ask it by that name."
        )
    return target


def shown(url: str) -> str:
    """A URL for messages and logs: nothing in it can name a patient; of its query, only the parameters' names."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that cannot be read"
    names = "&".join(f"{name}=…" for name in dict.fromkeys(_names(parts)))
    path = _PATIENT_ID.sub("…", parts.path)
    start = f"{parts.scheme}://{host}{port}" if parts.scheme else ""
    return f"{start}{path}{'?' if names else ''}{names}"


def query_values(url: str) -> tuple[str, ...]:
    """The values in a URL's query: what a message about it must not repeat."""
    return tuple(value for _, value in parse_qsl(urlsplit(url).query))


def query(parameters: Collection[tuple[str, str]]) -> str:
    """Parameters as they stand in a URL; what FHIR's own syntax needs stays legible."""
    return "&".join(f"{quote(name, safe=':_-.')}={quote(value, safe='|,:/.-_')}" for name, value in parameters)


def _names(parts: SplitResult) -> list[str]:
    return [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
