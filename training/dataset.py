"""A data set as training sees it: a record of events and stays, and where it came from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from features.reading.reader import Record
from models.bundle import SourceFile

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told of long work: what is being done, how much is done, of how much."""


class DatasetError(Exception):
    """A data set cannot be read; the message names the file and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Events and stays with their provenance.

    Attributes:
        name: as a model card names it.
        role: "development" or "external".
        licence, attribution: of the data.
        record: what was read, and what was refused.
        files: with their hashes.
    """

    name: str
    role: str
    licence: str
    attribution: str
    record: Record
    files: tuple[SourceFile, ...]


def source_file(path: Path, role: str) -> SourceFile:
    """A file's name, size and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return SourceFile(name=path.name, sha256=digest.hexdigest(), bytes=path.stat().st_size, role=role)
