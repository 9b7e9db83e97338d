"""Cohorts and labels: at which times of which patients a model is trained, and what came after."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.reading.reader import Record, Stay
from features.times import LATEST
from models.bundle import FlowStep
from models.spec import ModelSpec

LONGEST_STAY_HOURS = 366 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Index times [N], sorted by patient and time, and how they came about.

    Attributes:
        patients: int64[N], into the events' patients.
        times: int64[N], UTC microseconds.
        flow: who was left after each step.
    """

    patients: NDArray[np.int64]
    times: NDArray[np.int64]
    flow: tuple[FlowStep, ...]

    def where(self, keep: NDArray[np.bool_], step: str) -> "Cohort":
        """The cohort without the rows that `keep` is false for; the step is added to the flow."""
        patients = self.patients[keep]
        left = FlowStep(step=step, patients=len(np.unique(patients)), index_times=len(patients))
        return Cohort(patients=patients, times=self.times[keep], flow=(*self.flow, left))


class ClinicalModel(Protocol):
    """What training needs of a model's folder: its spec and two pure functions of the record."""

    SPEC: ModelSpec

    def cohort(self, record: Record) -> Cohort:
        """The index times to train on."""

    def label(self, record: Record, cohort: Cohort) -> NDArray[np.bool_]:
        """Whether the target came true after each index time, bool[N]."""


def hourly(record: Record, stays: Iterable[Stay], step: str) -> Cohort:
    """An index time at the start of each stay and every hour after it, up to its end.

    A stay without an end, or with one beyond a year ("until further notice"), is followed to the patient's last event.
    """
    events = record.events
    number = {patient: i for i, patient in enumerate(events.patients)}
    last = last_event(events)
    patients, times = [], []
    for stay in stays:
        patient = number[stay.patient]
        longest = stay.start + LONGEST_STAY_HOURS * MICROSECONDS_PER_HOUR
        end = int(last[patient]) if stay.end is None or stay.end > longest else stay.end
        hours = np.arange(stay.start, end + 1, MICROSECONDS_PER_HOUR, dtype=np.int64)
        patients.append(np.full(len(hours), patient, np.int64))
        times.append(hours)
    every = Cohort(
        patients=np.concatenate(patients) if patients else np.empty(0, np.int64),
        times=np.concatenate(times) if times else np.empty(0, np.int64),
        flow=(),
    )
    order = np.lexsort((every.times, every.patients))
    every = Cohort(patients=every.patients[order], times=every.times[order], flow=())
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(every.patients) > 0) | (np.diff(every.times) > 0)  # stays that overlap
    return every.where(first, step)


def moments(events: Events, concepts: Iterable[str], step: str) -> Cohort:
    """An index time at each event of some concepts, once where several are at one time."""
    numbers = [events.concepts.index(name) for name in concepts if name in events.concepts]
    chosen = np.isin(events.concept, numbers)
    found = np.unique(np.stack((events.patient[chosen].astype(np.int64), events.time[chosen])), axis=1)
    every = Cohort(patients=found[0], times=found[1], flow=())
    return every.where(np.ones(found.shape[1], np.bool_), step)


def during(record: Record, cohort: Cohort, stays: Iterable[Stay]) -> NDArray[np.bool_]:
    """Whether each index time lies in one of the stays of its patient, bool[N]; a stay without an end goes on."""
    number = {patient: i for i, patient in enumerate(record.events.patients)}
    inside = np.zeros(len(cohort.times), np.bool_)
    for stay in stays:
        lo, hi = np.searchsorted(cohort.patients, [number[stay.patient], number[stay.patient] + 1])
        at = cohort.times[lo:hi]
        inside[lo:hi] |= (at >= stay.start) & (at <= (LATEST if stay.end is None else stay.end))
    return inside


def last_event(events: Events) -> NDArray[np.int64]:
    """The time of each patient's last event, int64[P]; the smallest integer where there is none."""
    last = np.full(len(events.patients), np.iinfo(np.int64).min, np.int64)
    np.maximum.at(last, events.patient, events.time)
    return last


def first_event(
    events: Events, concept: str, keep: Callable[[Events], NDArray[np.bool_]] | None = None
) -> NDArray[np.int64]:
    """The time of each patient's first event of a concept, int64[P]; the largest integer where there is none."""
    first = np.full(len(events.patients), np.iinfo(np.int64).max, np.int64)
    if concept in events.concepts:
        chosen = events.concept == events.concepts.index(concept)
        if keep is not None:
            chosen &= keep(events)
        np.minimum.at(first, events.patient[chosen], events.time[chosen])
    return first
