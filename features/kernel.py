"""The feature kernel: events and index times in, the feature matrix out; for one patient and for a million.

Every (concept, window) of every index time becomes one range [lo, hi) of the sorted events, found by binary
search on one integer key, and every aggregation is a few array operations over all ranges at once.

Memory: one chunk of `CHUNK_ROWS` index times needs about `CHUNK_ROWS × (3 × windows + features) × 8` bytes
beside the events, one int64 key per event, and the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import Aggregate, Aggregation, Difference, FeatureSet, Ratio, operands

CHUNK_ROWS = 16_384
HOURS_PER_YEAR = 8_766.0  # 365.25 days
KEY_LIMIT = 2**62  # keys and the sums made of them stay within int64

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Column = TypeVar("Column", NDArray[np.float64], NDArray[np.int64])


def compute(events: Events, index_patients: Ints, index_times: Ints, features: FeatureSet) -> NDArray[np.float32]:
    """The feature matrix at the given index times; see `Kernel.compute`."""
    return Kernel(features).compute(events, index_patients, index_times)


class Ranges(NamedTuple):
    """Per window [W] and index time [N] the events lo ≤ i < hi of the columns `time` and `value`."""

    lo: Ints
    hi: Ints
    time: Ints
    value: Floats
    at: Ints  # index times [N]


class Derived(NamedTuple):
    """A column made of two others."""

    column: int
    first: int
    second: int
    is_ratio: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """A feature set, compiled: which windows to search and which aggregation fills which column."""

    features: FeatureSet
    concepts: tuple[str, ...]
    window_concepts: NDArray[np.intp]  # [W], into concepts
    window_lookbacks: Ints  # [W], microseconds; -1: all of the past
    plan: tuple[tuple[Aggregation, NDArray[np.intp], NDArray[np.intp]], ...]  # aggregation, windows, columns
    derived: tuple[Derived, ...]
    width: int  # columns of the working matrix: the features, then operands that are no features themselves

    def __init__(self, features: FeatureSet) -> None:
        parts: dict[Aggregate, int] = {f: i for i, f in enumerate(features) if isinstance(f, Aggregate)}
        for part in (part for feature in features for part in operands(feature)):
            parts.setdefault(part, len(features) + sum(column >= len(features) for column in parts.values()))
        windows: dict[tuple[str, float | None], int] = {}
        columns: dict[Aggregation, list[tuple[int, int]]] = {}
        for part, column in parts.items():
            window = windows.setdefault((part.concept, part.lookback_hours), len(windows))
            columns.setdefault(part.aggregation, []).append((window, column))
        set_ = object.__setattr__
        set_(self, "features", features)
        set_(self, "concepts", features.concepts)
        set_(
            self,
            "window_concepts",
            np.array([self.concepts.index(concept) for concept, _ in windows], np.intp),
        )
        set_(self, "window_lookbacks", np.array([_microseconds(hours) for _, hours in windows], np.int64))
        set_(self, "plan", tuple((kind, *np.array(pairs, np.intp).T) for kind, pairs in columns.items()))
        set_(self, "derived", tuple(_derived(features, parts)))
        set_(self, "width", 1 + max(len(features) - 1, *parts.values()))

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
            ValueError: the two index arrays differ in length, or a patient is not in the events.
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
            rows = order[search.rows]
            result[rows] = self._matrix(search.ranges(self.window_lookbacks), len(rows))
        return result

    def _searches(self, events: Events, patients: Ints, times: Ints) -> Iterator["_Search"]:
        """Cut index times, sorted by (patient, time), into chunks, and patients into blocks that fit one key."""
        place = {name: i for i, name in enumerate(events.concepts)}
        concepts = np.array([place.get(name, -1) for name in self.concepts], np.int64)[self.window_concepts]
        clock = _Clock.of(events, times, int(self.window_lookbacks.max()))
        block = max(1, KEY_LIMIT // (clock.span * (len(events.concepts) + 1)))
        start = 0
        while start < len(times):
            first = int(patients[start])
            stop = int(np.searchsorted(patients, first + block))
            keyed = _keyed(events, clock, first, min(block, len(events.patients) - first))
            for lo in range(start, stop, CHUNK_ROWS):
                rows = slice(lo, min(lo + CHUNK_ROWS, stop))
                yield _Search(keyed, concepts, rows, patients[rows], times[rows])
            start = stop

    def _matrix(self, ranges: Ranges, rows: int) -> NDArray[np.float32]:
        work = np.empty((self.width, rows), np.float64)
        for aggregation, windows, columns in self.plan:
            chosen = ranges._replace(lo=ranges.lo[windows], hi=ranges.hi[windows])
            work[columns] = AGGREGATIONS[aggregation](chosen)
        for column, first, second, is_ratio in self.derived:
            if is_ratio:
                denominator = np.where(work[second] == 0, np.nan, work[second])
                work[column] = work[first] / denominator
            else:
                work[column] = work[first] - work[second]
        return work[: len(self.features)].T.astype(np.float32)


def _microseconds(hours: float | None) -> int:
    return -1 if hours is None else round(hours * MICROSECONDS_PER_HOUR)


def _derived(features: FeatureSet, parts: dict[Aggregate, int]) -> Iterator[Derived]:
    for column, feature in enumerate(features):
        match feature:
            case Ratio(numerator=first, denominator=second):
                yield Derived(column, parts[first], parts[second], is_ratio=True)
            case Difference(minuend=first, subtrahend=second):
                yield Derived(column, parts[first], parts[second], is_ratio=False)
            case Aggregate():
                continue


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
        clipped: Ints = np.clip((times - self.origin) // self.microseconds + 1, 0, self.span - 1)
        return clipped


class _Keyed(NamedTuple):
    """The events of a block of patients with their sorted search keys."""

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
    keyed = _Keyed(
        np.empty(0, np.int64),
        events.time[every],
        events.known[every],
        events.value[every],
        clock,
        first,
        patients,
        events.has_late,
    )
    base = keyed.base(events.concept[every].astype(np.int64), events.patient[every].astype(np.int64))
    return keyed._replace(key=base + clock.ticks(keyed.time))


def _of_patients(events: Events, first: int, patients: int) -> NDArray[np.intp]:
    return np.flatnonzero((events.patient >= first) & (events.patient < first + patients))


class _Search(NamedTuple):
    """One chunk of index times, to be looked up in a block of events."""

    events: _Keyed
    concepts: Ints  # [W], into the events' concepts; −1: none has it
    rows: slice
    patients: Ints
    times: Ints

    def ranges(self, lookbacks: Ints) -> Ranges:
        base = self.events.base(self.concepts[:, None], self.patients[None, :])
        ticks = self.events.clock.ticks
        until = base + ticks(self.times)[None, :]
        # A window starts after index time − lookback; one without limit starts before the patient's first tick.
        earliest = ticks(self.times[None, :] - lookbacks[:, None])
        since = base + np.where(lookbacks[:, None] < 0, -1, earliest)
        found = np.searchsorted(self.events.key, np.concatenate((since, until)), side="right")
        lo, hi = found[: len(lookbacks)], found[len(lookbacks) :]
        ranges = Ranges(lo, hi, self.events.time, self.events.value, self.times)
        return _without_unknown(ranges, self.events.known) if self.events.has_late else ranges


def _without_unknown(ranges: Ranges, known: Ints) -> Ranges:
    """Leave out events whose value became known only after the index time.

    Ranges that hold such an event are copied without it behind the columns, and point there instead.
    """
    window, row = np.nonzero(_reduce(np.maximum, ranges, known) > np.broadcast_to(ranges.at, ranges.lo.shape))
    if not len(row):
        return ranges
    lo, hi = ranges.lo[window, row], ranges.hi[window, row]
    event, owner = _expand(lo, hi)
    seen = known[event] <= ranges.at[row[owner]]
    stop = len(ranges.value) + np.cumsum(np.bincount(owner[seen], minlength=len(row)))
    new_lo, new_hi = ranges.lo.copy(), ranges.hi.copy()
    new_lo[window, row] = np.concatenate(([len(ranges.value)], stop[:-1]))
    new_hi[window, row] = stop
    return ranges._replace(
        lo=new_lo,
        hi=new_hi,
        time=np.concatenate((ranges.time, ranges.time[event[seen]])),
        value=np.concatenate((ranges.value, ranges.value[event[seen]])),
    )


def _expand(lo: Ints, hi: Ints) -> tuple[Ints, Ints]:
    """All event positions of the ranges, one behind the other, and which range each belongs to."""
    lengths = hi - lo
    owner = np.repeat(np.arange(len(lo)), lengths)
    start = np.cumsum(lengths) - lengths
    return np.arange(len(owner)) - np.repeat(start - lo, lengths), owner


def _reduce(operation: np.ufunc, ranges: Ranges, column: Column) -> Column:
    """The operation over each range of a column; meaningless where a range is empty."""
    bounds = np.stack((ranges.lo, ranges.hi), axis=-1).ravel()
    padded = np.append(column, column.dtype.type(0))  # so that hi = len(column) is a valid position
    reduced: Column = operation.reduceat(padded, bounds)[::2].reshape(ranges.lo.shape)
    return reduced


def _where_any(ranges: Ranges, numbers: NDArray[np.float64], *, at_least: int = 1) -> Floats:
    return np.where(ranges.hi - ranges.lo >= at_least, numbers, np.nan)


def _take(column: Column, positions: Ints) -> Column:
    if not len(column):
        return np.zeros(positions.shape, column.dtype)
    taken: Column = np.take(column, positions, mode="clip")
    return taken


def _last(ranges: Ranges) -> Floats:
    return _where_any(ranges, _take(ranges.value, ranges.hi - 1))


def _first(ranges: Ranges) -> Floats:
    return _where_any(ranges, _take(ranges.value, ranges.lo))


def _sum(ranges: Ranges) -> Floats:
    return _where_any(ranges, _reduce(np.add, ranges, ranges.value))


def _count(ranges: Ranges) -> Floats:
    return (ranges.hi - ranges.lo).astype(np.float64)


def _hours_covered(ranges: Ranges) -> Floats:
    """Unlike a count, the same whether a monitor charts every minute or a table holds one value an hour."""
    hour = ranges.time // MICROSECONDS_PER_HOUR
    changes = np.zeros(len(hour), np.int64)
    np.cumsum(hour[1:] != hour[:-1], out=changes[1:])
    within = _take(changes, ranges.hi - 1) - _take(changes, ranges.lo)
    return np.where(ranges.hi > ranges.lo, within + 1.0, 0.0)


def _delta(ranges: Ranges) -> Floats:
    change = _take(ranges.value, ranges.hi - 1) - _take(ranges.value, ranges.lo)
    return _where_any(ranges, change, at_least=2)


def _hours_since(ranges: Ranges) -> Floats:
    return _where_any(ranges, (ranges.at - _take(ranges.time, ranges.hi - 1)) / MICROSECONDS_PER_HOUR)


def _slope(ranges: Ranges) -> Floats:
    """Least squares around the means, in hours before the index time: exact enough at any date."""
    lo, hi = ranges.lo.ravel(), ranges.hi.ravel()
    event, owner = _expand(lo, hi)
    at = np.broadcast_to(ranges.at, ranges.lo.shape).ravel()
    hours = (ranges.time[event] - at[owner]) / MICROSECONDS_PER_HOUR
    counts = np.maximum(hi - lo, 1)

    def total(numbers: Floats) -> Floats:
        return np.bincount(owner, numbers, minlength=len(lo)).astype(np.float64)

    hours -= (total(hours) / counts)[owner]
    values = ranges.value[event]
    values -= (total(values) / counts)[owner]
    spread = total(hours * hours)
    # Decided on the times themselves: rounding around a mean can make a spread out of equal times.
    distinct = _take(ranges.time, hi - 1) > _take(ranges.time, lo)
    spread[~(distinct & (hi > lo))] = np.nan
    slope: Floats = (total(hours * values) / spread).reshape(ranges.lo.shape)
    return slope


AGGREGATIONS: dict[Aggregation, Callable[[Ranges], Floats]] = {
    Aggregation.LAST: _last,
    Aggregation.FIRST: _first,
    Aggregation.MIN: lambda ranges: _where_any(ranges, _reduce(np.minimum, ranges, ranges.value)),
    Aggregation.MAX: lambda ranges: _where_any(ranges, _reduce(np.maximum, ranges, ranges.value)),
    Aggregation.SUM: _sum,
    Aggregation.MEAN: lambda ranges: _sum(ranges) / np.maximum(ranges.hi - ranges.lo, 1),
    Aggregation.COUNT: _count,
    Aggregation.HOURS_COVERED: _hours_covered,
    Aggregation.DELTA: _delta,
    Aggregation.SLOPE: _slope,
    Aggregation.HOURS_SINCE: _hours_since,
    Aggregation.YEARS_SINCE: lambda ranges: _hours_since(ranges) / HOURS_PER_YEAR,
    Aggregation.PRESENT: lambda ranges: (ranges.hi > ranges.lo).astype(np.float64),
}
