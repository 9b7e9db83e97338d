"""The collector: who may be read, what has its say, and what it says; all that is read ends here as statements."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, Self

import msgspec

from features.reading import fhir, statuses
from features.reading.clinical import Held
from features.reading.decode import decode_part
from features.reading.interpreter import Interpreter, Meanings, Refused
from features.reading.references import patient_id
from features.reading.statements import TYPE_NUMBERS, Instances, Row, Rows, Statements
from features.refusals import Reason, Refusals

# Subjects that must not be used, and how they are counted.
NO_SUBJECT, NO_PATIENT, OTHER_PATIENT = -3, -2, -1
UNUSABLE: dict[int, tuple[Reason, str | None]] = {
    NO_SUBJECT: (Reason.SUBJECT_MISSING, None),
    NO_PATIENT: (Reason.SUBJECT_MISSING, "reference to no Patient"),
    OTHER_PATIENT: (Reason.OTHER_PATIENT, None),
}


class Statuses(NamedTuple):
    """The statuses of several resources, and which different ones they are: nearly always one."""

    said: Sequence[str | None]
    different: frozenset[str | None]

    @classmethod
    def of(cls, said: Sequence[str | None]) -> Self:
        """The statuses as they were said, of one resource or more."""
        return cls(said, frozenset(said[:1] if said.count(said[0]) == len(said) else said))

    def each(self, numbers: Mapping[str | None, int]) -> Iterable[int]:
        """For each resource the number of its status."""
        if len(self.different) == 1:
            return repeat(numbers[self.said[0]], len(self.said))
        return map(numbers.__getitem__, self.said)


class Collector:
    """Statements in the making.

    Args:
        interpreter: of the vocabulary.
        refusals: counts what is not used.
        only: the one patient whose resources may be used; None: any.
    """

    def __init__(self, interpreter: Interpreter, refusals: Refusals, *, only: str | None) -> None:
        self.refusals = refusals
        self.said = Statements(
            patients=[] if only is None else [only],
            concepts=interpreter.concepts,
            instances=Instances(),
            refusals=refusals,
            drafts=interpreter.drafts,
        )
        self._only = only
        self._patients: dict[str, int] = {name: i for i, name in enumerate(self.said.patients)}
        self._subjects: dict[bytes, int] = {}
        self._rows: list[Row] = []
        self.part_rows = 0

    def add_part(self, rows: Rows) -> None:
        """Take many rows at once."""
        self.said.parts.append(rows)
        self.part_rows += len(rows.instance)

    def row(self, row: Row) -> None:
        """Take one row."""
        self._rows.append(row)

    def finish(self) -> Statements:
        """All that was collected."""
        if self._rows:
            self.add_part(Rows.of(self._rows))
            self._rows = []
        return self.said

    def subjects_of(self, resources: Sequence[fhir.Observation]) -> list[int]:
        """The patient of each resource; those that must not be used are counted."""
        raws = [resource.subject for resource in resources]
        first = bytes(raws[0])
        if first == bytes(raws[-1]) and first[:1] == b"{" and b"".join(raws) == first * len(raws):
            # All of one patient, as in a call: no JSON object is the beginning of another one, so all are alike.
            subjects = [self.numbered(first)] * len(raws)
        else:
            subjects = [self.numbered(bytes(raw)) for raw in raws]
        if min(subjects) < 0:
            for subject in subjects:
                self.count_unusable(subject)
        return subjects

    def subject(self, raw: msgspec.Raw) -> int:
        """The patient that a resource is about; negative, and counted, where it must not be used."""
        subject = self.numbered(bytes(raw))
        self.count_unusable(subject)
        return subject

    def count_unusable(self, subject: int) -> None:
        """Count a subject that must not be used."""
        if subject < 0:
            reason, detail = UNUSABLE[subject]
            self.refusals.add(reason, detail=detail)

    def numbered(self, wording: bytes) -> int:
        """The patient whom a reference, as JSON, names; negative where it must not be used, and not yet counted."""
        found = self._subjects.get(wording)
        return self._resolve(wording) if found is None else found

    def _resolve(self, wording: bytes) -> int:
        reference = decode_part(wording, fhir.Reference)
        if reference is None or reference.reference is None:
            subject = NO_SUBJECT
        else:
            name = patient_id(reference.reference)
            subject = NO_PATIENT if name is None else self.patient(name)
        self._subjects[wording] = subject
        return subject

    def patient(self, name: str) -> int:
        """The number of a patient; negative for one who is not wanted."""
        if self._only is not None and name != self._only:
            return OTHER_PATIENT
        found = self._patients.get(name)
        if found is None:
            found = self._patients[name] = len(self.said.patients)
            self.said.patients.append(name)
        return found

    def enlist_observations(self, kept: Sequence[fhir.Observation], patients: Sequence[int], said: Statuses) -> int:
        """Enter Observations that have a say, with their patients and statuses; gives the number of the first."""
        instances = self.said.instances
        first = len(instances)
        instances.patient.extend(patients)
        instances.type.extend(repeat(TYPE_NUMBERS["Observation"], len(kept)))
        instances.id.extend([one.id for one in kept])
        instances.meta.extend([one.meta for one in kept])
        instances.identifier.extend(_identifiers(kept))
        instances.rank.extend(said.each({status: statuses.RANK.get(status or "", 0) for status in said.different}))
        return first

    def enlist(self, resource: fhir.Resource, patient: int, status: str | None = None) -> int:
        """Enter a resource that has a say; gives its number."""
        instances = self.said.instances
        instances.patient.append(patient)
        instances.type.append(TYPE_NUMBERS[type(resource).__name__])
        instances.id.append(resource.id)
        instances.meta.append(resource.meta)
        instances.identifier.append(identifier(getattr(resource, "identifier", ())))
        instances.rank.append(statuses.RANK.get(status or "", 0))
        return len(instances) - 1

    def say(self, instance: int, meanings: Meanings, held: Held | Refused) -> None:
        """A row for each concept."""
        for meaning in meanings:
            if isinstance(held, Refused):
                self.refusals.add(held.reason, meaning.concept.id, held.detail)
                self.row(Row(instance, meaning.position, 0, 0, 0, 0.0, counts=False))
            else:
                when, value = held.when, float(meaning.ordinal)
                self.row(Row(instance, meaning.position, when.time, when.known, held.until, value, counts=True))


def _identifiers(resources: Sequence[fhir.Observation]) -> list[str | None]:
    """As `identifier`, of each; the first of them, as nearly always, without a call."""
    several = [one.identifier for one in resources]
    if not any(several):
        return [None] * len(several)
    return [
        f"{of[0].system}|{of[0].value}" if of and of[0].system and of[0].value else identifier(of) for of in several
    ]


def identifier(identifiers: Iterable[fhir.Identifier]) -> str | None:
    """The first business identifier that says whose it is."""
    for one in identifiers:
        if one.system and one.value:
            return f"{one.system}|{one.value}"
    return None
