"""Keys: the public halves with which clients' signatures are checked; the only file that knows the JWT library.

Sources: RFC 7515, RFC 7517, RFC 7518; CDS Hooks 2.0.1, JWT Signing Algorithm (none and HMAC are forbidden);
NIST SP 800-131A (RSA from 2048 bits).
"""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from cds_hooks.security.strict_json import JsonError, read_object

Algorithm: TypeAlias = Literal["RS384", "RS512", "PS384", "PS512", "ES384"]

KEY_TYPES: Final[Mapping[str, str]] = {
    "RS384": "RSA",
    "RS512": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES384": "EC",
}
DEFAULT_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ES384", "RS384")

SHORTEST_RSA_BITS: Final = 2048
LONGEST_RSA_BITS: Final = 8192  # a check takes quadratic time: a longer key would be a way to keep us busy
CURVE: Final = "P-384"
MOST_KEYS: Final = 32
LONGEST_KEY_ID: Final = 255

# Public halves of keys whose private halves were thrown away: checking against one costs what checking against a
# client's costs, so that the time of a refusal does not tell whether an issuer is registered.
_DECOYS: Final[Mapping[str, Mapping[str, str]]] = {
    "RSA": {
        "kty": "RSA",
        "kid": "decoy",
        "e": "AQAB",
        "n": (
            "uIpEl5YwOYKKjgA16RV5eWoN5k9zrPLswHw5djjGocBzOTD0SnlQKnAH6AH4TnLoZjqeqVDTwGqg6elyaRH-SXRoGR87YMiAdk2j605p"
            "UjdcfyHKBIYo-K23EYX7KW_tAMm6vTbIsyjtpkHpiy38-nq2IJ8339DzDz6ABkXAXz1g3OHyLs1Ta24RivczMooUbY0D_-M7U3zTUdgE"
            "IAEYwKVBcoPlqMdPp5MDGby1gMo0XMOSS9dUHrZ4zwCCzs7gAJr554FoxGWdexmOJqek0Uj2-gMpHM58jDof-9pva8R-cxu0F5A0NEpY"
            "f-G09e8gF7f4TU1xOug6l5OXsXhv8Q"
        ),
    },
    "EC": {
        "kty": "EC",
        "kid": "decoy",
        "crv": "P-384",
        "x": "Nc-OrtJgkRpMidFyAFEtZ7hs9ddS-cK6djGpHzrMC2VoYO_gAXiVLvKB1_0f0ib4",
        "y": "fb93coEZyLz3kXT5uyGRVdKg3naSjFWAL5qlhc4UEZf0WBn-dl5thyX6U0t9BXmp",
    },
}


class KeySetError(ValueError):
    """A JWK Set, or a key of it, that we do not use; the message has nothing of the key but its place in the set."""


class _Registry(jws.JWSRegistry):
    """The library's bounds, wide enough for headers with a `jku`; the token as a whole is bounded before."""

    max_header_length = 4096
    max_signature_length = 2 * LONGEST_RSA_BITS // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A client's public key, checked; `algorithm` is the only one that its owner means it for, if the owner says."""

    key_id: str
    key_type: str
    algorithm: str | None
    _key: RSAKey | ECKey = field(repr=False)

    def fits(self, algorithm: str) -> bool:
        """Whether signatures of this algorithm can be checked with this key."""
        return KEY_TYPES.get(algorithm) == self.key_type and self.algorithm in {None, algorithm}

    def verifies(self, compact: bytes, algorithm: str) -> bool:
        """Whether a compact JWS was signed by this key's owner with exactly this algorithm."""
        if not self.fits(algorithm):
            return False
        registry = _Registry(algorithms=[algorithm], strict_check_header=False)
        try:
            jws.deserialize_compact(compact, self._key, registry=registry)
        except (JoseError, ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Keys by id. `ignored` counts, by reason, the keys of the set that we do not use."""

    keys: Mapping[str, VerificationKey]
    ignored: Mapping[str, int]

    def __repr__(self) -> str:
        return f"KeySet({len(self.keys)} keys, {sum(self.ignored.values())} ignored)"


def decoys() -> Mapping[str, VerificationKey]:
    """For each algorithm, a key that verifies nothing."""
    keys = {kind: read_key(jwk, where="decoy") for kind, jwk in _DECOYS.items()}
    return {algorithm: keys[kind] for algorithm, kind in KEY_TYPES.items()}


def read_key_set(body: bytes) -> KeySet:
    """Read a JWK Set as a client publishes it: what is not for us is left aside and counted.

    Raises:
        KeySetError: it is no JWK Set, has more than `MOST_KEYS`, one id twice, or no key that we can use.
    """
    try:
        listed = read_object(body).get("keys")
    except JsonError as error:
        raise KeySetError(f"Expected a JWK Set (RFC 7517) as JSON, got {error}.") from error
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_KEYS:
        raise KeySetError(f"Expected a JWK Set with 1 to {MOST_KEYS} keys.")
    keys: list[VerificationKey] = []
    ignored: Counter[str] = Counter()
    for jwk in listed:
        try:
            keys.append(read_key(jwk, where="key"))
        except KeySetError as error:
            ignored[str(error)] += 1
    if not keys:
        raise KeySetError(f"Expected a key that we can use, got none: {'; '.join(sorted(ignored))}.")
    return KeySet(keys=by_id(keys), ignored=ignored)


def read_key(jwk: object, *, where: str) -> VerificationKey:
    """Check and read one public key.

    Args:
        jwk: decoded from JSON or TOML.
        where: what messages call it.

    Raises:
        KeySetError: it is none that we use.
    """
    if not isinstance(jwk, Mapping) or not all(isinstance(name, str) for name in jwk):
        raise KeySetError(f"{where}: expected a JWK as an object")
    key_id, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(key_id, str) or not 1 <= len(key_id) <= LONGEST_KEY_ID or not key_id.isprintable():
        raise KeySetError(f"{where}: expected a kid of 1 to {LONGEST_KEY_ID} printable characters")
    if {"d", "k", "p", "q"} & set(jwk):
        raise KeySetError(f"{where}: expected a public key, got a secret one: change that key, it is known now")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk, where):
        raise KeySetError(f"{where}: expected a key for signatures (use sig, key_ops verify)")
    key = _imported(jwk, where)
    kind = str(jwk["kty"])
    if algorithm is not None and KEY_TYPES.get(str(algorithm)) != kind:
        raise KeySetError(f"{where}: expected an alg of {', '.join(KEY_TYPES)} that fits the kty")
    return VerificationKey(
        key_id=key_id, key_type=kind, algorithm=None if algorithm is None else str(algorithm), _key=key
    )


def by_id(keys: list[VerificationKey]) -> Mapping[str, VerificationKey]:
    """Keys by their ids.

    Raises:
        KeySetError: two have one id: which is meant would be a guess.
    """
    found = {key.key_id: key for key in keys}
    if len(found) != len(keys):
        raise KeySetError("Expected one key for each kid (CDS Hooks: unique within the JWK Set), got two of one kid.")
    return found


def _operations(jwk: Mapping[str, Any], where: str) -> list[Any]:
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list):
        raise KeySetError(f"{where}: expected key_ops as a list")
    return operations


def _imported(jwk: Mapping[str, Any], where: str) -> RSAKey | ECKey:
    kind = jwk.get("kty")
    if kind == "EC" and jwk.get("crv") == CURVE:
        names: tuple[str, ...] = ("kty", "crv", "x", "y")
    elif kind == "RSA":
        names = ("kty", "n", "e")
    else:
        raise KeySetError(f"{where}: expected kty RSA, or kty EC on {CURVE}")
    parts = {name: jwk.get(name) for name in names}  # nothing else of it reaches the library
    if not all(isinstance(value, str) and len(value) <= 4 * LONGEST_RSA_BITS // 8 for value in parts.values()):
        raise KeySetError(f"{where}: expected {', '.join(names)} as text")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of short keys: they are refused below
            key = RSAKey.import_key(parts) if kind == "RSA" else ECKey.import_key(parts)  # type: ignore[arg-type]
            raw = key.public_key  # the library reads the numbers only when they are asked for
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeySetError(f"{where}: expected a public key, got numbers that are none") from None
    if kind == "RSA" and not SHORTEST_RSA_BITS <= raw.key_size <= LONGEST_RSA_BITS:
        raise KeySetError(f"{where}: expected an RSA key of {SHORTEST_RSA_BITS} to {LONGEST_RSA_BITS} bits")
    return key
