"""Keys that bundles are signed with: PEM files on the NIST curves that OpenSSF Model Signing takes."""

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from models.plain_file import PlainFileError, read_plain

_KEY_LIMIT_BYTES = 64 << 10
_BY_OTHERS = 0o077
# A curve's hash, as Sigstore pairs them.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


class KeyFileError(ValueError):
    """A key cannot be used; the message says why, and nothing of the key."""


class PasswordNeededError(KeyFileError):
    """A private key is encrypted."""


def make_key_pair(private: Path, public: Path, *, password: bytes | None = None) -> None:
    """Make a key pair on P-256; the private key's file is for its owner alone. No file is ever replaced.

    Raises:
        KeyFileError: a file is there already, or cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    encryption: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    _write_new(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
    _write_new(public, _pem(key.public_key()), 0o644)


def read_private_key(path: Path, password: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """A private key, which nobody but its owner may be able to read.

    Raises:
        PasswordNeededError: it is encrypted, and no password was given.
        KeyFileError: it is none, or others may read it.
    """
    content = _read(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & _BY_OTHERS:
        raise KeyFileError(f"{path.name}: its mode is {mode:o}, others may read it. Expected 600: chmod 600.")
    try:
        key = load_pem_private_key(content, password)
    except TypeError as error:  # cryptography's way to say that a password lacks, or is one too many
        if password is None:
            raise PasswordNeededError(f"{path.name}: encrypted; its password is needed.") from error
        raise KeyFileError(f"{path.name}: not encrypted, but a password was given.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path.name}: expected a private key as PEM, or the password is wrong.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise KeyFileError(f"{path.name}: expected a key on P-256, P-384 or P-521. Make one: bedside bundle key.")
    return key


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """A public key.

    Raises:
        KeyFileError: it is none.
    """
    content = _read(path)
    if b"PRIVATE KEY" in content:
        raise KeyFileError(
            f"{path.name}: expected the public key, got a private one, which should leave nobody's hands."
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path.name}: expected a public key as PEM.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise KeyFileError(f"{path.name}: expected a key on P-256, P-384 or P-521.")
    return key


def digest_of(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    """The hash that signatures of the key's curve are made with."""
    return _HASHES[key.curve.name]


def hint_of(key: ec.EllipticCurvePublicKey) -> str:
    """How a signature names its key: the SHA-256 of the public key's PEM, in hexadecimal."""
    return hashlib.sha256(_pem(key)).hexdigest()


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        # The folder may be a secret's mount, where files are links: the path is the site's own.
        return read_plain(path.resolve(), _KEY_LIMIT_BYTES)
    except PlainFileError as error:
        raise KeyFileError(f"{path.name}: {error}") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise KeyFileError(f"{path.name}: cannot be written: {error.strerror}. A key is never replaced.") from error
