"""A client with its keys, tokens as it signs them, and a site that has registered it."""

import asyncio
import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from cds_hooks.security.authenticator import Authenticator, Caller, Endpoint
from cds_hooks.security.key_fetch import KeyFetchError
from cds_hooks.security.key_ring import KeyRing
from cds_hooks.security.rates import RateLimits
from cds_hooks.security.registration_files import load_registrations
from cds_hooks.security.registrations import Registration, Registrations
from cds_hooks.security.replay import SqliteReplayStore
from cds_hooks.security.urls import ServerUrl

NOW = 1_800_000_000.0
ISSUER = "https://ehr.example/"
OTHER_ISSUER = "https://clinic.example/"
PUBLIC_URL = "https://cds.example"
CALLED = f"{PUBLIC_URL}/cds-services/aki"
KEYS_URL = "https://ehr.example/keys"
LISTED_JKU = "https://keys.example/ehr"

CALL = Endpoint(service_id="aki")

ABSENT = object()
"""As a value of `changes`: the member is taken away."""


@cache
def ec_key(key_id: str = "ec-1", curve: str = "P-384") -> ECKey:
    return ECKey.generate_key(curve, {"kid": key_id})


@cache
def rsa_key(key_id: str = "rsa-1") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": key_id})


def public(key: ECKey | RSAKey, **more: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    return {**key.as_dict(private=False), **more}


def key_set(*keys: ECKey | RSAKey) -> bytes:
    return json.dumps({"keys": [public(key) for key in keys]}).encode()


def encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def header(**changes: Any) -> dict[str, Any]:
    return _changed({"alg": "ES384", "typ": "JWT", "kid": "ec-1"}, changes)


def claims(**changes: Any) -> dict[str, Any]:
    plain = {"iss": ISSUER, "aud": CALLED, "exp": int(NOW) + 200, "iat": int(NOW) - 5, "jti": "jti-1"}
    return _changed(plain, changes)


def signed(
    head: Mapping[str, Any] | bytes | None = None,
    body: Mapping[str, Any] | bytes | None = None,
    *,
    key: Any = None,
    algorithm: str | None = None,
) -> str:
    """A compact JWS of whatever is given, signed with `algorithm`, even where the header says another."""
    head = header() if head is None else head
    name = algorithm or (str(head.get("alg", "ES384")) if isinstance(head, Mapping) else "ES384")
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body or claims())]
    signing_input = b".".join(encoded(part) for part in parts)
    signature = JWSRegistry.algorithms[name].sign(signing_input, ec_key() if key is None else key)
    return (signing_input + b"." + encoded(signature)).decode()


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class PublishedKeys:
    """The key sets that clients publish; remembers which were asked for. What is not here is out of reach."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, registration: Registration, url: ServerUrl) -> bytes:
        self.asked.append(str(url))
        if str(url) not in self.bodies:
            raise KeyFetchError(f"No connection for {registration.name}.")
        return self.bodies[str(url)]


def toml_keys(*keys: ECKey | RSAKey) -> str:
    tables = (", ".join(f"{name} = {json.dumps(value)}" for name, value in public(key).items()) for key in keys)
    return "keys = [" + ", ".join(f"{{ {table} }}" for table in tables) + "]"


def registered(folder: Path, *clients: str) -> Registrations:
    """The registrations of a file with these `[[client]]` tables, without their heads."""
    file = folder / "clients.toml"
    file.write_text("\n".join(f"[[client]]\n{client}\n" for client in clients), encoding="utf-8")
    return load_registrations(file)


def client(**changes: Any) -> str:
    """A `[[client]]` table, without its head, of a client whose keys are at KEYS_URL."""
    plain = {"name": "ward-ehr", "issuer": ISSUER, "services": ["aki"], "jwks_url": KEYS_URL}
    changed = _changed(plain, changes)
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in changed.items())
    tomllib.loads(text)  # JSON's texts, numbers and lists are TOML's, too
    return text


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server that has registered clients; everything but the network is real."""

    authenticator: Authenticator
    published: PublishedKeys
    clock: Clock


def site(folder: Path, *clients: str, public_urls: tuple[str, ...] = (PUBLIC_URL,)) -> Site:
    """By default with one client, whose two keys are at KEYS_URL."""
    published = PublishedKeys({KEYS_URL: key_set(ec_key(), rsa_key())})
    clock = Clock()
    monotonic = Clock(0.0)
    authenticator = Authenticator(
        registrations=registered(folder, *(clients or (client(),))),
        public_urls=public_urls,
        keys=KeyRing(published, monotonic=monotonic),
        replay=SqliteReplayStore(folder / "used.db"),
        rates=RateLimits(monotonic=monotonic),
        clock=clock,
    )
    return Site(authenticator=authenticator, published=published, clock=clock)


def ask(at: Site, *authorizations: str, endpoint: Endpoint = CALL) -> Caller:
    """Who a request with these Authorization headers is from."""
    return asyncio.run(at.authenticator.authenticate(authorizations, endpoint))


def ask_with(at: Site, token: str, endpoint: Endpoint = CALL) -> Caller:
    return ask(at, f"Bearer {token}", endpoint=endpoint)


def refusal(caplog: pytest.LogCaptureFixture) -> str:
    """The reason that the log has for the one request that was refused."""
    (record,) = [record for record in caplog.records if record.message == "client_refused"]
    return str(record.__dict__["reason"])


def _changed(plain: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**plain, **changes}.items() if value is not ABSENT}
