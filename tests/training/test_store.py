"""Events survive the way to Parquet and back, and a file appears only when it is whole."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.times import LATEST
from training.store import SCHEMA, read_events, write_events

HOUR = MICROSECONDS_PER_HOUR
EVENTS = Events.of(
    [
        Event("b", "lactate", 2 * HOUR, 3 * HOUR, 2.4),
        Event("b", "lactate", 2 * HOUR, 2 * HOUR, 1 / 3),
        Event("ä", "age", -50 * HOUR, -50 * HOUR, 0.0),
        Event("b", "heart_rate", HOUR + 1, HOUR + 1, 1e-300),
        Event("b", "inpatient_stay", HOUR, HOUR, 1.0, 9 * HOUR),
        Event("b", "inpatient_stay", 10 * HOUR, 10 * HOUR, 1.0, LATEST),
    ],
    patients=("b", "nobody measured", "ä"),
)


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    write_events(EVENTS, tmp_path / "events.parquet")
    found = read_events(tmp_path / "events.parquet")
    assert (found.patients, found.concepts) == (EVENTS.patients, EVENTS.concepts)
    for name in ("patient", "concept", "time", "known", "value", "until"):
        column, expected = getattr(found, name), getattr(EVENTS, name)
        assert column.dtype == expected.dtype
        assert column.tolist() == expected.tolist()


def test_no_events_are_a_file_too(tmp_path: Path) -> None:
    write_events(Events.of([]), tmp_path / "events.parquet")
    assert len(read_events(tmp_path / "events.parquet")) == 0


def test_any_data_frame_library_reads_names_and_instants(tmp_path: Path) -> None:
    write_events(EVENTS, tmp_path / "events.parquet")
    table = pq.read_table(tmp_path / "events.parquet")
    assert table.schema.names == SCHEMA.names
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["patient"], first["concept"]) == ("ä", "age")
    assert first["time"].isoformat() == "1969-12-29T22:00:00+00:00"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_events(EVENTS, path)
    before = path.read_bytes()
    damaged = Events.of([Event("a", "age", 0, 0, 1.0)])
    object.__setattr__(damaged, "patient", np.array([7], np.int32))  # of one patient
    with pytest.raises((pa.ArrowException, IndexError)):
        write_events(damaged, path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["events.parquet"]
