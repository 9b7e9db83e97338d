"""The feature kernel against a plain second implementation, and what must change no bit of it."""

import pickle
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.feature import Aggregate, Aggregation, Difference, Feature, FeatureSet, Ratio
from features.kernel import Kernel, compute, kernel, search
from features.kernel.aggregations import Ranges
from features.times import LATEST
from tests.features.kernel import oracle

NOON = 1_795_521_600_000_000  # 2026-11-24T12:00:00Z


def bits(matrix: NDArray[np.float32]) -> bytes:
    return matrix.tobytes()


# Against the oracle. Values are multiples of 1/8, so that every sum is exact in whatever order it is added up, and
# the two must agree to the bit; a slope is a quotient of sums of rounded products and may differ in the last place.
PATIENTS, CONCEPTS = ("anna", "bert", "cleo"), ("lactate", "sodium", "potassium")
VALUES = st.integers(-80, 80).map(lambda eighths: eighths / 8)
UNITS = {"hours": MICROSECONDS_PER_HOUR, "seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
LOOKBACKS = st.sampled_from([None, 0.001, 1.0, 3.0, 24.0, 1_000.0])


@st.composite
def times(draw: st.DrawFn) -> Callable[[], int]:
    """Times that often tie, around 1970 and today, on a grid of hours down to microseconds."""
    start = draw(st.sampled_from([0, NOON, -NOON]))
    unit = UNITS[draw(st.sampled_from(sorted(UNITS)))]
    steps = st.integers(-6, 6)
    return lambda: start + unit * draw(steps)


@st.composite
def charts(draw: st.DrawFn) -> list[Event]:
    time = draw(times())
    events = []
    for _ in range(draw(st.integers(0, 25))):
        at = time()
        known = max(at, time()) if draw(st.booleans()) else at
        until = draw(st.sampled_from([None, LATEST, max(at, time()), max(known, time())]))
        patient, concept = draw(st.sampled_from(PATIENTS)), draw(st.sampled_from(CONCEPTS[:2]))
        events.append(Event(patient, concept, at, known, draw(VALUES), until))
    return events


@st.composite
def index_times(draw: st.DrawFn, chart: list[Event]) -> list[tuple[str, int]]:
    """Patients and times: on events, beside them, far from them, and the same again."""
    edges = {(event.time, event.known, event.until or event.time) for event in chart}
    near = sorted({edge for each in edges for edge in each if edge < LATEST}) or [NOON]
    offsets = st.sampled_from([0, 0, -1, 1, 1_000_000, MICROSECONDS_PER_HOUR, -MICROSECONDS_PER_HOUR])
    when = st.tuples(st.sampled_from(near), offsets).map(sum)
    return draw(st.lists(st.tuples(st.sampled_from(PATIENTS), when), min_size=1, max_size=8))


PLAIN = st.builds(
    Aggregate, concept=st.sampled_from(CONCEPTS), aggregation=st.sampled_from(Aggregation), lookback_hours=LOOKBACKS
)
SKIPPING = st.builds(
    Aggregate,
    concept=st.sampled_from(CONCEPTS),
    aggregation=st.sampled_from(Aggregation),
    lookback_hours=st.sampled_from([None, 3.0, 24.0]),
    skip_hours=st.sampled_from([0.001, 1.0, 2.5]),
)
SINCE_STAY = st.builds(
    Aggregate,
    concept=st.sampled_from(CONCEPTS),
    aggregation=st.sampled_from(Aggregation),
    skip_hours=st.sampled_from([0.0, 0.001, 1.0]),
    since=st.sampled_from(CONCEPTS),
)
AGGREGATES = st.one_of(PLAIN, SKIPPING, SINCE_STAY)


@st.composite
def feature_sets(draw: st.DrawFn) -> FeatureSet:
    features: list[Feature] = draw(st.lists(AGGREGATES, min_size=1, max_size=8, unique_by=lambda part: part.id))
    if draw(st.booleans()):
        features.append(Ratio(name="ratio", numerator=draw(AGGREGATES), denominator=draw(AGGREGATES)))
    if draw(st.booleans()):
        features.insert(0, Difference(name="difference", minuend=draw(AGGREGATES), subtrahend=draw(AGGREGATES)))
    return FeatureSet(features)


def compute_rows(events: Sequence[Event], rows: Sequence[tuple[str, int]], features: FeatureSet) -> NDArray[np.float32]:
    patients = np.array([PATIENTS.index(patient) for patient, _ in rows], np.int64)
    return compute(Events.of(events, patients=PATIENTS), patients, np.array([at for _, at in rows], np.int64), features)


def is_exact(feature: Feature) -> bool:
    parts = (feature,) if isinstance(feature, Aggregate) else ()
    return bool(parts) and all(part.aggregation is not Aggregation.SLOPE for part in parts)


@given(st.data())
def test_the_kernel_agrees_with_the_oracle(data: st.DataObject) -> None:
    chart, features = data.draw(charts()), data.draw(feature_sets())
    rows = data.draw(index_times(chart))
    found = compute_rows(chart, rows, features)
    expected = oracle.compute(chart, [patient for patient, _ in rows], [at for _, at in rows], features)
    exact = [is_exact(feature) for feature in features]
    np.testing.assert_array_equal(found[:, exact], expected[:, exact])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


@given(st.lists(st.floats(0.5, 400.0), min_size=1, max_size=40))
def test_the_mean_of_any_values_is_exact_to_one_float32(values: list[float]) -> None:
    """NumPy adds in pairs, the oracle exactly: far less than half a float32 apart, so they round alike or beside."""
    times = range(0, len(values) * 60_000_000, 60_000_000)
    chart = [Event("anna", "lactate", time, time, value) for time, value in zip(times, values, strict=True)]
    feature = Aggregate(concept="lactate", aggregation=Aggregation.MEAN)
    expected = np.float32(oracle.of_feature(chart, "anna", NOON, feature))
    found = compute_rows(chart, [("anna", NOON)], FeatureSet([feature]))[0, 0]
    assert abs(int(found.view(np.int32)) - int(expected.view(np.int32))) <= 1


@given(st.data())
def test_nothing_after_the_index_time_changes_a_bit(data: st.DataObject) -> None:
    chart, features = data.draw(charts().filter(bool)), data.draw(feature_sets())
    rows = data.draw(index_times(chart))
    latest = max(at for _, at in rows)
    later = [
        # Begun later, or begun before (0) and known only later; ended at once, or never.
        event._replace(
            time=min(event.time, latest) if shift == 0 else latest + shift,
            known=latest + max(shift, 1),
            value=1e6,
            until=LATEST if is_open else latest + shift,
        )
        for event, shift, is_open in data.draw(
            st.lists(st.tuples(st.sampled_from(chart), st.integers(0, 3), st.booleans()), max_size=5)
        )
    ]
    before, after = compute_rows(chart, rows, features), compute_rows([*chart, *later], rows, features)
    assert bits(before) == bits(after)


@given(st.data())
def test_when_it_ends_after_the_index_time_changes_no_bit(data: st.DataObject) -> None:
    """That a stay goes on is known; for how long is not."""
    chart, features = data.draw(charts().filter(bool)), data.draw(feature_sets())
    rows = data.draw(index_times(chart))
    latest = max(at for _, at in rows)
    ends = st.sampled_from([latest + 1, latest + MICROSECONDS_PER_HOUR, LATEST])
    otherwise = [
        event._replace(until=max(event.time, data.draw(ends))) if oracle.end_of(event) > latest else event
        for event in chart
    ]
    assert bits(compute_rows(chart, rows, features)) == bits(compute_rows(otherwise, rows, features))


@given(st.data())
def test_a_row_has_the_same_bits_alone_and_among_others(data: st.DataObject) -> None:
    chart, features = data.draw(charts()), data.draw(feature_sets())
    rows = data.draw(index_times(chart))
    together = compute_rows(chart, rows, features)
    alone = np.concatenate([compute_rows(chart, [row], features) for row in rows])
    assert bits(together) == bits(alone)


@given(st.data())
def test_other_patients_change_no_bit(data: st.DataObject) -> None:
    chart, features = data.draw(charts()), data.draw(feature_sets())
    rows = [("anna", at) for _, at in data.draw(index_times(chart))]
    own = Events.of([event for event in chart if event.patient == "anna"], patients=["anna"])
    alone = compute(own, np.zeros(len(rows), np.int64), np.array([at for _, at in rows], np.int64), features)
    assert bits(compute_rows(chart, rows, features)) == bits(alone)


@given(st.data())
def test_the_order_of_arrival_is_irrelevant(data: st.DataObject) -> None:
    chart, features = data.draw(charts()), data.draw(feature_sets())
    rows = data.draw(index_times(chart))
    shuffled = data.draw(st.permutations(chart))
    assert bits(compute_rows(chart, rows, features)) == bits(compute_rows(shuffled, rows, features))


@pytest.fixture(scope="module")
def ward() -> list[Event]:
    """Many events of many patients, a third of them known late, half of them lasting."""
    rng = np.random.default_rng(2026)
    return [
        Event(
            f"patient-{rng.integers(12):02}",
            CONCEPTS[rng.integers(2)],
            at := NOON + int(rng.integers(0, 96)) * 1_800_000_000,
            at + int(rng.integers(0, 3) == 0) * 7_200_000_000,
            float(rng.integers(0, 64)) / 8,
            at + int(rng.integers(0, 2)) * int(rng.integers(1, 40)) * 1_800_000_000,
        )
        for _ in range(900)
    ]


@pytest.fixture(scope="module")
def every_feature() -> FeatureSet:
    windows: list[dict[str, Any]] = [
        {},
        {"lookback_hours": 6.0},
        {"lookback_hours": 6.0, "skip_hours": 1.5},
        {"since": "sodium"},
    ]
    return FeatureSet(
        Aggregate(concept=concept, aggregation=aggregation, **window)
        for aggregation in Aggregation
        for window in windows
        for concept in CONCEPTS
    )


def ward_rows(events: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    patients = rng.integers(0, len(events.patients), 200)
    return patients, NOON + rng.integers(-10, 110, 200) * 1_800_000_000


def test_a_ward_agrees_with_the_oracle(ward: list[Event], every_feature: FeatureSet) -> None:
    events = Events.of(ward)
    patients, at = (index[:50] for index in ward_rows(events))
    found = compute(events, patients, at, every_feature)
    names = [events.patients[patient] for patient in patients]
    expected = oracle.compute(ward, names, at.tolist(), every_feature)
    exact = [is_exact(feature) for feature in every_feature]
    np.testing.assert_array_equal(found[:, exact], expected[:, exact])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("chunk_rows", [1, 2, 7, 199, 200])
def test_chunks_change_no_bit(
    chunk_rows: int, threads: int, ward: list[Event], every_feature: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither their size, nor how many threads work through them."""
    events = Events.of(ward)
    patients, at = ward_rows(events)
    whole = compute(events, patients, at, every_feature)
    monkeypatch.setattr(kernel, "CHUNK_ROWS", chunk_rows)
    assert bits(Kernel(every_feature).compute(events, patients, at, threads=threads)) == bits(whole)


SPAN_SECONDS = 60 * 3600 + 6 * 3600 + 3  # what the ward's index times and lookbacks span


@pytest.mark.parametrize(
    ("limits", "parts"),
    [
        pytest.param([(search, "BLOCK_EVENTS", 100)], 8, id="a block of few events"),
        pytest.param([(search, "BLOCK_EVENTS", 0)], 12, id="a block of one patient"),
        pytest.param([(search, "KEY_LIMIT", 5 * 2 * SPAN_SECONDS)], 4, id="a key for few patients"),
        pytest.param([(search, "KEY_LIMIT", 4 * 30 * 3600)], 24, id="a key for a part of the time"),
        pytest.param([(kernel, "BLOCK_EVENTS", 10_000)], 4, id="little room to lay out windows"),
        pytest.param([(kernel, "BLOCK_EVENTS", 1)], 100, id="room to lay out one index time"),
    ],
)
def test_parts_of_a_chunk_change_no_bit(
    limits: list[tuple[ModuleType, str, int]],
    parts: int,
    ward: list[Event],
    every_feature: FeatureSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a chunk has too many events or spans too much time, it is cut until it fits."""
    events = Events.of(ward)
    patients, at = ward_rows(events)
    whole = compute(events, patients, at, every_feature)
    for module, name, limit in limits:
        monkeypatch.setattr(module, name, limit)
    computed: list[int] = []
    matrix = Kernel._matrix

    def counting(self: Kernel, windows: Ranges) -> NDArray[np.float64]:
        computed.append(len(windows.at))
        return matrix(self, windows)

    monkeypatch.setattr(Kernel, "_matrix", counting)
    assert bits(compute(events, patients, at, every_feature)) == bits(whole)
    assert sum(computed) == len(at)
    assert len(computed) >= parts


def test_a_kernel_goes_to_a_process_pool_and_computes_the_same(ward: list[Event], every_feature: FeatureSet) -> None:
    events = Events.of(ward)
    patients, at = ward_rows(events)
    sent = pickle.loads(pickle.dumps(Kernel(every_feature)))  # noqa: S301 - our own bytes
    assert bits(sent.compute(events, patients, at)) == bits(compute(events, patients, at, every_feature))
