"""Readings: the latest values of a model's concepts at an index time, and what they added to the risk.

What depends on the model alone is worked out once, in a `ReadingPlan`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.vocabulary.concept import Kind, Vocabulary
from models.spec import ModelSpec

MEASURED: Kind = "observation"
EXPECTED: frozenset[Kind] = frozenset({MEASURED, "demographic"})
"""Kinds of which nothing is a gap; a diagnosis or a drug that was not recorded says something by not being there."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The latest value of a concept before the index time, and the one before it; times in UTC microseconds."""

    value: float
    time: int
    previous: float | None = None
    previous_time: int | None = None


Readings: TypeAlias = Mapping[str, Reading | None]


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """What a concept, with its family, added to or took from the logit.

    There is no reading where the model saw none: nothing was measured, or nothing recent enough. `error` bounds the
    standard error where contributions are estimates: the sum of its features'.
    """

    concept: str
    contribution: float
    reading: Reading | None
    error: float = 0.0


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A measured concept whose latest value, of that UTC microsecond, is older than anything the model looks at."""

    concept: str
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """What can be said of a model's readings before the first call.

    Attributes:
        nothing: no reading for each concept that the model reads, in its order.
        lookback_hours: by concept, how far back any feature looks.
        measured: the concepts that are measured.
        expected: the concepts of which nothing is a gap.
        families: concepts whose contributions a card adds up, in the order of the features.
        family_of: for each feature the number of its family.
        drafts: the concepts of draft orders. They are read only while they hold: what was once a draft is none now.
    """

    spec: ModelSpec
    vocabulary: Vocabulary
    nothing: dict[str, Reading | None] = field(init=False)
    lookback_hours: Mapping[str, float] = field(init=False)
    measured: frozenset[str] = field(init=False)
    expected: tuple[str, ...] = field(init=False)
    families: tuple[tuple[str, ...], ...] = field(init=False)
    family_of: NDArray[np.intp] = field(init=False)
    drafts: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        features = self.spec.features
        drafts = frozenset(one.id for one in self.vocabulary if one.drafts_of is not None)
        kinds = {name: self.vocabulary.concept(name).kind for name in features.concepts if name not in drafts}
        families = [self.spec.family_of(feature.concepts[0]) for feature in features]
        numbers = {family: number for number, family in enumerate(dict.fromkeys(families))}
        prepared = {
            "nothing": dict.fromkeys(features.concepts),
            "lookback_hours": features.lookbacks_hours,
            "measured": frozenset(name for name, kind in kinds.items() if kind == MEASURED),
            "expected": tuple(name for name, kind in kinds.items() if kind in EXPECTED),
            "families": tuple(numbers),
            "drafts": drafts,
            "family_of": np.array([numbers[family] for family in families], np.intp),
        }
        for name, value in prepared.items():
            object.__setattr__(self, name, value)

    def readings(self, events: Events, patient: int, at: int) -> Readings:
        """The latest values of one patient that were known at a time, UTC microseconds; None where there is none.

        Args:
            events: of any number of patients.
            patient: into `events.patients`.
            at: UTC microseconds.
        """
        known = events.known <= at  # what is known then was measured by then
        if len(events.patients) > 1:
            known &= events.patient == patient
        if self.drafts:
            is_draft = np.array([name in self.drafts for name in events.concepts], np.bool_)
            known &= ~is_draft[events.concept] | (events.until > at)
        return self.nothing | {name: one for name, one in _latest(events, known) if name in self.nothing}

    def seen(self, readings: Readings, at: int) -> Readings:
        """The readings that lie in the window of some feature; None for the others."""
        return {
            concept: reading
            if reading is not None and (at - reading.time) / MICROSECONDS_PER_HOUR < self.lookback_hours[concept]
            else None
            for concept, reading in readings.items()
        }

    def stale(self, readings: Readings, seen: Readings) -> Iterator[Stale]:
        """What was measured too long ago. An old order of a drug is not too old: it says that it is not given now."""
        for concept, reading in readings.items():
            if reading is not None and seen[concept] is None and concept in self.measured:
                yield Stale(concept=concept, time=reading.time)

    def absent(self, readings: Readings) -> tuple[str, ...]:
        """What was not measured."""
        return tuple([concept for concept in self.expected if readings[concept] is None])

    def contributors(
        self, contributions: NDArray[np.float32], errors: NDArray[np.float32] | None, seen: Readings
    ) -> tuple[Contributor, ...]:
        """Contributions float32[F] in log-odds, and errors where they are estimates, by family, largest first."""
        if errors is not None:
            return self._estimated(contributions, errors, seen)
        sums = np.bincount(self.family_of, contributions, minlength=len(self.families)).tolist()
        order = sorted(range(len(sums)), key=[-abs(one) for one in sums].__getitem__)
        found = []
        for number in order:
            shown = _shown(self.families[number], seen)
            found.append(Contributor(concept=shown, contribution=sums[number], reading=seen[shown]))
        return tuple(found)

    def _estimated(
        self, contributions: NDArray[np.float32], errors: NDArray[np.float32], seen: Readings
    ) -> tuple[Contributor, ...]:
        sums = np.bincount(self.family_of, errors, minlength=len(self.families)).tolist()
        bounds = {_shown(family, seen): error for family, error in zip(self.families, sums, strict=True)}
        exact = self.contributors(contributions, None, seen)
        return tuple(msgspec.structs.replace(one, error=bounds[one.concept]) for one in exact)


def _latest(events: Events, known: NDArray[np.bool_]) -> Iterator[tuple[str, Reading]]:
    """By concept the last two values, at different times, of the events of one patient that are known."""
    concept, time, value = events.concept, events.time, events.value
    if np.count_nonzero(known) < len(known):
        concept, time, value = concept[known], time[known], value[known]
    counts = np.bincount(concept, minlength=len(events.concepts)).tolist()
    # Lists from here on: of some thirty concepts an array operation is dearer than a look at each.
    times, values, end = time.tolist(), value.tolist(), 0
    for name, count in zip(events.concepts, counts, strict=True):
        if not count:
            continue
        first, end = end, end + count
        last = before = end - 1
        while before >= first and times[before] == times[last]:  # of the same time there may be several
            before -= 1
        if before >= first:
            earlier, since = values[before], times[before]
            yield name, Reading(value=values[last], time=times[last], previous=earlier, previous_time=since)
        else:
            yield name, Reading(value=values[last], time=times[last])


def _shown(family: tuple[str, ...], seen: Readings) -> str:
    """The first of a family that has a reading, else the first."""
    return next((concept for concept in family if seen[concept] is not None), family[0])
