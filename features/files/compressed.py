"""Compressed files: gzip and Zstandard as streams of bytes, told apart by how they begin."""

import gzip
import io
import sys
import zlib
from typing import Literal, TypeAlias

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression: TypeAlias = Literal["gzip", "zstd"]

SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

# RFC 1952, section 2.3.1; RFC 8878, sections 3.1.1 and 3.1.2 (a skippable frame begins with any of sixteen numbers).
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"

DAMAGED = (OSError, EOFError, zlib.error, zstd.ZstdError)
"""What reading a file raises if it cannot be opened, breaks off or is damaged."""


def compression_of(name: str, head: bytes) -> Compression | None:
    """How a file is compressed: as its suffix says, else as its first bytes say; None if it is not."""
    for suffix, compression in SUFFIXES.items():
        if name.endswith(suffix):
            return compression
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE_MAGIC and head[0] & 0xF0 == 0x50):  # noqa: PLR2004
        return "zstd"
    return None


def without_suffix(name: str) -> str:
    """The name of what is compressed in a file."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def decompressed(raw: io.BufferedReader, compression: Compression) -> io.BufferedIOBase:
    """The bytes that were compressed, over all members or frames of the file.

    Reading it raises one of `DAMAGED` where the file breaks off, also where it is empty: a compressed file of nothing
    has a head and an end.
    """
    if not raw.read(1):
        raise EOFError("a compressed file without a byte in it")
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if compression == "gzip" else zstd.ZstdFile(raw)
