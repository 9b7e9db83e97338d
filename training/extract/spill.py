"""Spill files: what one segment of a file states, cut by patient, for those who settle.

A file holds numbered blobs behind their offsets (uint64, little-endian, one more than there are blobs), so that a blob
is read without what lies before it. First come the statements by partition of patients, then, by partition of
references, what the segment says of Medications, Locations and Specimens and which of them it asks for. Blobs are
MessagePack: data, never code.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import numpy as np

OFFSET = np.dtype("<u8")
INDEX = "segments"


def partition_of(name: str, partitions: int) -> int:
    """Where an id belongs; the same on every machine and in every run."""
    return crc32(name.encode()) % partitions


def segment_name(share: int, segment: int) -> str:
    """A segment's file name; the names sort as the segments were read."""
    return f"segment-{share:07d}-{segment:05d}"


def references_name(partition: int) -> str:
    """The name of the file with one partition of what was referred to."""
    return f"references-{partition:05d}"


def write_blobs(path: Path, blobs: Sequence[bytes]) -> int:
    """Write blobs; the file appears only when it is whole. Its bytes are returned."""
    offsets = np.cumsum([OFFSET.itemsize * (len(blobs) + 1), *map(len, blobs)], dtype=OFFSET)
    aside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with aside.open("wb") as file:
            file.write(offsets.tobytes())
            file.writelines(blobs)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return int(offsets[-1])


def read_blob(path: Path, number: int) -> bytes:
    """One blob; empty where nothing was said."""
    with path.open("rb", buffering=0) as file:
        start, stop = np.frombuffer(_read(file.fileno(), 2 * OFFSET.itemsize, number * OFFSET.itemsize), OFFSET)
        return _read(file.fileno(), int(stop - start), int(start))


def write_index(folder: Path, segments: Sequence[str]) -> None:
    """Write down which segments there are, in their order, for those who settle."""
    write_blobs(folder / INDEX, ["\n".join(segments).encode()])


def read_index(folder: Path) -> Iterator[Path]:
    """The segments in their order."""
    text = read_blob(folder / INDEX, 0).decode()
    return (folder / name for name in text.split("\n") if name)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    pieces = []
    while size:
        piece = os.pread(descriptor, size, offset)
        if not piece:
            raise OSError("a spill file is shorter than its offsets say")
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
