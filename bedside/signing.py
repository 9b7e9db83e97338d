"""Signs a bundle that a server would serve, and no other."""

from dataclasses import dataclass
from pathlib import Path

from models.bundle import load, model_id_of
from models.catalog import find
from models.signing import SignatureError, load_signed, sign
from serving.assess import serve


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBundle:
    """A bundle whose signature stands."""

    model_id: str
    version: str
    fingerprint: str

    def describe(self) -> str:
        """In one line."""
        return f"{self.model_id} {self.version}, fingerprint {self.fingerprint}"


def sign_bundle(path: Path, private_key: Path, *, password: bytes | None = None) -> SignedBundle:
    """Load a bundle as a server does, run its golden rows, then sign it.

    Raises:
        BundleError, UnknownModelError: it would not be served.
        KeyFileError: the key cannot be used; PasswordNeededError where it is encrypted.
    """
    entry = find(model_id_of(path))
    proved = serve(entry, load(path, entry.spec)).bundle
    fingerprint = sign(path, private_key, password=password)
    if fingerprint != proved.fingerprint:
        raise SignatureError(f"{path.name}: changed while it was signed. Look at it again, then sign it again.")
    return SignedBundle(model_id=entry.spec.id, version=proved.manifest.version, fingerprint=fingerprint)


def verify_bundle(path: Path, public_key: Path) -> SignedBundle:
    """Verify as a server in production does before it serves.

    Raises:
        BundleError, UnknownModelError: not signed with this key, changed since, or of no model of the catalog.
        KeyFileError: the key cannot be used.
    """
    entry = find(model_id_of(path))
    bundle = load_signed(path, entry.spec, public_key)
    return SignedBundle(model_id=entry.spec.id, version=bundle.manifest.version, fingerprint=bundle.fingerprint)
