"""Signatures of bundles: who says that a bundle may be served, and that it is the one they looked at.

The format is OpenSSF Model Signing 1.0 with a key of one's own: a Sigstore bundle 0.3 whose DSSE envelope holds an
in-toto statement with the SHA-256 of every file. `model_signing verify key` of the package `model-signing` verifies
what is signed here, and what it signed is verified here; docs/decisions/0012 says why that package is not used itself.

Sources: OpenSSF Model Signing 1.0; Sigstore bundle format 0.3; DSSE 1.0.2 (protocol.md); in-toto Attestation
Framework, Statement v1.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from models.bundle import LIMITS_BYTES, MANIFEST, SIGNATURE, UNREADABLE, Bundle, BundleError, load
from models.plain_file import PlainFileError, read_plain
from models.signing_keys import digest_of, hint_of, read_private_key, read_public_key
from models.spec import ModelSpec

PAYLOAD_TYPE = "application/vnd.in-toto+json"
# Files of a folder that is no bundle, or of another format: signing is not the place to know all of them.
_OTHER_LIMIT_BYTES = 64 << 20


class SignatureError(BundleError):
    """A bundle is not signed, not with this key, or not as it is now."""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Unknown fields are errors: nothing in the file is there unread."""


class _KeyHint(_Strict, frozen=True, kw_only=True):
    hint: str


class _Material(_Strict, frozen=True, kw_only=True):
    public_key: _KeyHint
    tlog_entries: tuple[Any, ...] = ()


class _Signed(_Strict, frozen=True, kw_only=True):
    sig: str
    keyid: str = ""


class _Envelope(_Strict, frozen=True, kw_only=True):
    payload: str
    payload_type: str
    signatures: tuple[_Signed, ...]


class _SignatureFile(_Strict, frozen=True, kw_only=True):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Digest(msgspec.Struct, frozen=True, kw_only=True):
    sha256: _Sha256


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    digest: _Digest


class _Resource(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    algorithm: Literal["sha256"]
    digest: _Sha256


class _Serialization(msgspec.Struct, frozen=True, kw_only=True):
    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: bool
    ignore_paths: tuple[str, ...] = ()


class _Predicate(msgspec.Struct, frozen=True, kw_only=True):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


class _Statement(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: Literal["https://model_signing/signature/v1.0"] = msgspec.field(name="predicateType")
    predicate: _Predicate


def sign(folder: Path, private_key: Path, *, password: bytes | None = None) -> str:
    """Sign all files of a folder as they are now; the signature is written into it as `model.sig`.

    Args:
        folder: a bundle.
        private_key: PEM, on P-256, P-384 or P-521, readable by its owner alone.
        password: of an encrypted key.

    Returns:
        The bundle's fingerprint (SHA-256 of its manifest), which is now vouched for.

    Raises:
        KeyFileError: the key cannot be used.
        SignatureError: there is no bundle, or something in the folder that is no plain file.
    """
    key = read_private_key(private_key, password)
    digests = _digests(folder)
    if MANIFEST not in digests:
        raise SignatureError(f"{folder.name}: expected a bundle directory with {MANIFEST}.")
    payload = msgspec.json.encode(_statement(folder.resolve().name, digests))
    signature = key.sign(_encoded(payload), ec.ECDSA(digest_of(key.public_key())))
    content = _SignatureFile(
        media_type="application/vnd.dev.sigstore.bundle.v0.3+json",
        verification_material=_Material(public_key=_KeyHint(hint=hint_of(key.public_key()))),
        dsse_envelope=_Envelope(
            payload=base64.b64encode(payload).decode(),
            payload_type=PAYLOAD_TYPE,
            signatures=(_Signed(sig=base64.b64encode(signature).decode()),),
        ),
    )
    _write(folder / SIGNATURE, msgspec.json.encode(content))
    return digests[MANIFEST]


def require_signed(folder: Path, public_key: Path) -> str:
    """Require that a folder holds exactly what the holder of the private key signed.

    Returns:
        The fingerprint of the bundle that was signed.

    Raises:
        KeyFileError: the key cannot be used.
        SignatureError: no signature, another key's, a changed one, or other files than those that were signed.
    """
    key = read_public_key(public_key)
    payload = _verified(folder, key)
    try:
        statement = msgspec.json.decode(payload, type=_Statement)
    except UNREADABLE as error:
        raise SignatureError(
            f"{folder.name}/{SIGNATURE}: expected a statement of model signing 1.0: {error}."
        ) from error
    signed = _signed_digests(folder, statement)
    _compare(folder, signed)
    return signed[MANIFEST]


def load_signed(path: Path, spec: ModelSpec, public_key: Path) -> Bundle:
    """Load a bundle of which every byte that is read was signed.

    Raises:
        KeyFileError, SignatureError, BundleError: as `require_signed` and `models.bundle.load`.
    """
    fingerprint = require_signed(path, public_key)
    bundle = load(path, spec)
    if bundle.fingerprint != fingerprint:
        raise SignatureError(f"{path.name}: changed while it was read. Nothing may write to the bundles of a server.")
    return bundle


def _write(path: Path, content: bytes) -> None:
    try:
        path.unlink(missing_ok=True)  # it could be a link that leads elsewhere
        path.write_bytes(content)
    except OSError as error:
        raise SignatureError(f"{path.parent.name}/{path.name}: cannot be written: {error.strerror}.") from error


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 by name, of all that lies in the folder but the signature, in alphabetical order."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise SignatureError(f"{folder.name}: expected a bundle directory: {error.strerror}.") from error
    return {name: _digest(folder, name) for name in names if name != SIGNATURE}


def _digest(folder: Path, name: str) -> str:
    try:
        content = read_plain(folder / name, LIMITS_BYTES.get(name, _OTHER_LIMIT_BYTES))
    except PlainFileError as error:
        raise SignatureError(f"{folder.name}/{name}: {error}") from error
    return hashlib.sha256(content).hexdigest()


def _statement(name: str, digests: dict[str, str]) -> _Statement:
    return _Statement(
        type="https://in-toto.io/Statement/v1",
        subject=(_Subject(name=name, digest=_Digest(sha256=_root(digests))),),
        predicate_type="https://model_signing/signature/v1.0",
        predicate=_Predicate(
            serialization=_Serialization(
                method="files", hash_type="sha256", allow_symlinks=False, ignore_paths=(SIGNATURE,)
            ),
            resources=tuple(
                _Resource(name=file, algorithm="sha256", digest=digest) for file, digest in digests.items()
            ),
        ),
    )


def _root(digests: dict[str, str]) -> str:
    """One digest of all: SHA-256 over the files' digests, in the order of the statement."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests.values())).hexdigest()


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding, so that no payload can pass for one of another type."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def _verified(folder: Path, key: ec.EllipticCurvePublicKey) -> bytes:
    """The payload of the signature file, when the key's holder signed it."""
    where = f"{folder.name}/{SIGNATURE}"
    if not (folder / SIGNATURE).exists():
        raise SignatureError(f"{folder.name}: not signed. Look at it, then sign it: bedside bundle sign.")
    try:
        found = msgspec.json.decode(read_plain(folder / SIGNATURE, LIMITS_BYTES[SIGNATURE]), type=_SignatureFile)
        (signed,) = found.dsse_envelope.signatures
        payload, signature = _from_base64(found.dsse_envelope.payload), _from_base64(signed.sig)
    except (PlainFileError, ValueError, RecursionError) as error:  # msgspec's and binascii's errors are ValueErrors
        raise SignatureError(f"{where}: expected a Sigstore bundle 0.3 with one DSSE signature: {error}") from error
    if found.verification_material.public_key.hint != hint_of(key):
        raise SignatureError(f"{where}: signed with another key. Is this the public key of who released the bundle?")
    try:
        key.verify(signature, _encoded(payload), ec.ECDSA(digest_of(key)))
    except InvalidSignature as error:
        raise SignatureError(f"{where}: its signature is not of this key: it was changed, or forged.") from error
    if found.dsse_envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"{where}: expected the payload type {PAYLOAD_TYPE}.")
    return payload


def _from_base64(text: str) -> bytes:
    """Strictly: one text for each value, so that no byte of the file can be changed without being noticed."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise binascii.Error("bits after the end of base64.")
    return content


def _signed_digests(folder: Path, statement: _Statement) -> dict[str, str]:
    resources = statement.predicate.resources
    signed = {resource.name: resource.digest for resource in resources}
    roots = [subject.digest.sha256 for subject in statement.subject]
    if len(signed) != len(resources) or roots != [_root(signed)]:
        raise SignatureError(f"{folder.name}/{SIGNATURE}: its statement contradicts itself. Sign the bundle again.")
    if MANIFEST not in signed:
        raise SignatureError(f"{folder.name}/{SIGNATURE}: expected the signature of a bundle, with {MANIFEST}.")
    return signed


def _compare(folder: Path, signed: dict[str, str]) -> None:
    found = _digests(folder)
    for kind, names in (("were not signed", found.keys() - signed.keys()), ("are gone", signed.keys() - found.keys())):
        if names:
            raise SignatureError(f"{folder.name}: files that {kind}: {sorted(names)}.")
    for name, digest in signed.items():
        if found[name] != digest:
            raise SignatureError(
                f"{folder.name}/{name}: changed since it was signed: its SHA-256 is {found[name][:12]}…, signed was "
                f"{digest[:12]}…."
            )
