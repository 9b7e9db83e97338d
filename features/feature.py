"""Features: what a model reads of the events, declared as data and named once."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

LONGEST_LOOKBACK_HOURS = 150 * 8_766.0  # longer than any life: what looks back further means all of the past


class Aggregation(StrEnum):
    """How the events of one concept in a window become one number. Without events: NaN, unless said otherwise.

    docs/features.md is the same list for readers.
    """

    LAST = "last"
    FIRST = "first"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    SUM = "sum"
    COUNT = "count"  # 0 without events
    HOURS_COVERED = "hours_covered"  # clock hours (UTC) with an event, however many it holds; 0 without
    DELTA = "delta"  # last minus first; NaN below two events
    SLOPE = "slope"  # least squares, per hour; NaN below two distinct times
    HOURS_SINCE = "hours_since"  # since the last event
    YEARS_SINCE = "years_since"  # since the last event, in years of 365.25 days
    PRESENT = "present"  # 1 with an event, else 0
    DISTINCT = "distinct"  # how many different values; 0 without events
    ACTIVE = "active"  # 1 with an event that ends after the index time, else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One number from the events of one concept.

    Args:
        concept: a concept's id.
        aggregation: how the events become a number.
        lookback_hours: only events later than index time − lookback count; None: all of the past.
        skip_hours: only events up to index time − skip count, so that a baseline leaves out today. What counts as
            known, and what hours are counted from, is the index time all the same.
        since: the id of a concept of stays: only events at or after the start of the stay count that began latest
            of those that go on at the index time; while none does, no event counts. Instead of a lookback.

    Raises:
        ValueError: a window that cannot hold an event, or one with two starts.
    """

    concept: str
    aggregation: Aggregation
    lookback_hours: float | None = None
    skip_hours: float = 0.0
    since: str | None = None

    def __post_init__(self) -> None:
        if self.lookback_hours is not None and not 0 < self.lookback_hours <= LONGEST_LOOKBACK_HOURS:
            raise ValueError(
                f"Feature of {self.concept}: expected lookback_hours above 0 and up to {LONGEST_LOOKBACK_HOURS:g}, "
                f"or None for all of the past, got {self.lookback_hours}."
            )
        limit = LONGEST_LOOKBACK_HOURS if self.lookback_hours is None else self.lookback_hours
        if not 0 <= self.skip_hours < limit:
            raise ValueError(
                f"Feature of {self.concept}: expected skip_hours from 0 to below {limit:g}, got {self.skip_hours}."
            )
        if self.since is not None and (not self.since or self.lookback_hours is not None):
            raise ValueError(
                f"Feature of {self.concept}: expected lookback_hours or since, the id of a concept, got "
                f"{self.lookback_hours} and {self.since!r}."
            )

    @property
    def id(self) -> str:
        """The feature's name in the matrix, in the ONNX graph and in the manifest."""
        window = "" if self.lookback_hours is None else f"_{self.lookback_hours:g}h"
        since = "" if self.since is None else f"_since_{self.since}"
        skip = f"_skip_{self.skip_hours:g}h" if self.skip_hours else ""
        return f"{self.concept}_{self.aggregation}{window}{since}{skip}"

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts it reads; the first is the one that a card shows for it."""
        return (self.concept,) if self.since is None else (self.concept, self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Numerator through denominator; NaN where either is missing or the denominator is 0."""

    name: str
    numerator: Aggregate
    denominator: Aggregate

    @property
    def id(self) -> str:
        """The feature's name."""
        return self.name

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts it reads; the first is the one that a card shows for it."""
        return _measured_first(self.numerator, self.denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Minuend less subtrahend; NaN where either is missing."""

    name: str
    minuend: Aggregate
    subtrahend: Aggregate

    @property
    def id(self) -> str:
        """The feature's name."""
        return self.name

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts it reads; the first is the one that a card shows for it."""
        return _measured_first(self.minuend, self.subtrahend)


Feature: TypeAlias = Aggregate | Ratio | Difference


def operands(feature: Feature) -> tuple[Aggregate, ...]:
    """The aggregates that a feature is made of."""
    match feature:
        case Aggregate():
            return (feature,)
        case Ratio(numerator=first, denominator=second) | Difference(minuend=first, subtrahend=second):
            return (first, second)


def _measured_first(*parts: Aggregate) -> tuple[str, ...]:
    """What the parts measure, then the stays that their windows begin with."""
    return (*(part.concept for part in parts), *(part.since for part in parts if part.since is not None))


_ADDED_FIELDS = (("skip_hours", 0.0), ("since", None))
"""Fields that came after the first models were released, with what they meant then."""


def declaration(feature: Feature) -> dict[str, Any]:
    """A feature as plain data, without fields at the value that says what was said before they existed.

    A specification's fingerprint is made of it: a new field must not make every released bundle another one.
    """
    return asdict(feature, dict_factory=lambda pairs: dict(pair for pair in pairs if pair not in _ADDED_FIELDS))


@dataclass(frozen=True, slots=True, init=False)
class FeatureSet:
    """The ordered features of a model: the columns of its feature matrix.

    Attributes:
        features: in order.
        ids: their ids.
        lookbacks_hours: by concept, stays that windows begin with among them, in order of first use, how far back
            any feature looks; infinity for all of the past.

    Raises:
        ValueError: two features have one id, or there are none.
    """

    features: tuple[Feature, ...]
    ids: tuple[str, ...] = field(init=False)
    lookbacks_hours: Mapping[str, float] = field(init=False, repr=False, compare=False)

    def __init__(self, features: Iterable[Feature]) -> None:
        object.__setattr__(self, "features", tuple(features))
        ids = tuple(feature.id for feature in self.features)
        object.__setattr__(self, "ids", ids)
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice or not ids:
            raise ValueError(f"FeatureSet: expected one or more features of different ids, twice: {twice}.")
        lookbacks = dict.fromkeys((name for feature in self.features for name in feature.concepts), 0.0)
        for part in (part for feature in self.features for part in operands(feature)):
            hours = math.inf if part.lookback_hours is None else part.lookback_hours
            lookbacks[part.concept] = max(lookbacks[part.concept], hours)
            if part.since is not None:  # a stay may have begun at any time
                lookbacks[part.since] = math.inf
        object.__setattr__(self, "lookbacks_hours", lookbacks)

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    @property
    def concepts(self) -> tuple[str, ...]:
        """All concepts that the features read, in order of first use."""
        return tuple(self.lookbacks_hours)

    def longest_lookback_hours(self, concept: str) -> float:
        """How far back any feature looks at a concept; infinity where one looks at all of the past."""
        hours = self.lookbacks_hours.get(concept)
        if hours is None:
            raise ValueError(f"FeatureSet: no feature reads the concept {concept!r}.")
        return hours
