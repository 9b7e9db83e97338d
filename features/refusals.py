"""Refusals: what was not used, why and how often; nothing is left out in silence."""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a resource or a value in it did not become an event."""

    MALFORMED = "malformed"  # not JSON, or a field of the wrong type
    RESOURCE_NOT_READ = "resource-not-read"  # a resource type that no concept is read from
    DUPLICATE = "duplicate"  # the same resource or result again
    REPLACED = "replaced"  # a later version of it was read
    FHIR_VERSION = "fhir-version"  # fields of another version than the source says it speaks
    OTHER_PATIENT = "other-patient"
    SUBJECT_MISSING = "subject-missing"
    STATUS = "status"  # entered in error, cancelled, preliminary and the like: see the reader's table
    MODIFIER_EXTENSION = "modifier-extension"  # something that is not understood changes what the resource means
    CODE_CONTRADICTION = "code-contradiction"  # codings of one result that name different concepts
    CODE_NOT_MAPPED = "code-not-mapped"  # no concept has the code: usual, and no fault
    DATA_ABSENT = "data-absent"
    VALUE_MISSING = "value-missing"
    VALUE_NOT_NUMERIC = "value-not-numeric"
    VALUE_NOT_CODED = "value-not-coded"  # a number where the concept has answers
    ANSWER_UNKNOWN = "answer-unknown"  # a coded answer that the concept does not list
    METHOD = "method"  # measured by another method, or of another specimen, than the code demands
    VALUE_CENSORED = "value-censored"  # a comparator: "<5" is no number
    VALUE_IMPLAUSIBLE = "value-implausible"  # outside the concept's plausible range
    UNIT_MISSING = "unit-missing"
    UNIT_UNKNOWN = "unit-unknown"
    UNIT_INCOMPATIBLE = "unit-incompatible"
    UNIT_CONTRADICTION = "unit-contradiction"
    TIME_MISSING = "time-missing"
    TIME_INVALID = "time-invalid"
    TIME_IMPRECISE = "time-imprecise"  # a date without a time of day, where the hour matters
    AFTER_INDEX_TIME = "after-index-time"
    REFERENCE_UNRESOLVED = "reference-unresolved"


class Refusal(NamedTuple):
    """One kind of refusal: the reason, the concept where it is known, and a detail that names no patient.

    The detail is a unit, a status, a code or a resource type; never a value.
    """

    reason: Reason
    concept: str | None = None
    detail: str | None = None


class Refusals:
    """A count per kind of refusal."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Iterable[tuple[Refusal, int]] = ()) -> None:
        self._counts: Counter[Refusal] = Counter(dict(counts))

    def add(self, reason: Reason, concept: str | None = None, detail: str | None = None, *, count: int = 1) -> None:
        """Count a refusal."""
        self._counts[Refusal(reason, concept, detail)] += count

    def update(self, other: "Refusals") -> None:
        """Add the counts of another."""
        self._counts.update(dict(other))

    def __iter__(self) -> Iterator[tuple[Refusal, int]]:
        return iter(sorted(self._counts.items(), key=lambda item: tuple(part or "" for part in item[0])))

    def __len__(self) -> int:
        return len(self._counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refusals) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Refusals({list(self)!r})"

    def total(self, *reasons: Reason) -> int:
        """How many refusals there were, for the given reasons or all."""
        return sum(count for refusal, count in self._counts.items() if not reasons or refusal.reason in reasons)

    def by_reason(self) -> dict[str, int]:
        """Counts per reason, for logs and the journal."""
        totals: Counter[str] = Counter()
        for refusal, count in self._counts.items():
            totals[refusal.reason.value] += count
        return dict(sorted(totals.items()))
