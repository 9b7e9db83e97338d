"""Signing: the client's private key and what it signs; the only file that knows the JWT library.

SMART App Launch 2.2, "Client Authentication: Asymmetric (public key)": RS384 or ES384, `kid` as registered.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Algorithm: TypeAlias = Literal["RS384", "ES384"]

SHORTEST_RSA_BITS = 2048  # NIST SP 800-131A
CURVE = "P-384"

_KINDS: dict[str, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}


class KeyFileError(Exception):
    """A file holds no key that we can sign with; the message never has what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key, by the id under which its public half is registered."""

    key_id: str
    algorithm: Algorithm
    _key: RSAKey | ECKey = field(repr=False)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A compact JWT of the claims."""
        header = {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}
        return jwt.encode(header, dict(claims), self._key, algorithms=[self.algorithm])


def load_key(file: Path, *, key_id: str | None = None) -> SigningKey:
    """Read a private key.

    Args:
        file: a JWK, a JWK set, or PEM without a password.
        key_id: of the key; needed for PEM, and to choose from a set. A JWK has its own.

    Raises:
        KeyFileError: no such file, no private RSA key of 2048 bits or more and no EC key on P-384, or no id.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{file}: {error.strerror}.") from error
    if data.lstrip().startswith(b"{"):
        return _from_jwk(file, _chosen(file, data, key_id), key_id)
    if key_id is None:
        raise KeyFileError(f"{file}: a PEM file has no key id: name the `kid` under which the key is registered.")
    for kind in _KINDS.values():
        key = _imported(kind, data)
        if key is not None:
            return _checked(file, key, key_id)
    raise KeyFileError(f"{file}: expected a private RSA or EC key as JWK or PEM without a password.")


def _chosen(file: Path, data: bytes, key_id: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyFileError(f"{file}: expected a JWK as JSON, got JSON that breaks off.") from None  # it holds a key
    keys = found.get("keys", [found])
    chosen = [key for key in keys if isinstance(key, dict) and "d" in key and key_id in {None, key.get("kid", key_id)}]
    if len(chosen) != 1:
        raise KeyFileError(
            f"{file}: expected one private key{f' with the id {key_id}' if key_id else ''}, got {len(chosen)}."
        )
    return chosen[0]


def _from_jwk(file: Path, jwk: dict[str, Any], key_id: str | None) -> SigningKey:
    key_id = jwk.get("kid", key_id)
    if not isinstance(key_id, str):
        raise KeyFileError(f"{file}: the key has no `kid`: name the one under which it is registered.")
    kind = _KINDS.get(str(jwk.get("kty")))
    key = None if kind is None else _imported(kind, jwk)
    if key is None:
        raise KeyFileError(f"{file}: expected a private RSA or EC key, got a key that cannot be used.")
    found = _checked(file, key, key_id)
    if jwk.get("alg", found.algorithm) != found.algorithm:
        raise KeyFileError(f"{file}: expected a key for {found.algorithm}, got one for another algorithm.")
    return found


def _imported(kind: type[RSAKey] | type[ECKey], data: Any) -> RSAKey | ECKey | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of short keys: `_checked` refuses them
            return kind.import_key(data)
    except (JoseError, ValueError, TypeError):
        return None  # the caller says so, in words of its own: the library's may repeat parts of the key


def _checked(file: Path, key: RSAKey | ECKey, key_id: str) -> SigningKey:
    if not key.is_private:
        raise KeyFileError(f"{file}: expected the private key, got the public one.")
    if isinstance(key, ECKey):
        if key.curve_name != CURVE:
            raise KeyFileError(f"{file}: expected an EC key on {CURVE}, got one on {key.curve_name}.")
        return SigningKey(key_id=key_id, algorithm="ES384", _key=key)
    bits = key.raw_value.key_size
    if bits < SHORTEST_RSA_BITS:
        raise KeyFileError(f"{file}: expected an RSA key of {SHORTEST_RSA_BITS} bits or more, got one of {bits}.")
    return SigningKey(key_id=key_id, algorithm="RS384", _key=key)
