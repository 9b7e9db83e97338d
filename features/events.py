"""Events: what was measured or held, of whom, from when to when, and when it became known; as sorted numpy columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

MICROSECONDS_PER_HOUR = 3_600_000_000


class Event(NamedTuple):
    """One event on its way into the columns; times are UTC microseconds since 1970.

    `until` is the end of what the event states; None: it is a point, and ends at its time.
    """

    patient: str
    concept: str
    time: int
    known: int
    value: float
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Columns of equal length, sorted by (concept, patient, time, known, value, until).

    That order is also the tie-break: of two values of one concept at the same time, `last` is the one that
    became known later, of two known at once the higher, and of two alike the one that lasts longer. It never
    depends on the order of arrival.

    Attributes:
        patients: the patient ids; the `patient` column (int32) indexes it.
        concepts: the concept ids; the `concept` column (int32) indexes it.
        time: int64, UTC microseconds, when the sample was drawn or the value measured.
        known: int64, UTC microseconds, when the value could first be seen; never before `time`.
        value: float64 in the concept's canonical unit. Of a coded kind (condition, medication, procedure, encounter)
            it says which of its concept's codes was recorded, counted from 1, so that distinct ones can be counted.
        until: int64, UTC microseconds, end of what the event states: its time where it is a point (a sample),
            `times.LATEST` where it is open (a stay that goes on), never before its time. What it states holds at an
            instant t if time ≤ t < until.
        has_late: whether any value became known after its time.

    Columns that say the same may be one array: `known` and `until` are `time` itself where nothing was known late and
    all events are points, so that neither is sorted, checked or laid out again.
    """

    patients: tuple[str, ...]
    concepts: tuple[str, ...]
    patient: NDArray[np.int32]
    concept: NDArray[np.int32]
    time: NDArray[np.int64]
    known: NDArray[np.int64]
    value: NDArray[np.float64]
    until: NDArray[np.int64]
    has_late: bool = field(init=False)

    def __post_init__(self) -> None:
        columns = (self.patient, self.concept, self.time, self.known, self.value, self.until)
        lengths = {len(column) for column in columns}
        if len(lengths) != 1:
            raise ValueError(f"Events: expected six columns of one length, got lengths {sorted(lengths)}.")
        # Counted, which takes a fraction of the time that `any` does where there are few.
        if np.count_nonzero(np.isfinite(self.value)) < len(self.value):
            raise ValueError("Events: expected finite values; a missing value is an event that is not there.")
        if self.known is not self.time and np.count_nonzero(self.known < self.time):
            raise ValueError("Events: a value cannot be known before its time.")
        if self.until is not self.time and np.count_nonzero(self.until < self.time):
            raise ValueError("Events: what an event states cannot end before its time.")
        has_late = self.known is not self.time and bool(np.count_nonzero(self.known > self.time))
        object.__setattr__(self, "has_late", has_late)

    @classmethod
    def sort(
        cls,
        *,
        patients: Sequence[str],
        concepts: Sequence[str],
        patient: NDArray[np.int32],
        concept: NDArray[np.int32],
        time: NDArray[np.int64],
        known: NDArray[np.int64],
        value: NDArray[np.float64],
        until: NDArray[np.int64] | None = None,
    ) -> Self:
        """Build from columns in any order; without `until` all events are points."""
        until = time if until is None else until
        value = value + 0.0  # −0 becomes 0: they tie, and would stand in the order of their arrival
        order = _order((concept, patient, time, known, value, until), (len(concepts), len(patients)))
        in_order = time[order]
        return cls(
            patients=tuple(patients),
            concepts=tuple(concepts),
            patient=patient[order],
            concept=concept[order],
            time=in_order,
            known=in_order if known is time else known[order],
            value=value[order],
            until=in_order if until is time else until[order],
        )

    @classmethod
    def of(cls, events: Iterable[Event], *, patients: Sequence[str] | None = None) -> Self:
        """Build from single events.

        Args:
            events: in any order.
            patients: ids to index even if they have no event; by default those that occur, sorted.

        Raises:
            KeyError: an event's patient is not among the patients.
        """
        rows = list(events)
        patient, concept, time, known, value, until = zip(*rows, strict=True) if rows else ((),) * len(Event._fields)
        patients = sorted(set(patient)) if patients is None else patients
        concepts = sorted(set(concept))
        return cls.sort(
            patients=patients,
            concepts=concepts,
            patient=_positions(patient, patients),
            concept=_positions(concept, concepts),
            time=np.array(time, np.int64),
            known=np.array(known, np.int64),
            value=np.array(value, np.float64),
            until=np.array([start if end is None else end for start, end in zip(time, until, strict=True)], np.int64),
        )

    def __len__(self) -> int:
        return len(self.value)

    def series(self, patient: int, concept: str, *, at: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and values of one concept of one patient that were known at `at`, oldest first."""
        if concept not in self.concepts:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        index = self.concepts.index(concept)
        lo, hi = np.searchsorted(self.concept, [index, index + 1])
        lo, hi = lo + np.searchsorted(self.patient[lo:hi], [patient, patient + 1])
        seen = (self.time[lo:hi] <= at) & (self.known[lo:hi] <= at)
        return self.time[lo:hi][seen], self.value[lo:hi][seen]


def _positions(names: Sequence[str], known: Sequence[str]) -> NDArray[np.int32]:
    position = {name: i for i, name in enumerate(known)}
    return np.array([position[name] for name in names], np.int32)


Columns = tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
]
FEW = 256  # events; fewer are sorted by each column in turn, which takes less than to make one key of them
KEY_LIMIT = 2**62


def _order(columns: Columns, sizes: tuple[int, int]) -> NDArray[np.intp]:
    """The positions of events in order of their columns: concept, patient, time, known, value, until.

    Args:
        columns: in order of their weight.
        sizes: how many concepts and how many patients there are.
    """
    concept, patient, time = columns[:3]
    concepts, patients = sizes
    deciding = _deciding(columns, patients)
    if len(time) < FEW:
        return np.lexsort(deciding[::-1])
    # One key of the first three columns, its time as fine as 62 bits hold; only what ties is sorted by all columns.
    first, last = int(time.min()), int(time.max())
    span = KEY_LIMIT // (max(concepts, 1) * max(patients, 1))
    tick = (last - first) // span + 1
    key = (concept.astype(np.int64) * patients + patient) * ((last - first) // tick + 1)
    key += (time - first) // tick if tick > 1 else time - first
    order = key.argsort()
    key = key[order]
    ties = np.zeros(len(key) + 1, np.bool_)
    ties[1:-1] = key[1:] == key[:-1]
    (tied,) = (ties[1:] | ties[:-1]).nonzero()
    if len(tied):
        events = order[tied]
        order[tied] = events[np.lexsort([column[events] for column in deciding[::-1]])]
    return order


def _deciding(columns: Columns, patients: int) -> list[NDArray[Any]]:
    """The columns without those that cannot order what the ones before them leave tied."""
    concept, patient, time, known, value, until = columns
    # Fewer keys are the larger part of what sorting a call's events takes.
    return [
        concept,
        *((patient,) if patients > 1 else ()),
        time,
        *((known,) if known is not time else ()),
        value,
        *((until,) if until is not time else ()),
    ]
