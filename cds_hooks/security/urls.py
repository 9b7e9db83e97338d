"""URLs of servers in one canonical form, so that comparing them is comparing texts.

Whatever two programs could read differently is refused rather than mended: user info, numbers that some resolvers
take for addresses (`0x7f.1`, `2130706433`, `0177.0.0.1`), trailing dots, percent signs in hosts, dot segments,
backslashes, anything outside ASCII. International names are written in their ASCII form (RFC 5891).
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address

_MOST_CHARACTERS: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_DOT_SEGMENT: Final = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)


class UrlError(ValueError):
    """A URL that we do not use. The message never repeats it: it may come from a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """A canonical http or https URL: host in lower case, path without a slash at its end."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as a Host header names them: an IPv6 address in brackets, no default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host as an address, if it is one and no name."""
        return literal_address(self.host)


def read_url(text: str) -> ServerUrl:
    """Read the URL of a server, or of something on it, without query and fragment.

    Raises:
        UrlError: it is none, or one that programs read differently.
    """
    if len(text) > _MOST_CHARACTERS or not text.isascii() or not text.isprintable():
        raise UrlError(f"Expected a URL of at most {_MOST_CHARACTERS} printable ASCII characters.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UrlError("Expected a URL such as https://fhir.example/r4, got one that cannot be read.") from None
    if parts.scheme not in _PORTS or not text.lower().startswith(f"{parts.scheme}://"):
        raise UrlError("Expected a URL that begins with https:// (or http://).")
    if "?" in text or "#" in text:
        raise UrlError("Expected a URL without query and fragment.")
    if port == 0:
        raise UrlError("Expected a port from 1 to 65535.")
    return ServerUrl(
        scheme="https" if parts.scheme == "https" else "http",
        host=_host(parts.netloc),
        port=port or _PORTS[parts.scheme],
        path=_path(parts.path),
    )


def literal_address(host: str) -> Address | None:
    """The address that a host is written as, strictly: four decimal numbers without leading zeros, or IPv6."""
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def _host(netloc: str) -> str:
    authority = _AUTHORITY.fullmatch(netloc.lower())
    if authority is None:
        raise UrlError("Expected host[:port] without user info, percent signs and zones.")
    host: str = authority["v6"] or authority["name"]
    address = literal_address(host)
    if address is not None:
        return str(address)
    labels = host.split(".")
    if authority["v6"] or _NUMBER.fullmatch(labels[-1]):
        raise UrlError("Expected an address as four decimal numbers or IPv6, got a number in another form.")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035
        raise UrlError("Expected a host name of letters, digits, hyphens and single dots, without a dot at its end.")
    return host


def _path(path: str) -> str:
    if not _PATH.fullmatch(path) or any(_DOT_SEGMENT.fullmatch(segment) for segment in path.split("/")):
        raise UrlError("Expected a path without empty and dot segments.")
    return path.rstrip("/")
