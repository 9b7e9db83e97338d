"""The feature kernel again, plain and slow: one loop over index times, one over features, one over events.

It shares nothing with the kernel but the declarations of features. Sums are added up exactly with `math.fsum`.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features.events import Event
from features.feature import Aggregate, Aggregation, Difference, Feature, FeatureSet, Ratio

MICROSECONDS_PER_HOUR = 3_600_000_000
HOURS_PER_YEAR = 365.25 * 24


def compute(
    events: Iterable[Event], index_patients: Iterable[str], index_times: Iterable[int], features: FeatureSet
) -> NDArray[np.float32]:
    """The feature matrix, float32[N, F]."""
    listed = list(events)
    rows = [
        [of_feature(listed, patient, at, feature) for feature in features]
        for patient, at in zip(index_patients, index_times, strict=True)
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(features)).astype(np.float32)


def of_feature(events: Iterable[Event], patient: str, at: int, feature: Feature) -> float:
    """One number of one patient at one time."""
    match feature:
        case Aggregate():
            return of_aggregate(in_window(events, patient, at, feature), at, feature.aggregation)
        case Ratio(numerator=first, denominator=second):
            below = of_feature(events, patient, at, second)
            return math.nan if below == 0 else of_feature(events, patient, at, first) / below
        case Difference(minuend=first, subtrahend=second):
            return of_feature(events, patient, at, first) - of_feature(events, patient, at, second)


def in_window(events: Iterable[Event], patient: str, at: int, part: Aggregate) -> list[Event]:
    """The events that count, oldest first; of two at one time the later known last, then the higher."""
    begin = -math.inf
    if part.lookback_hours is not None:
        begin = at - round(part.lookback_hours * MICROSECONDS_PER_HOUR) + 1
    if part.since is not None:
        begin = start_of_stay(seen(events, patient, at, part.since), at)
    end = at - round(part.skip_hours * MICROSECONDS_PER_HOUR)
    found = [event for event in seen(events, patient, at, part.concept) if begin <= event.time <= end]
    return sorted(found, key=lambda event: (event.time, event.known, event.value))


def seen(events: Iterable[Event], patient: str, at: int, concept: str) -> list[Event]:
    """The events of a concept that had happened and were known at a time."""
    return [
        event
        for event in events
        if (event.patient, event.concept) == (patient, concept) and event.time <= at and event.known <= at
    ]


def start_of_stay(stays: Iterable[Event], at: int) -> float:
    """When the stay began that began latest of those that go on; infinity where none does."""
    return max((stay.time for stay in stays if end_of(stay) > at), default=math.inf)


def end_of(event: Event) -> int:
    """The end of what an event states; its time where it is a point."""
    return event.time if event.until is None else event.until


def of_aggregate(events: list[Event], at: int, aggregation: Aggregation) -> float:
    """One number of the events that count."""
    counted = {
        Aggregation.COUNT: len(events),
        Aggregation.PRESENT: bool(events),
        Aggregation.ACTIVE: any(end_of(event) > at for event in events),
        Aggregation.DISTINCT: len({event.value for event in events}),
        Aggregation.HOURS_COVERED: len({event.time // MICROSECONDS_PER_HOUR for event in events}),
    }
    if aggregation in counted:
        return float(counted[aggregation])
    needed = 2 if aggregation in {Aggregation.DELTA, Aggregation.SLOPE} else 1
    return of_some(events, at, aggregation) if len(events) >= needed else math.nan


def of_some(events: list[Event], at: int, aggregation: Aggregation) -> float:
    """One number of one or more events; of two or more for a change."""
    values = [event.value for event in events]
    hours_since = (at - events[-1].time) / MICROSECONDS_PER_HOUR
    found = {
        Aggregation.LAST: values[-1],
        Aggregation.FIRST: values[0],
        Aggregation.MIN: min(values),
        Aggregation.MAX: max(values),
        Aggregation.SUM: math.fsum(values),
        Aggregation.MEAN: math.fsum(values) / len(values),
        Aggregation.DELTA: values[-1] - values[0],
        Aggregation.SLOPE: slope_per_hour(events),
        Aggregation.HOURS_SINCE: hours_since,
        Aggregation.YEARS_SINCE: hours_since / HOURS_PER_YEAR,
    }
    return found[aggregation]


def slope_per_hour(events: list[Event]) -> float:
    """Least squares: Σ (t − t̄)(v − v̄) / Σ (t − t̄)²; NaN where all times are one."""
    if len({event.time for event in events}) < 2:
        return math.nan
    hours = [(event.time - events[0].time) / MICROSECONDS_PER_HOUR for event in events]
    values = [event.value for event in events]
    hour, value = math.fsum(hours) / len(hours), math.fsum(values) / len(values)
    spread = math.fsum((h - hour) ** 2 for h in hours)
    return math.fsum((h - hour) * (v - value) for h, v in zip(hours, values, strict=True)) / spread
