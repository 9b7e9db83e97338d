"""What was measured of a concept: patients, events, values, ages and delays, added up part by part."""

from collections.abc import Iterator

import numpy as np

from features.coverage.sketches import Hashes, Histogram, Ints, PatientCount, PatientSample
from features.events import Events
from features.vocabulary.concept import Concept, Vocabulary

PATIENTS = 4_096  # sampled; an estimate beyond them is off by 1.6 %
MICROSECONDS_PER_MINUTE = 60_000_000
MICROSECONDS_PER_DAY = 86_400_000_000
DELAYS_MINUTES = (0, 15, 60, 240, 1_440)
"""Upper bounds of the bins of delays; the last bin has none."""


class ConceptEvents:
    """The events of one concept.

    Attributes:
        events: how many.
        patients: a sample of their patients, with counts and latest times.
        values: how they are distributed over the plausible range; None where there is none.
        delays: how many were known within `DELAYS_MINUTES` after their time, and how many later.
    """

    __slots__ = ("delays", "events", "patients", "values")

    def __init__(self, concept: Concept) -> None:
        is_numeric = concept.kind == "observation" and concept.unit is not None  # an age is told by a birth's time
        self.events = 0
        self.patients = PatientSample(PATIENTS)
        self.values = Histogram.between(*concept.plausible) if is_numeric and concept.plausible else None
        self.delays: Ints = np.zeros(len(DELAYS_MINUTES) + 1, np.int64)

    def add(self, events: Events, rows: slice, hashes: Hashes) -> None:
        """Add the events of some rows; `hashes` are those of the patients of `events`."""
        own = hashes[events.patient[rows]]
        self.events += len(own)
        self.patients.add(own, np.ones(len(own), np.int64), events.time[rows])
        if self.values is not None:
            self.values.add(events.value[rows])
        minutes = (events.known[rows] - events.time[rows]) / MICROSECONDS_PER_MINUTE
        self.delays += np.bincount(np.searchsorted(DELAYS_MINUTES, minutes), minlength=len(self.delays))


class Measured:
    """The events of all concepts of a vocabulary, and their patients.

    Attributes:
        concepts: by id.
        dated: a sample of the patients with their latest event, birth left out.
        everyone: all patients, with events or without.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.concepts = {concept.id: ConceptEvents(concept) for concept in vocabulary}
        self._undated = {concept.id for concept in vocabulary if concept.kind == "demographic"}
        self.dated = PatientSample(PATIENTS)
        self.everyone = PatientCount(PATIENTS)

    def days_behind(self, concept: str) -> float | None:
        """By how many days half of the latest values of a concept are older than their patient's latest of any.

        Of the patients that both samples hold; it stands although each patient's dates were shifted by themselves.
        """
        own = self.concepts[concept].patients
        _, one, other = np.intersect1d(own.hashes, self.dated.hashes, assume_unique=True, return_indices=True)
        behind = self.dated.latest[other] - own.latest[one]
        return float(np.median(behind)) / MICROSECONDS_PER_DAY if len(behind) else None

    def add(self, events: Events, hashes: Hashes) -> None:
        """Add settled events; `hashes` are those of their patients."""
        for name, rows in _by_concept(events):
            self.concepts[name].add(events, rows, hashes)
            if name not in self._undated:
                own = hashes[events.patient[rows]]
                self.dated.add(own, np.ones(len(own), np.int64), events.time[rows])


def _by_concept(events: Events) -> Iterator[tuple[str, slice]]:
    bounds = np.searchsorted(events.concept, np.arange(len(events.concepts) + 1)).tolist()
    for name, start, stop in zip(events.concepts, bounds, bounds[1:], strict=False):
        if stop > start:
            yield name, slice(start, stop)
