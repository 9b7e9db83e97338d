"""Statements that are cut by patient and joined again settle to the same record, wherever the cuts are."""

from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.files.sources import ndjson_files
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from features.reading.settle import settle
from features.reading.statements import Statements
from features.refusals import Refusals
from tests.training.extract.sources import assert_same_events
from training.extract.portions import cut_by_patient, join
from training.extract.settling import stay_order
from training.store import join_events


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 2_000), max_size=4), partitions=st.integers(1, 9), data=st.data())
def test_wherever_the_cuts_are_the_record_is_the_same(
    cohort: Path, cuts: list[int], partitions: int, data: st.DataObject
) -> None:
    lines = [line for file in ndjson_files(cohort) for line in file.read_bytes().splitlines(keepends=True)]
    first = data.draw(st.integers(0, len(lines) - 2_000))
    lines = lines[first : first + 2_000]
    edges = [0, *sorted(set(cuts)), len(lines)]
    segments = [_said(lines[start:stop]) for start, stop in pairwise(edges)]
    encoded = [cut_by_patient(said, partitions) for said in segments]
    joined = [join((one[partition] for one in encoded), load_interpreter()) for partition in range(partitions)]
    for one in joined:  # what is referred to goes another way, that of `references`
        for said in segments:
            one.directory.update(said.directory)
    found = [_settled(one) for one in joined]
    expected = _settled(_said(lines))
    assert_same_events(join_events(record.events for record in found), expected.events)
    assert sorted((stay for record in found for stay in record.stays), key=stay_order) == sorted(
        expected.stays, key=stay_order
    )
    refusals = Refusals()
    for record in found:
        refusals.update(record.refusals)
    assert refusals == expected.refusals


def _said(lines: list[bytes]) -> Statements:
    reader = Reader(load_interpreter())
    assert reader.read_lines(b"".join(lines)) or not lines
    return reader.take()


def _settled(said: Statements) -> Record:
    """Without the refusals of reading, which are counted where it is read."""
    said.refusals = Refusals()
    return settle(said)
