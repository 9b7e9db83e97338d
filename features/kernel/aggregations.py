"""Aggregations: what becomes of the events in a window, for all windows and index times at once."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR
from features.feature import Aggregation

HOURS_PER_YEAR = 8_766.0  # 365.25 days

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Numbers: TypeAlias = Floats | Ints | NDArray[np.bool_]
Column = TypeVar("Column", NDArray[np.float64], NDArray[np.int64])


class Ranges(NamedTuple):
    """Per row [R] and index time [N] the events lo ≤ i < hi of the columns `time`, `value` and `until`.

    A row is a window or, once windows are dealt out, an aggregate. The columns have one element more than there are
    events: hi is a position of theirs, and so is −1. What is computed of an empty range means nothing.
    """

    bounds: Ints  # [R, N, 2]: lo and hi
    time: Ints
    value: Floats
    until: Ints
    at: Ints  # index times [N]
    copied_from: int  # positions from here on hold copies of events that stand before it too

    @property
    def lo(self) -> Ints:
        """Position of the first event."""
        return self.bounds[..., 0]

    @property
    def hi(self) -> Ints:
        """Position behind the last event."""
        return self.bounds[..., 1]

    @property
    def size(self) -> Ints:
        """How many events there are."""
        return self.hi - self.lo

    def at_times(self, which: slice) -> "Ranges":
        """The ranges of some of the index times."""
        if which.stop - which.start == len(self.at):
            return self
        return self._replace(bounds=self.bounds[:, which], at=self.at[which])


class Rule(NamedTuple):
    """How an aggregation is computed, and what it needs.

    Attributes:
        fill: the numbers [R, N].
        needs: how many events; with fewer it is missing. Where it needs none, it is 0 of an empty range.
        expands: whether it lays out all events of all windows one behind the other, which takes memory for each.
    """

    fill: Callable[[Ranges], Numbers]
    needs: int
    expands: bool = False

    @property
    def fewest(self) -> int:
        """How many events what was filled stands for; with fewer it is `without`."""
        return max(self.needs, 1)

    @property
    def without(self) -> float:
        """The number where there are too few events."""
        return math.nan if self.needs else 0.0


def expand(lo: Ints, hi: Ints) -> tuple[Ints, Ints]:
    """All event positions of the ranges, one behind the other, and which range each belongs to."""
    lengths = hi - lo
    owner = np.arange(len(lo)).repeat(lengths)
    start = lengths.cumsum() - lengths
    return np.arange(len(owner)) - (start - lo)[owner], owner


def reduce(operation: np.ufunc, ranges: Ranges, column: Column) -> Column:
    """The operation over each range of a column."""
    bounds = ranges.bounds.reshape(-1, 2)
    if ranges.copied_from == len(column):
        reduced: Column = operation.reduceat(column, bounds.ravel())[::2]
    else:
        # NumPy also works through what lies between two ranges: jump to the copies once, not to and fro.
        order = np.argsort(bounds[:, 0] >= ranges.copied_from, kind="stable")
        reduced = np.empty(len(bounds), column.dtype)
        reduced[order] = operation.reduceat(column, bounds[order].ravel())[::2]
    return reduced.reshape(ranges.bounds.shape[:2])


def _last(ranges: Ranges) -> Floats:
    return ranges.value.take(ranges.hi - 1)


def _first(ranges: Ranges) -> Floats:
    return ranges.value.take(ranges.lo)


def _min(ranges: Ranges) -> Floats:
    return reduce(np.minimum, ranges, ranges.value)


def _max(ranges: Ranges) -> Floats:
    return reduce(np.maximum, ranges, ranges.value)


def _sum(ranges: Ranges) -> Floats:
    return reduce(np.add, ranges, ranges.value)


def _mean(ranges: Ranges) -> Floats:
    return _sum(ranges) / np.maximum(ranges.size, 1)


def _count(ranges: Ranges) -> Ints:
    return ranges.size


def _hours_covered(ranges: Ranges) -> Ints:
    """Unlike a count, the same whether a monitor charts every minute or a table holds one value an hour."""
    hour = ranges.time // MICROSECONDS_PER_HOUR
    changes = np.zeros(len(hour), np.int64)
    (hour[1:] != hour[:-1]).cumsum(out=changes[1:])
    lo, hi = ranges.lo, ranges.hi
    hours: Ints = changes.take(hi - 1)
    hours -= changes.take(lo)
    hours += 1
    return hours


def _delta(ranges: Ranges) -> Floats:
    return _last(ranges) - _first(ranges)


def _slope(ranges: Ranges) -> Floats:
    """Least squares around the means, in hours since the window's first event: exact at any date."""
    lo, hi = ranges.lo.ravel(), ranges.hi.ravel()
    event, owner = expand(lo, hi)
    counts = np.maximum(hi - lo, 1)

    def total(numbers: Floats) -> Floats:
        return np.bincount(owner, numbers, minlength=len(lo)).astype(np.float64, copy=False)

    hours = (ranges.time[event] - ranges.time[lo][owner]) / MICROSECONDS_PER_HOUR
    hours -= (total(hours) / counts)[owner]
    values = ranges.value[event]
    values -= (total(values) / counts)[owner]
    spread = total(hours * hours)
    # Decided on the times themselves: rounding around a mean can make a spread out of equal times.
    spread[(hi <= lo) | (ranges.time[hi - 1] == ranges.time[lo])] = np.nan
    return (total(hours * values) / spread).reshape(ranges.bounds.shape[:2])


def _hours_since(ranges: Ranges) -> Floats:
    return (ranges.at - ranges.time.take(ranges.hi - 1)) / MICROSECONDS_PER_HOUR


def _years_since(ranges: Ranges) -> Floats:
    return _hours_since(ranges) / HOURS_PER_YEAR


def _present(ranges: Ranges) -> Ints:
    return np.minimum(ranges.size, 1)


def _distinct(ranges: Ranges) -> Ints:
    lo, hi = ranges.lo.ravel(), ranges.hi.ravel()
    event, owner = expand(lo, hi)
    values = ranges.value[event]
    order = np.lexsort((values, owner))
    owner, values = owner[order], values[order]
    is_new = np.ones(len(owner), np.bool_)
    is_new[1:] = (owner[1:] != owner[:-1]) | (values[1:] != values[:-1])
    return np.bincount(owner[is_new], minlength=len(lo)).reshape(ranges.bounds.shape[:2])


def _active(ranges: Ranges) -> NDArray[np.bool_]:
    """By how much an end lies after the index time is not looked at: it was not known then."""
    return reduce(np.maximum, ranges, ranges.until) > ranges.at


AGGREGATIONS: dict[Aggregation, Rule] = {
    Aggregation.LAST: Rule(_last, 1),
    Aggregation.FIRST: Rule(_first, 1),
    Aggregation.MIN: Rule(_min, 1),
    Aggregation.MAX: Rule(_max, 1),
    Aggregation.SUM: Rule(_sum, 1),
    Aggregation.MEAN: Rule(_mean, 1),
    Aggregation.COUNT: Rule(_count, 0),
    Aggregation.HOURS_COVERED: Rule(_hours_covered, 0),
    Aggregation.DELTA: Rule(_delta, 2),
    Aggregation.SLOPE: Rule(_slope, 2, expands=True),
    Aggregation.HOURS_SINCE: Rule(_hours_since, 1),
    Aggregation.YEARS_SINCE: Rule(_years_since, 1),
    Aggregation.PRESENT: Rule(_present, 0),
    Aggregation.DISTINCT: Rule(_distinct, 0, expands=True),
    Aggregation.ACTIVE: Rule(_active, 0),
}
