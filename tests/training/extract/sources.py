"""Folders of FHIR to extract, and what one reader makes of them in one go: what every other way must give too."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from features.events import Events
from features.files.sources import ndjson_files, read_ndjson
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from training.extract.crews import Alone
from training.extract.extraction import Options, extract, extract_record
from training.extract.faults import Faults
from training.extract.manifest import Manifest
from training.extract.settling import stay_order

SCARCE = 300_000  # bytes of memory for settling: many partitions even of a small source


def no_progress(*_: object) -> None:
    """Nobody watches."""


def folder_of(path: Path, **files: Iterable[dict[str, Any] | str]) -> Path:
    """A folder with an NDJSON file of each name."""
    path.mkdir(exist_ok=True)
    for name, lines in files.items():
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        (path / f"{name}.ndjson").write_text(text, encoding="utf-8")
    return path


def in_one_go(source: Path) -> Record:
    """What one reader makes of all files."""
    reader = Reader(load_interpreter())
    for file in ndjson_files(source):
        reader.read(read_ndjson(file, reader.refusals, on_broken=lambda _: None))
    return reader.record()


def recorded(source: Path, *, memory_bytes: int = 2**30) -> tuple[Record, Faults]:
    """The record of a source, read here."""
    return extract_record(source, crew=Alone(), options=Options(memory_bytes=memory_bytes), progress=no_progress)


def extracted(source: Path, target: Path, *, memory_bytes: int = 2**30, keep_going: bool = False) -> Manifest:
    """Extract here."""
    options = Options(memory_bytes=memory_bytes)
    return extract(source, target, crew=Alone(), options=options, keep_going=keep_going, progress=no_progress)


def assert_same(found: Record, expected: Record) -> None:
    """The same events bit by bit, the same stays, refusals and count of resources."""
    assert_same_events(found.events, expected.events)
    assert found.stays == tuple(sorted(expected.stays, key=stay_order))
    assert list(found.refusals) == list(expected.refusals)
    assert found.resources == expected.resources


def assert_same_events(found: Events, expected: Events) -> None:
    """The same events bit by bit."""
    assert (found.patients, found.concepts) == (expected.patients, expected.concepts)
    for column in ("patient", "concept", "time", "known", "value", "until"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column), err_msg=column)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path within it."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
