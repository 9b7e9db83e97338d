"""Reading registrations: a TOML file, or a folder of them, with a table `[[client]]` for each client.

All that can be wrong is found here, at start. A message names file, client and field.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from cds_hooks.cors import CorsPolicy
from cds_hooks.security.addresses import Network, is_permitted
from cds_hooks.security.errors import RegistrationError
from cds_hooks.security.keys import DEFAULT_ALGORITHMS, Algorithm, KeySetError, VerificationKey, by_id, read_key
from cds_hooks.security.registrations import Registration, Registrations
from cds_hooks.security.scopes import is_resource_scope
from cds_hooks.security.tokens import LONGEST_LIFETIME_SECONDS
from cds_hooks.security.urls import ServerUrl, UrlError, read_url

DEFAULT_LIFETIME_SECONDS: Final = 300
DEFAULT_REQUESTS_PER_MINUTE: Final = 600

# No file of registrations is near this; what is larger is another file.
_MOST_FILE_BYTES: Final = 4 * 1024 * 1024

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Identifier = Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x20\x7f]+$")]
_Services = Annotated[tuple[_Identifier, ...], Meta(min_length=1)]
_LOOPBACK_NAME: Final = re.compile(r"(?:.+\.)?localhost")

T = TypeVar("T")


class _Client(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[client]]` table as it is written; `Registration` says what the fields mean."""

    name: _Name
    issuer: _Identifier
    services: _Services
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = DEFAULT_ALGORITHMS
    tenants: tuple[_Identifier, ...] = ()
    keys: tuple[dict[str, Any], ...] = ()
    jwks_url: str | None = None
    jku: tuple[str, ...] = ()
    token_lifetime_seconds: Annotated[int, Meta(ge=1, le=LONGEST_LIFETIME_SECONDS)] = DEFAULT_LIFETIME_SECONDS
    fhir_servers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = DEFAULT_REQUESTS_PER_MINUTE
    system_actions: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file we are, for messages."""

    file: Path
    client: str
    field: str = ""

    def at(self, field: str) -> "_Place":
        return replace(self, field=field)

    def error(self, what: str) -> RegistrationError:
        field = f"{self.field}: " if self.field else ""
        return RegistrationError(f"{self.file}: client {self.client}: {field}{what}")


def load_registrations(path: Path) -> Registrations:
    """The registrations of a file, or of all `*.toml` files of a folder.

    Raises:
        RegistrationError: a file cannot be used, or there is no client in any.
    """
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    clients = [client for file in files for client in _read_file(file)]
    if not clients:
        raise RegistrationError(f"{path}: expected at least one [[client]] table, got none.")
    try:
        return Registrations(clients)
    except RegistrationError as error:
        raise RegistrationError(f"{path}: {error}") from error


def _read_file(file: Path) -> list[Registration]:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_FILE_BYTES + 1)
        if len(text) > _MOST_FILE_BYTES:
            raise RegistrationError(f"{file}: expected at most {_MOST_FILE_BYTES} bytes, got more.")
        document = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise RegistrationError(f"{file}: cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RegistrationError(f"{file}: expected TOML in UTF-8: {error}.") from error
    tables = document.get("client", [])
    if set(document) - {"client"} or not isinstance(tables, list):
        raise RegistrationError(f"{file}: expected [[client]] tables alone, got {sorted(document)}.")
    return [_read_client(file, number, table) for number, table in enumerate(tables, start=1)]


def _read_client(file: Path, number: int, table: Any) -> Registration:
    name = table.get("name") if isinstance(table, dict) else None
    place = _Place(file, name if isinstance(name, str) else f"number {number}")
    try:
        client = msgspec.convert(table, _Client)
    except msgspec.ValidationError as error:
        raise place.error(f"{_without_root(str(error))}.") from error
    networks = tuple(_network(text, place.at("networks")) for text in client.networks)
    registration = Registration(
        name=client.name,
        issuer=client.issuer,
        tenants=frozenset(_distinct(client.tenants, place.at("tenants"))),
        algorithms=frozenset(client.algorithms),
        keys=_keys(client, place.at("keys")),
        jwks_url=None if client.jwks_url is None else _key_url(client.jwks_url, networks, place.at("jwks_url")),
        jku=frozenset(_key_url(text, networks, place.at("jku")) for text in client.jku),
        token_lifetime_seconds=client.token_lifetime_seconds,
        services=frozenset(_distinct(client.services, place.at("services"))),
        fhir_servers=frozenset(_server_url(text, networks, place.at("fhir_servers")) for text in client.fhir_servers),
        networks=networks,
        scopes=tuple(_scope(text, place.at("scopes")) for text in client.scopes),
        cors_origins=tuple(_origin(text, place.at("cors_origins")) for text in client.cors_origins),
        requests_per_minute=client.requests_per_minute,
        system_actions=client.system_actions,
    )
    if registration.keys and registration.jwks_url:
        raise place.at("jwks_url").error("expected either keys or jwks_url, got both; inline keys are never refreshed.")
    if not (registration.keys or registration.jwks_url or registration.jku):
        raise place.at("keys").error("expected keys, jwks_url or jku, got none: no signature could be checked.")
    return registration


def _without_root(complaint: str) -> str:
    """The decoder's complaint, with the field's path as it stands in the file. What it quotes is the site's own."""
    what, _, path = complaint.partition(" - at ")
    where = path.strip("`").removeprefix("$").removeprefix(".")
    return f"{where}: {what}" if where else what


def _keys(client: _Client, place: _Place) -> Mapping[str, VerificationKey]:
    try:
        keys = by_id([read_key(jwk, where=f"key {number}") for number, jwk in enumerate(client.keys, start=1)])
    except KeySetError as error:
        raise place.error(f"{str(error).rstrip('.')}.") from error
    unused = [key_id for key_id, key in keys.items() if not any(key.fits(name) for name in client.algorithms)]
    if unused:
        raise place.error(f"expected keys for {', '.join(client.algorithms)}, got others: {', '.join(unused)}.")
    return keys


def _key_url(text: str, networks: Collection[Network], place: _Place) -> ServerUrl:
    url = _server_url(text, networks, place)
    if not url.path:
        raise place.error(f"expected the URL of a JWK Set, with a path, got {text!r}.")
    return url


def _server_url(text: str, networks: Collection[Network], place: _Place) -> ServerUrl:
    """The URL of a server whose address, if it can be seen already, may be connected to."""
    url = _read(read_url, text, place)
    loopback = _LOOPBACK_NAME.fullmatch(url.host) or (url.address is not None and url.address.is_loopback)
    if url.scheme == "http" and not loopback:
        raise place.error(f"expected https (http is for this machine alone), got {text!r}.")
    if url.address is not None and not is_permitted(url.address, networks):
        raise place.error(
            f"expected a public address, or one of a network that `networks` lists (a metadata service only as "
            f"itself), got {text!r}."
        )
    return url


def _network(text: str, place: _Place) -> Network:
    network = _read(ip_network, text, place)
    if network.prefixlen < (8 if network.version == 4 else 7):  # noqa: PLR2004 - versions of IP
        raise place.error(f"expected a network no wider than 10.0.0.0/8 or fc00::/7, got {text!r}.")
    return network


def _scope(text: str, place: _Place) -> str:
    if not is_resource_scope(text):
        raise place.error(f"expected SMART scopes such as patient/Observation.rs, got {text!r}.")
    return text


def _origin(text: str, place: _Place) -> str:
    if text == "*":
        raise place.error("expected the origins of this client's pages, got *.")
    _read(lambda origin: CorsPolicy(origins=(origin,)), text, place)
    return text


def _distinct(values: Collection[str], place: _Place) -> Collection[str]:
    if len(set(values)) != len(values):
        raise place.error("expected each value once.")
    return values


def _read(read: Callable[[str], T], text: str, place: _Place) -> T:
    try:
        return read(text)
    except (UrlError, ValueError) as error:
        raise place.error(f"got {text!r}. {error}") from error
