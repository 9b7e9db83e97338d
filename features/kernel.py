"""The feature kernel: events and index times in, the feature matrix out; for one patient and for a million.

Every (concept, window) of every index time becomes one range [lo, hi) of the sorted events, found by binary
search on one integer key, and every aggregation is a few array operations over all ranges at once.

Memory: one chunk of `CHUNK_ROWS` index times needs about `CHUNK_ROWS × 4 × (windows + aggregates) × 8` bytes
beside the events, a copy of the events with one int64 key each, and the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.aggregations import AGGREGATIONS, Column, Floats, Ints, Ranges, expand, reduce
from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import Aggregate, Difference, FeatureSet, Ratio, operands

CHUNK_ROWS = 16_384
KEY_LIMIT = 2**62  # keys and the sums made of them stay within int64

Positions = NDArray[np.intp]


def compute(events: Events, index_patients: Ints, index_times: Ints, features: FeatureSet) -> NDArray[np.float32]:
    """The feature matrix at the given index times; see `Kernel.compute`."""
    return Kernel(features).compute(events, index_patients, index_times)


class Step(NamedTuple):
    """Neighbouring rows of aggregates that one function fills."""

    fill: Callable[[Ranges], Floats | Ints]
    rows: slice


class Pairs(NamedTuple):
    """Features made of two aggregates: their columns, and the rows of the first and second aggregates."""

    columns: Positions
    first: Positions
    second: Positions


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A feature set, compiled: which windows to search, which function fills which row, and what becomes of the rows.

    Rows are the aggregates that the features are made of, each once, sorted by aggregation.
    """

    features: FeatureSet
    concepts: tuple[str, ...]
    window_concepts: Positions  # [W], into concepts
    window_lookbacks: Ints  # [W], microseconds; -1: all of the past
    row_windows: Positions  # [R], into windows
    row_needs: Ints  # [R, 1], how many events make the number
    steps: tuple[Step, ...]
    plain: tuple[Positions, Positions]  # columns that are aggregates, and their rows
    ratios: Pairs
    differences: Pairs

    def __init__(self, features: FeatureSet) -> None:
        order = list(AGGREGATIONS)
        parts = dict.fromkeys(part for feature in features for part in operands(feature))
        rows = {part: i for i, part in enumerate(sorted(parts, key=lambda part: order.index(part.aggregation)))}
        windows: dict[tuple[str, float | None], int] = {}
        row_windows = [windows.setdefault((part.concept, part.lookback_hours), len(windows)) for part in rows]
        concepts = features.concepts
        lookbacks = [_microseconds(hours) for _, hours in windows]
        columns = [(column, rows[part]) for column, part in enumerate(features) if isinstance(part, Aggregate)]
        compiled = {
            "features": features,
            "concepts": concepts,
            "window_concepts": np.array([concepts.index(concept) for concept, _ in windows], np.intp),
            "window_lookbacks": np.array(lookbacks, np.int64),
            "row_windows": np.array(row_windows, np.intp),
            "row_needs": np.array([[AGGREGATIONS[part.aggregation].needs] for part in rows], np.int64),
            "steps": tuple(_steps(rows)),
            "plain": tuple(np.array(columns, np.intp).reshape(-1, 2).T),
            "ratios": _pairs(features, rows, Ratio),
            "differences": _pairs(features, rows, Difference),
        }
        for name, value in compiled.items():
            object.__setattr__(self, name, value)

    def compute(self, events: Events, index_patients: Ints, index_times: Ints) -> NDArray[np.float32]:
        """Compute the features of each index time from the events known by then.

        An event counts if its time and the time it became known are not after the index time, and its time is
        after index time − lookback. The same row gives the same bits, alone or among a million.

        Args:
            events: of any number of patients.
            index_patients: int[N], into `events.patients`.
            index_times: int64[N], UTC microseconds.

        Returns:
            float32[N, F] in the order of the feature set; NaN where there was nothing to compute from.

        Raises:
            ValueError: the two index arrays differ in length, a patient is not in the events, or the index times
                lie thousands of years apart.
        """
        patients = np.asarray(index_patients, np.int64)
        times = np.asarray(index_times, np.int64)
        if patients.shape != times.shape or patients.ndim != 1:
            raise ValueError(
                f"Expected two arrays [N], got index_patients {patients.shape} and index_times {times.shape}."
            )
        result = np.empty((len(times), len(self.features)), np.float32)
        if not len(times):
            return result
        if patients.min() < 0 or patients.max() >= len(events.patients):
            raise ValueError(f"Expected index_patients in 0..{len(events.patients) - 1}; one is outside.")
        order = np.lexsort((times, patients)) if len(times) > 1 else np.zeros(1, np.intp)
        for search in self._searches(events, patients[order], times[order]):
            result[order[search.rows]] = self._matrix(search.ranges(self.window_lookbacks)).T
        return result

    def _searches(self, events: Events, patients: Ints, times: Ints) -> Iterator["_Search"]:
        """Cut index times, sorted by (patient, time), into chunks, and patients into blocks that fit one key."""
        place = {name: i for i, name in enumerate(events.concepts)}
        concepts = np.array([place.get(name, -1) for name in self.concepts], np.int64)[self.window_concepts]
        clock = _Clock.of(events, times, int(self.window_lookbacks.max()))
        block = KEY_LIMIT // (clock.span * (len(events.concepts) + 1))
        if block < 1:
            raise ValueError(
                f"Expected index times and lookbacks that span centuries at most, got {clock.span} steps "
                f"of {clock.microseconds} µs; look for a wrong index time."
            )
        start = 0
        while start < len(times):
            first = int(patients[start])
            stop = int(np.searchsorted(patients, first + block))
            keyed = _keyed(events, clock, first, min(block, len(events.patients) - first))
            for lo in range(start, stop, CHUNK_ROWS):
                rows = slice(lo, min(lo + CHUNK_ROWS, stop))
                yield _Search(keyed, concepts, rows, patients[rows], times[rows])
            start = stop

    def _matrix(self, windows: Ranges) -> Floats:
        """The features [F, N]."""
        ranges = windows._replace(bounds=windows.bounds[self.row_windows])
        work = np.empty((len(self.row_windows), len(ranges.at)), np.float64)
        for fill, rows in self.steps:
            work[rows] = fill(ranges._replace(bounds=ranges.bounds[rows]))
        np.copyto(work, np.nan, where=ranges.size < self.row_needs)
        matrix = np.empty((len(self.features), len(ranges.at)), np.float64)
        columns, rows_of = self.plain
        matrix[columns] = work[rows_of]
        if len(self.ratios.columns):
            denominator = work[self.ratios.second]
            denominator[denominator == 0] = np.nan
            matrix[self.ratios.columns] = work[self.ratios.first] / denominator
        if len(self.differences.columns):
            matrix[self.differences.columns] = work[self.differences.first] - work[self.differences.second]
        return matrix


def _microseconds(hours: float | None) -> int:
    return -1 if hours is None else round(hours * MICROSECONDS_PER_HOUR)


def _steps(rows: dict[Aggregate, int]) -> Iterator[Step]:
    for aggregation, group in groupby(rows, key=lambda part: part.aggregation):
        numbers = [rows[part] for part in group]
        yield Step(AGGREGATIONS[aggregation].fill, slice(numbers[0], numbers[-1] + 1))


def _pairs(features: FeatureSet, rows: dict[Aggregate, int], kind: type[Ratio | Difference]) -> Pairs:
    found = [
        (column, *(rows[part] for part in operands(feature)))
        for column, feature in enumerate(features)
        if isinstance(feature, kind)
    ]
    return Pairs(*np.array(found, np.intp).reshape(-1, 3).T)


class _Clock(NamedTuple):
    """Times as small integers: ticks since just before the earliest window, clipped on both sides.

    Clipping keeps the order of everything a search can ask for: what lies before every window is 0, what lies
    after every index time is `span` − 1.
    """

    origin: int
    microseconds: int  # a tick; events lie on ticks, so that flooring an index time to a tick changes nothing
    span: int

    @classmethod
    def of(cls, events: Events, times: Ints, longest_lookback: int) -> "_Clock":
        tick = 1_000_000 if not (events.time % 1_000_000).any() else 1
        origin = (int(times.min()) - max(longest_lookback, 0)) // tick * tick
        return cls(origin, tick, (int(times.max()) - origin) // tick + 3)

    def ticks(self, times: Ints) -> Ints:
        passed = (times - self.origin) // self.microseconds + 1
        clipped: Ints = np.minimum(np.maximum(passed, 0), self.span - 1)
        return clipped


class _Keyed(NamedTuple):
    """The events of a block of patients with their sorted search keys; the columns as in `Ranges`."""

    key: Ints
    time: Ints
    known: Ints
    value: Floats
    clock: _Clock
    first_patient: int
    patients: int
    has_late: bool

    def base(self, concepts: Ints, patients: Ints) -> Ints:
        """Key of the first tick of a patient's concept; a concept nobody has (−1) precedes all events."""
        return (concepts * self.patients + (patients - self.first_patient)) * self.clock.span


def _keyed(events: Events, clock: _Clock, first: int, patients: int) -> _Keyed:
    every = slice(None) if patients == len(events.patients) else _of_patients(events, first, patients)
    time = events.time[every]
    keyed = _Keyed(
        key=np.empty(0, np.int64),
        time=_one_longer(time),
        known=_one_longer(events.known[every]),
        value=_one_longer(events.value[every]),
        clock=clock,
        first_patient=first,
        patients=patients,
        has_late=events.has_late,
    )
    base = keyed.base(events.concept[every].astype(np.int64), events.patient[every].astype(np.int64))
    return keyed._replace(key=base + clock.ticks(time))


def _of_patients(events: Events, first: int, patients: int) -> NDArray[np.intp]:
    return np.flatnonzero((events.patient >= first) & (events.patient < first + patients))


def _one_longer(*columns: Column) -> Column:
    longer: Column = np.concatenate((*columns, np.zeros(1, columns[0].dtype)))
    return longer


class _Search(NamedTuple):
    """One chunk of index times, to be looked up in a block of events."""

    events: _Keyed
    concepts: Ints  # [W], into the events' concepts; −1: none has it
    rows: slice
    patients: Ints
    times: Ints

    def ranges(self, lookbacks: Ints) -> Ranges:
        base = self.events.base(self.concepts[:, None], self.patients)
        ticks = self.events.clock.ticks
        sought = np.empty((len(lookbacks), len(self.times), 2), np.int64)
        # A window starts after index time − lookback; one without limit starts before the patient's first tick.
        earliest = ticks(self.times - lookbacks[:, None])
        sought[..., 0] = base + np.where(lookbacks[:, None] < 0, -1, earliest)
        sought[..., 1] = base + ticks(self.times)
        bounds = np.searchsorted(self.events.key, sought, side="right")
        ranges = Ranges(bounds, self.events.time, self.events.value, self.times, len(self.events.value))
        return _without_unknown(ranges, self.events.known) if self.events.has_late else ranges


def _without_unknown(ranges: Ranges, known: Ints) -> Ranges:
    """Leave out events whose value became known only after the index time.

    Ranges that hold such an event are copied without it behind the columns, and point there instead.
    """
    if known[:-1].max(initial=ranges.at.min()) <= ranges.at.min():
        return ranges
    window, row = np.nonzero((ranges.size > 0) & (reduce(np.maximum, ranges, known) > ranges.at))
    if not len(row):
        return ranges
    lo, hi = ranges.bounds[window, row].T
    event, owner = expand(lo, hi)
    seen = known[event] <= ranges.at[row[owner]]
    start = len(ranges.value)
    stop = start + np.cumsum(np.bincount(owner[seen], minlength=len(row)))
    bounds = ranges.bounds.copy()
    bounds[window, row, 0] = np.concatenate(([start], stop[:-1]))
    bounds[window, row, 1] = stop
    return ranges._replace(
        bounds=bounds,
        time=_one_longer(ranges.time, ranges.time[event[seen]]),
        value=_one_longer(ranges.value, ranges.value[event[seen]]),
    )
