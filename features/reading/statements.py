"""Statements: what resources say, before it is settled which of them still hold.

A resource may be sent twice, corrected, or declared a mistake; a drug may be named by a reference that comes later.
So reading and settling are two steps: statements are collected here, and `features.reading.settle` makes events of
them, for one patient at a hook call and for the patients of one partition of a hospital.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import is_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.events import Events
from features.reading.decode import decode_part
from features.reading.fhir import RESOURCES, Meta
from features.reading.interpreter import Refused
from features.refusals import Refusals

TYPES: tuple[str, ...] = tuple(sorted(struct.__name__ for struct in RESOURCES))
TYPE_NUMBERS = {name: number for number, name in enumerate(TYPES)}


Codings = frozenset[tuple[str, str]]
"""Pairs of system and code."""


class When(NamedTuple):
    """When something was measured or began, and when it could first be seen; UTC microseconds."""

    time: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """An encounter: whose, of which class and level, and from when to when.

    Attributes:
        patient: id.
        encounter_class: v3 ActCode, such as IMP.
        start: UTC microseconds.
        end: None while it goes on.
        level: facility, department or ward.
    """

    patient: str
    encounter_class: str | None
    start: int
    end: int | None
    level: str = "facility"


class Row(NamedTuple):
    """One thing that a resource says of one concept: an event if it counts, else the mark of one that has its say."""

    instance: int
    concept: int
    time: int
    known: int
    until: int
    value: float
    counts: bool


class Stayed(NamedTuple):
    """A stay as one Encounter tells it."""

    instance: int
    stay: Stay


class Referral(NamedTuple):
    """What a resource says of whatever concepts the resource names that it refers to.

    `held` is None where it would not count; it then still replaces an earlier version of itself.
    """

    instance: int
    reference: str
    held: tuple[int, int, int] | Refused  # time, known, until


class Confirmation(NamedTuple):
    """A row that counts only if its specimen is of a kind: one of the codings of that Specimen is the one demanded."""

    row: int
    reference: str | None
    demanded: tuple[str, str]
    contained: Codings | None


class ReportTime(NamedTuple):
    """The times that a DiagnosticReport has for one of its results; None where it has none."""

    patient: int
    reference: str
    time: int | None
    known: int | None


class Rows(NamedTuple):
    """Columns of statements; `instance` says which resource each is of.

    `known` and `until` are the array `time` itself where they say the same throughout, and stay it: in most calls all
    is known at its time and a point, and two columns fewer are joined, sorted and checked.
    """

    instance: NDArray[np.int64]
    concept: NDArray[np.int32]
    time: NDArray[np.int64]
    known: NDArray[np.int64]
    until: NDArray[np.int64]
    value: NDArray[np.float64]
    counts: NDArray[np.bool_]
    timeless: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Rows":
        """The columns of single rows."""
        instance, concept, time, known, until, value, counts = zip(*rows, strict=True)
        times = np.array(time, np.int64)
        return cls(
            instance=np.array(instance, np.int64),
            concept=np.array(concept, np.int32),
            time=times,
            known=times if known == time else np.array(known, np.int64),
            until=times if until == time else np.array(until, np.int64),
            value=np.array(value, np.float64),
            counts=np.array(counts, np.bool_),
            timeless=np.zeros(len(rows), np.bool_),
        )

    def only(self, holds: NDArray[np.bool_]) -> "Rows":
        """The rows for which something holds."""
        time = self.time[holds]
        return Rows(
            instance=self.instance[holds],
            concept=self.concept[holds],
            time=time,
            known=time if self.known is self.time else self.known[holds],
            until=time if self.until is self.time else self.until[holds],
            value=self.value[holds],
            counts=self.counts[holds],
            timeless=self.timeless[holds],
        )

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """The rows of several one behind the other."""
        if len(parts) == 1:
            return parts[0]
        parts = parts or (EMPTY,)
        instance, concept, times, known, until, value, counts, timeless = zip(*parts, strict=True)
        time = np.concatenate(times)
        return cls(
            instance=np.concatenate(instance),
            concept=np.concatenate(concept),
            time=time,
            known=time if all(map(is_, known, times)) else np.concatenate(known),
            until=time if all(map(is_, until, times)) else np.concatenate(until),
            value=np.concatenate(value),
            counts=np.concatenate(counts),
            timeless=np.concatenate(timeless),
        )


EMPTY = Rows(
    np.empty(0, np.int64),
    np.empty(0, np.int32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.float64),
    np.empty(0, np.bool_),
    np.empty(0, np.bool_),
)


@dataclass(slots=True, kw_only=True, eq=False)
class Instances:
    """The resources that have a say, one entry each in every list; a `meta` may be left undecoded."""

    patient: list[int] = field(default_factory=list)
    type: list[int] = field(default_factory=list)
    id: list[str | None] = field(default_factory=list)
    identifier: list[str | None] = field(default_factory=list)
    meta: list[Meta | bytes | None] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.patient)

    def meta_of(self, number: int) -> Meta | None:
        """The `meta` of one resource."""
        meta = self.meta[number]
        return decode_part(meta, Meta) if isinstance(meta, bytes) else meta

    def metas(self) -> list[Meta | None]:
        """The `meta` of all resources."""
        return [self.meta_of(number) for number in range(len(self.meta))]


@dataclass(slots=True, kw_only=True, eq=False)
class Statements:
    """All that was read, not yet settled.

    Attributes:
        patients: ids, in the order in which they were first seen.
        concepts: ids of the vocabulary, in its order; rows index it.
        directory: by reference, the concepts (index, ordinal) that a Medication or Location names, and the codings of
            a Specimen.
        drafts: pairs of a concept (index) and a concept of its drafts (index).
    """

    patients: list[str]
    concepts: tuple[str, ...]
    instances: Instances
    refusals: Refusals
    parts: list[Rows] = field(default_factory=list)
    stays: list[Stayed] = field(default_factory=list)
    medications: list[Referral] = field(default_factory=list)
    locations: list[Referral] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    reports: list[ReportTime] = field(default_factory=list)
    directory: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    specimens: dict[str, Codings] = field(default_factory=dict)
    drafts: tuple[tuple[int, int], ...] = ()
    resources: int = 0


def events_of(statements: Statements, rows: Rows, holds: NDArray[np.bool_]) -> Events:
    """The events of the rows that hold.

    Patients and concepts stand in the order of their names, so that nothing depends on the order of arrival.
    """
    patients = sorted(statements.patients)
    kept = rows if np.count_nonzero(holds) == len(holds) else rows.only(holds)
    names, rank_of = _by_name(statements.concepts)
    rank = rank_of[kept.concept]
    (present,) = np.bincount(rank, minlength=len(names)).nonzero()
    place_of = np.zeros(len(names), np.int32)
    place_of[present] = np.arange(len(present), dtype=np.int32)
    return Events.sort(
        patients=patients,
        concepts=[names[place] for place in present.tolist()],
        patient=_patient_of(statements, patients, kept.instance),
        concept=place_of[rank],
        time=kept.time,
        known=kept.known,
        value=kept.value,
        until=kept.until,
    )


@lru_cache(maxsize=64)
def _by_name(concepts: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The concepts of a vocabulary in the order of their names, and the place of each in it."""
    order = sorted(range(len(concepts)), key=concepts.__getitem__)
    return tuple(concepts[position] for position in order), np.argsort(order).astype(np.int32)


def _patient_of(statements: Statements, patients: Sequence[str], instance: NDArray[np.int64]) -> NDArray[np.int32]:
    """The place among the patients of whom each instance is."""
    if len(patients) <= 1:  # as in a call
        return np.zeros(len(instance), np.int32)
    place = {name: i for i, name in enumerate(patients)}
    patient_of = np.array([place[name] for name in statements.patients], np.int32)
    return patient_of[np.array(statements.instances.patient, np.int32)[instance]]
