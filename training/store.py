"""Events as Parquet: what `bedside extract` writes and a data scientist reads with any data frame library."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.events import Events

SCHEMA = pa.schema(
    [
        ("patient", pa.dictionary(pa.int32(), pa.string())),
        ("concept", pa.dictionary(pa.int32(), pa.string())),
        ("time", pa.timestamp("us", tz="UTC")),
        ("known", pa.timestamp("us", tz="UTC")),
        ("value", pa.float64()),
    ]
)


def write_events(events: Events, path: Path) -> None:
    """Write events in their order; the file appears only when it is whole."""
    table = pa.table(
        [
            pa.DictionaryArray.from_arrays(events.patient, list(events.patients)),
            pa.DictionaryArray.from_arrays(events.concept, list(events.concepts)),
            pa.array(events.time, pa.timestamp("us", tz="UTC")),
            pa.array(events.known, pa.timestamp("us", tz="UTC")),
            pa.array(events.value),
        ],
        schema=SCHEMA,
    )
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, aside, compression="zstd")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_events(path: Path) -> Events:
    """Read what `write_events` wrote."""
    table = pq.read_table(path).cast(SCHEMA).combine_chunks()
    patient, concept = (table.column(name).chunk(0) for name in ("patient", "concept"))
    return Events.sort(
        patients=patient.dictionary.to_pylist(),
        concepts=concept.dictionary.to_pylist(),
        patient=np.asarray(patient.indices, np.int32),
        concept=np.asarray(concept.indices, np.int32),
        time=np.asarray(table.column("time").cast(pa.int64()), np.int64),
        known=np.asarray(table.column("known").cast(pa.int64()), np.int64),
        value=np.asarray(table.column("value"), np.float64),
    )
