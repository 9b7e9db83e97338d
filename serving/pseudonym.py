"""Keyed pseudonyms: how a patient is named in the journal, so that the journal alone identifies nobody."""

import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

MIN_KEY_BYTES = 32  # the output length of SHA-256: RFC 2104, section 3, discourages shorter keys
_OWNER_ONLY = 0o600


class PseudonymKeyError(ValueError):
    """The key is too short, or its file cannot be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Pseudonyms of one site: the same patient and key give the same pseudonym, and only the key leads back.

    Args:
        key: at least 32 secret bytes. It never shows in a repr. Who loses it can no longer tie old journal
            entries to a patient; who shares it shares the identities.

    Raises:
        PseudonymKeyError: the key is shorter than 32 bytes.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < MIN_KEY_BYTES:
            raise PseudonymKeyError(
                f"A pseudonym key has at least {MIN_KEY_BYTES} bytes; this one has {len(self.key)}. "
                "Make one with load_or_create_key."
            )

    def of(self, patient_id: str) -> str:
        """HMAC-SHA256 of the FHIR Patient id, as 64 lower-case hexadecimal digits.

        Raises:
            ValueError: the id is empty, and every such patient would get one common pseudonym.
        """
        if not patient_id:
            raise ValueError("A pseudonym needs a patient id; an empty one came. Refuse the request first.")
        # An id is client-made text: a lone surrogate in it must give a pseudonym too, not an exception.
        message = patient_id.encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, message, "sha256").hex()


def load_or_create_key(path: Path) -> bytes:
    """Read the site's key; at the first start make one of 32 random bytes that only its owner can read.

    For the composition root: this is the one place that touches the disk and the random source. Two processes
    that start together end with one key, since the file appears complete or not at all.

    Raises:
        PseudonymKeyError: other users can read the file, or it holds less than 32 bytes.
        OSError: the folder is missing or not writable.
    """
    if not path.exists():
        _create_key(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise PseudonymKeyError(
            f"The pseudonym key {path} has mode {mode:04o}; expected 0600, since whoever reads it can "
            "identify patients. Run `chmod 600` on it, and consider who has read it."
        )
    return Pseudonyms(key=path.read_bytes()).key


def _create_key(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(MIN_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike rename, fails if another process was first: its key stands
    except FileExistsError:
        return
    finally:
        draft.unlink()
