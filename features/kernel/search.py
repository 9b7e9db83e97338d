"""Search: where the events of every window lie, for many index times of neighbouring patients at once.

The events of those patients are laid out as one block, each with one integer key made of its concept, its patient
and its time, ascending. A window of an index time is then the range between two keys, found by binary search.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import Aggregate
from features.kernel.aggregations import Column, Floats, Ints, Ranges, expand, reduce

KEY_LIMIT = 2**62  # keys and the sums made of them stay within int64
BLOCK_EVENTS = 2**18  # of a block, and laid out window by window at once; unless one patient has more

SECOND = 1_000_000
NEVER = np.iinfo(np.int64).min

Positions = NDArray[np.intp]


class Window(NamedTuple):
    """What tells one window from another."""

    concept: str
    lookback_hours: float | None
    skip_hours: float
    since: str | None

    @classmethod
    def of(cls, part: Aggregate) -> Self:
        """The window of an aggregate."""
        return cls(part.concept, part.lookback_hours, part.skip_hours, part.since)


class Windows(NamedTuple):
    """What is searched for at each index time: windows [W] of concepts [C], some of which begin with a stay [S]."""

    concept: Positions  # [W], into the kernel's concepts
    back: Ints  # [W, 1, 2], ticks from the index time back to the start and to the end
    tick: int  # in microseconds: a second, or one where a lookback or skip is no whole number of seconds
    unlimited: Positions  # windows without a start, or with that of a stay
    reach: int  # how long before the index time the earliest start or end lies, stays left out
    stays: Positions  # [S], into the kernel's concepts
    since: Positions  # windows that begin with a stay,
    since_stay: Positions  # and with which, into stays

    @classmethod
    def of(cls, windows: Sequence[Window], concepts: tuple[str, ...]) -> Self:
        """The windows as columns."""
        stays = list(dict.fromkeys(window.since for window in windows if window.since is not None))
        since = [(i, stays.index(window.since)) for i, window in enumerate(windows) if window.since is not None]
        hours = [(window.lookback_hours or 0, window.skip_hours) for window in windows]
        back = np.array([[[_microseconds(one) for one in both]] for both in hours], np.int64)
        tick = 1 if (back % SECOND).any() else SECOND
        return cls(
            np.array([concepts.index(window.concept) for window in windows], np.intp),
            back // tick,
            tick,
            np.flatnonzero(back[:, 0, 0] == 0),
            int(back.max()),
            np.array([concepts.index(name) for name in stays], np.intp),
            *np.array(since, np.intp).reshape(-1, 2).T,
        )


class Shares(NamedTuple):
    """Where each concept's events stand in the events' columns [C]; known once for all chunks.

    Of one patient alone `lo` and `hi` are left empty: all that there is makes the block.
    """

    number: NDArray[np.int32]  # into events.concepts; −1: nobody has it
    lo: Positions
    hi: Positions

    @classmethod
    def of(cls, events: Events, concepts: tuple[str, ...]) -> Self:
        """The shares of the given concepts, found by binary search."""
        place = dict(zip(events.concepts, range(len(events.concepts)), strict=True))
        number = np.array(list(map(place.get, concepts, repeat(-1))), np.int32)
        if len(events.patients) == 1:
            return cls(number, np.empty(0, np.intp), np.empty(0, np.intp))
        return cls(number, events.concept.searchsorted(number), events.concept.searchsorted(number, side="right"))


class Clock(NamedTuple):
    """Times as small integers: ticks since just before the earliest window, clipped on both sides.

    Clipping keeps the order of everything a search can ask for: what lies before every window is 0, what lies
    after every index time is `span` − 1.
    """

    origin: int
    microseconds: int  # a tick; events lie on ticks, so that flooring an index time to a tick changes nothing
    # and a lookback of whole ticks may be taken off what was floored
    span: int

    @classmethod
    def of(cls, earliest: int, latest: int, tick: int) -> Self:
        """A clock that tells all times from the earliest to the latest apart, to a tick."""
        origin = earliest // tick * tick
        return cls(origin, tick, (latest - origin) // tick + 3)

    def ticks(self, times: Ints) -> Ints:
        """The times on this clock."""
        passed = self.ticks_inside(times)
        np.maximum(passed, 0, out=passed)
        np.minimum(passed, self.span - 1, out=passed)
        return passed

    def ticks_inside(self, times: Ints) -> Ints:
        """The same for times that are known not to lie outside, which need no clipping."""
        passed: Ints = times - self.origin
        passed //= self.microseconds
        passed += 1
        return passed


class Block(NamedTuple):
    """The events of neighbouring patients, by (concept, patient, time).

    The columns are as in `Ranges`, one element longer than there are events. A series is all that there is of one
    concept of one patient.
    """

    series: Ints  # [n], its number, ascending
    time: Ints
    known: Ints
    value: Floats
    until: Ints
    first_series: NDArray[np.integer]  # [C], that of the first patient; −1: there is none
    all_series: int
    first_patient: int
    has_late: bool

    @classmethod
    def of(cls, events: Events, shares: Shares, first: int, last: int) -> Self | None:
        """The block of the patients first..last; None where it is one of several patients and too large."""
        if len(events.patients) == 1:  # at the server; there, copying by concept would take most of the time
            series = events.concept.astype(np.int64)
            return cls._laid_out(events, [slice(None)], series, shares.number, len(events.concepts), 0)
        slices = []
        for lo, hi in zip(shares.lo.tolist(), shares.hi.tolist(), strict=True):
            patient = events.patient[lo:hi]
            # As int32: NumPy would make a wider copy of the column to compare it with a wider number.
            start, stop = patient.searchsorted(np.int32(first)), patient.searchsorted(np.int32(last), side="right")
            slices.append(slice(lo + int(start), lo + int(stop)))
        sizes = [one.stop - one.start for one in slices]
        if first < last and sum(sizes) > BLOCK_EVENTS:
            return None
        patients = last - first + 1
        first_series = np.arange(len(slices)) * patients
        series = np.repeat(first_series - first, sizes)
        series += np.concatenate([events.patient[one] for one in slices])
        return cls._laid_out(events, slices, series, first_series, len(slices) * patients, first)

    @classmethod
    def _laid_out(
        cls,
        events: Events,
        slices: list[slice],
        series: Ints,
        first_series: NDArray[np.integer],
        all_series: int,
        first: int,
    ) -> Self:
        time = _one_longer([events.time[one] for one in slices])
        are_points = events.until is events.time
        return cls(
            series=series,
            time=time,
            known=_one_longer([events.known[one] for one in slices]) if events.has_late else time,
            value=_one_longer([events.value[one] for one in slices]),
            until=time if are_points else _one_longer([events.until[one] for one in slices]),
            first_series=first_series,
            all_series=all_series,
            first_patient=first,
            has_late=events.has_late,
        )

    def tick(self) -> int:
        """The longest tick that events lie on, in microseconds."""
        return 1 if np.count_nonzero(self.time % SECOND) else SECOND

    def find(self, windows: Windows, patients: Ints, times: Ints) -> Ranges | None:
        """The events of each window [W] at each index time [N], known then or later.

        Returns:
            None where there are too many index times, or too far apart, to be searched at once.
        """
        tick = min(self.tick(), windows.tick)
        first, last = (times.item(),) * 2 if len(times) == 1 else (int(times.min()), int(times.max()))
        earliest = first - windows.reach
        starts = None
        if len(windows.stays):
            starts = self._stay_starts(windows.stays, patients, times, tick)
            if starts is None:
                return None
            earliest = min(earliest, int(starts[starts > NEVER].min(initial=earliest)))
        clock = Clock.of(earliest, last, tick)
        if not self._fits(clock):
            return None
        # A window starts after index time − lookback; one without limit starts before the patient's first tick.
        back = windows.back if tick == windows.tick else windows.back * (windows.tick // tick)
        sought: Ints = clock.ticks_inside(times)[:, None] - back
        if len(windows.unlimited):
            sought[windows.unlimited, :, 0] = -1
        if starts is not None:
            since = np.maximum(starts[windows.since_stay], earliest)
            sought[windows.since, :, 0] = clock.ticks(since) - 1  # an event at the start is inside
        sought += self._base(windows.concept, patients, clock)[..., None]
        bounds = self._keys(clock).searchsorted(sought, side="right")
        if starts is not None:
            lo, hi = np.moveaxis(bounds[windows.since], -1, 0)
            bounds[windows.since, :, 0] = np.where(starts[windows.since_stay] > NEVER, np.minimum(lo, hi), hi)
        return Ranges(bounds, self.time, self.value, self.until, times, len(self.value))

    def _fits(self, clock: Clock) -> bool:
        return clock.span * (self.all_series + 1) <= KEY_LIMIT

    def _base(self, concepts: Positions, patients: Ints, clock: Clock) -> Ints:
        """Keys [concepts, N] of the first tick of a series; what nobody has precedes all events."""
        base: Ints = self.first_series.take(concepts)[:, None] + (patients - self.first_patient)
        base *= clock.span
        return base

    def _keys(self, clock: Clock) -> Ints:
        keys: Ints = self.series * clock.span
        keys += clock.ticks(self.time[:-1])
        return keys

    def _stay_starts(self, stays: Positions, patients: Ints, times: Ints, tick: int) -> Ints | None:
        """When the stay began [S, N] that began latest of those that go on and are known; `NEVER` where none does."""
        clock = Clock.of(int(times.min()), int(times.max()), tick)
        if not self._fits(clock):
            return None
        base = self._base(stays, patients, clock)
        bounds = np.searchsorted(self._keys(clock), [base - 1, base + clock.ticks(times)], side="right")
        lo, hi = bounds.reshape(2, -1)
        if len(times) > 1 and (hi - lo).sum() > BLOCK_EVENTS:
            return None
        event, owner = expand(lo, hi)
        at = times[owner % len(times)]
        goes_on = (self.until[event] > at) & (self.known[event] <= at)
        starts = np.full(len(lo), NEVER, np.int64)
        np.maximum.at(starts, owner[goes_on], self.time[event[goes_on]])
        return starts.reshape(base.shape)


def known_only(ranges: Ranges, known: Ints) -> Ranges:
    """Leave out events that became known only after the index time.

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
    event = event[seen]
    return ranges._replace(
        bounds=bounds,
        time=_one_longer([ranges.time, ranges.time[event]]),
        value=_one_longer([ranges.value, ranges.value[event]]),
        until=_one_longer([ranges.until, ranges.until[event]]),
    )


def _microseconds(hours: float) -> int:
    return round(hours * MICROSECONDS_PER_HOUR)


def _one_longer(columns: list[Column]) -> Column:
    longer: Column = np.concatenate([*columns, columns[0][:1] if len(columns[0]) else np.zeros(1, columns[0].dtype)])
    return longer
