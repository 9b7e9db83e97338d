"""Events as Parquet: what `bedside extract` writes and a data scientist reads with any data frame library."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.events import Events
from features.reading.statements import Stay
from training.extract.manifest import read_manifest

INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("patient", pa.dictionary(pa.int32(), pa.string())),
        ("concept", pa.dictionary(pa.int32(), pa.string())),
        ("time", INSTANT),
        ("known", INSTANT),
        ("value", pa.float64()),
        ("until", INSTANT),
    ]
)
STAY_SCHEMA = pa.schema(
    [("patient", pa.string()), ("class", pa.string()), ("level", pa.string()), ("start", INSTANT), ("end", INSTANT)]
)


def write_events(events: Events, path: Path) -> None:
    """Write events in their order; the file appears only when it is whole."""
    table = pa.table(
        [
            pa.DictionaryArray.from_arrays(events.patient, pa.array(events.patients, pa.string())),
            pa.DictionaryArray.from_arrays(events.concept, pa.array(events.concepts, pa.string())),
            pa.array(events.time, INSTANT),
            pa.array(events.known, INSTANT),
            pa.array(events.value),
            pa.array(events.until, INSTANT),
        ],
        schema=SCHEMA,
    )
    _write(table, path)


def write_stays(stays: Sequence[Stay], path: Path) -> None:
    """Write stays in their order; the file appears only when it is whole."""
    columns = {
        "patient": [stay.patient for stay in stays],
        "class": [stay.encounter_class for stay in stays],
        "level": [stay.level for stay in stays],
        "start": [stay.start for stay in stays],
        "end": [stay.end for stay in stays],
    }
    _write(pa.table(columns, schema=STAY_SCHEMA), path)


def read_events(path: Path) -> Events:
    """Read a file that `write_events` wrote, or all the parts in a folder that `bedside extract` wrote.

    Raises:
        NotWholeError: the folder is not whole.
    """
    return join_events(read_parts(path)) if path.is_dir() else _read_events(path)


def read_parts(path: Path) -> Iterator[Events]:
    """The parts in a folder, one after the other: all events of some of the patients each.

    So that what is computed by patient needs no more memory than one part.

    Raises:
        NotWholeError: the folder is not whole; before the first part.
    """
    parts = read_manifest(path).parts
    return (_read_events(path / "events" / part.name) for part in parts)


def read_stays(path: Path) -> Iterator[tuple[Stay, ...]]:
    """The stays in a folder, part by part as `read_parts` gives the events.

    Raises:
        NotWholeError: the folder is not whole; before the first part.
    """
    parts = read_manifest(path).parts
    return (_read_stays(path / "stays" / part.name) for part in parts)


def join_events(parts: Iterable[Events]) -> Events:
    """The events of several groups of patients as one; patients and concepts stand in the order of their names."""
    several = list(parts)
    if len(several) == 1:
        return several[0]
    patients = sorted({name for part in several for name in part.patients})
    concepts = sorted({name for part in several for name in part.concepts})
    place, number = ({name: i for i, name in enumerate(names)} for names in (patients, concepts))
    empty = Events.of([])
    columns = {
        name: np.concatenate([getattr(part, name) for part in [empty, *several]])
        for name in ("time", "known", "value", "until")
    }
    return Events.sort(
        patients=patients,
        concepts=concepts,
        patient=np.concatenate([empty.patient, *(_renumbered(one.patient, one.patients, place) for one in several)]),
        concept=np.concatenate([empty.concept, *(_renumbered(one.concept, one.concepts, number) for one in several)]),
        **columns,
    )


def _renumbered(column: NDArray[np.int32], names: Sequence[str], numbers: dict[str, int]) -> NDArray[np.int32]:
    return np.take(np.array([numbers[name] for name in names], np.int32), column)


def _write(table: pa.Table, path: Path) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, aside, compression="zstd")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _read_events(path: Path) -> Events:
    table = pq.read_table(path).cast(SCHEMA).combine_chunks()
    patient, concept = (table.column(name).chunk(0) for name in ("patient", "concept"))
    return Events.sort(
        patients=patient.dictionary.to_pylist(),
        concepts=concept.dictionary.to_pylist(),
        patient=np.asarray(patient.indices, np.int32),
        concept=np.asarray(concept.indices, np.int32),
        value=np.asarray(table.column("value"), np.float64),
        **{name: np.asarray(table.column(name).cast(pa.int64()), np.int64) for name in ("time", "known", "until")},
    )


def _read_stays(path: Path) -> tuple[Stay, ...]:
    table = pq.read_table(path).cast(STAY_SCHEMA)
    start, end = (table.column(name).cast(pa.int64()).to_pylist() for name in ("start", "end"))
    names = (table.column(name).to_pylist() for name in ("patient", "class", "level"))
    return tuple(
        Stay(patient=patient, encounter_class=encounter_class, level=level, start=first, end=last)
        for patient, encounter_class, level, first, last in zip(*names, start, end, strict=True)
    )
