"""Memory of the feature kernel: never above the stated formula, and computing part by part gives the same bits."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import Kernel, Part, kernel, search
from features.kernel.aggregations import Ints
from features.kernel.search import Block, Shares

CONCEPTS = ("lactate", "sodium", "inpatient_stay")
HOURS = 72
Index = tuple[Ints, Ints]


def made(patients: int, events_each: int, *, late: bool = True) -> Events:
    """Random events of `patients`, `events_each` of each concept."""
    rng = np.random.default_rng(5)
    count = patients * events_each * len(CONCEPTS)
    time = rng.integers(0, HOURS * 60, count) * (MICROSECONDS_PER_HOUR // 60)
    return Events.sort(
        patients=[f"patient-{number}" for number in range(patients)],
        concepts=CONCEPTS,
        patient=np.tile(np.arange(patients, dtype=np.int32), count // patients),
        concept=np.repeat(np.arange(len(CONCEPTS), dtype=np.int32), count // len(CONCEPTS)),
        time=time,
        known=time + late * rng.integers(0, 3, count) * MICROSECONDS_PER_HOUR,
        value=rng.integers(0, 64, count) / 8,
        until=time + rng.integers(0, 20, count) * MICROSECONDS_PER_HOUR,
    )


def index_of(patients: int, each: int) -> Index:
    rng = np.random.default_rng(6)
    return np.repeat(np.arange(patients), each), rng.integers(0, HOURS, patients * each) * MICROSECONDS_PER_HOUR


FEATURES = FeatureSet(
    Aggregate(concept=concept, aggregation=aggregation, lookback_hours=lookback, since=since)
    for concept in CONCEPTS[:2]
    for aggregation in Aggregation
    for lookback, since in ((24.0, None), (None, "inpatient_stay"))
)
PLAIN = FeatureSet(
    Aggregate(concept=concept, aggregation=aggregation, lookback_hours=24)
    for concept in CONCEPTS[:2]
    for aggregation in (Aggregation.LAST, Aggregation.MEAN, Aggregation.MAX)
)


def peak_bytes(work: Kernel, events: Events, index: Index, threads: int) -> int:
    """What the allocator says: NumPy reports its arrays to tracemalloc."""
    tracemalloc.start()
    try:
        work.compute(events, *index, threads=threads)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("late", [False, True], ids=["known at once", "known late"])
@pytest.mark.parametrize("features", [PLAIN, FEATURES], ids=["a few features", "every kind of feature"])
@pytest.mark.parametrize(
    ("patients", "events_each", "index_each"),
    [
        pytest.param(1, 1_000, 1_500, id="one patient"),
        pytest.param(400, 40, 40, id="a ward"),
        pytest.param(6_000, 20, 2, id="a hospital"),
    ],
)
def test_memory_stays_below_the_formula(
    patients: int,
    events_each: int,
    index_each: int,
    features: FeatureSet,
    late: bool,  # noqa: FBT001 - a parameter of the table
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With small limits, so that what grows with the input would show; the terms of the formula stay as they are."""
    monkeypatch.setattr(kernel, "CHUNK_ROWS", 1_024)
    for module in (kernel, search):
        monkeypatch.setattr(module, "BLOCK_EVENTS", 8_192)
    work, events, index = Kernel(features), made(patients, events_each, late=late), index_of(patients, index_each)
    bound = work.peak_bytes(len(index[0]), patient_events=events_each * len(CONCEPTS), threads=threads)
    assert peak_bytes(work, events, index, threads) <= bound + FIXED_BYTES


FIXED_BYTES = 100_000  # threads, closures and other small Python objects, however large the input is


def test_more_events_of_other_patients_take_no_more_memory() -> None:
    work, (patients, times) = Kernel(FEATURES), index_of(50, 20)
    few, many = (peak_bytes(work, made(count, 20), (patients, times), 1) for count in (50, 5_000))
    assert many < 1.05 * few + FIXED_BYTES


@pytest.mark.parametrize(
    ("limit", "last", "fits"),
    [
        pytest.param(600, 9, True, id="as many as may be"),
        pytest.param(599, 9, False, id="one more"),
        pytest.param(59, 0, True, id="a patient alone, who cannot be cut"),
    ],
)
def test_a_block_of_several_patients_has_no_more_events_than_it_may(
    limit: int,
    last: int,
    fits: bool,  # noqa: FBT001 - a parameter of the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "BLOCK_EVENTS", limit)
    events = made(12, 20)
    block = Block.of(events, Shares.of(events, CONCEPTS), 0, last)
    assert (block is not None) == fits
    if block is not None:
        assert len(block.series) == (last + 1) * 60


def parts_of(events: Events, patients: Ints, times: Ints, size: int) -> Iterator[Part]:
    """The same events and index times in blocks of patients, each numbered anew."""
    for start in range(0, len(events.patients), size):
        own = (events.patient >= start) & (events.patient < start + size)
        chosen = (patients >= start) & (patients < start + size)
        columns = {name: getattr(events, name)[own] for name in ("concept", "time", "known", "value", "until")}
        names = events.patients[start : start + size]
        table = Events(
            patients=names, concepts=events.concepts, patient=events.patient[own] - np.int32(start), **columns
        )
        yield Part(table, patients[chosen] - start, times[chosen])


@pytest.mark.parametrize("size", [1, 7, 60])
def test_part_by_part_gives_the_same_bits(size: int) -> None:
    work, events, (patients, times) = Kernel(FEATURES), made(60, 10), index_of(60, 5)
    whole = work.compute(events, patients, times)
    found = np.concatenate(list(work.stream(parts_of(events, patients, times, size))))
    assert found.tobytes() == whole.tobytes()


def test_only_the_current_part_is_asked_for() -> None:
    asked = []

    def parts() -> Iterator[Part]:
        for part in parts_of(made(6, 10), *index_of(6, 5), 2):
            asked.append(part)
            yield part

    found = Kernel(PLAIN).stream(parts())
    assert asked == []
    next(found)
    assert len(asked) == 1


def test_a_patient_cut_in_two_is_refused() -> None:
    """Half of a patient's events give a number, and a wrong one."""
    part = Part(made(3, 10), *index_of(3, 5))
    stream = Kernel(PLAIN).stream([part, part])
    next(stream)
    with pytest.raises(ValueError, match="Part 2: expected patients who were in no part before, got 3"):
        next(stream)


def test_an_index_patient_who_is_not_in_the_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"index_patients in 0\.\.2"):
        next(Kernel(PLAIN).stream([Part(made(3, 10), *index_of(4, 5))]))


def test_patients_of_a_shared_list_who_do_not_occur_are_in_no_part() -> None:
    """Parts may be numbered by one list of all patients."""
    events, (patients, times) = made(4, 10), index_of(4, 5)
    halves = []
    for own, chosen in ((events.patient < 2, patients < 2), (events.patient >= 2, patients >= 2)):
        columns = {
            name: getattr(events, name)[own] for name in ("patient", "concept", "time", "known", "value", "until")
        }
        table = Events(patients=events.patients, concepts=events.concepts, **columns)
        halves.append(Part(table, patients[chosen], times[chosen]))
    work = Kernel(PLAIN)
    found = np.concatenate(list(work.stream(halves)))
    assert found.tobytes() == work.compute(events, patients, times).tobytes()
