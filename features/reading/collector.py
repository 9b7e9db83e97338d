"""The collector: who may be read, what has its say, and what it says; all that is read ends here as statements."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter

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

_SUBJECT = attrgetter("subject")
_SAYS_OF_ITSELF = attrgetter("id", "meta", "identifier", "status")


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
        raws = list(map(bytes, map(_SUBJECT, resources)))
        try:
            subjects = list(map(self._subjects.__getitem__, raws))
        except KeyError:
            for raw in set(raws).difference(self._subjects):
                self._resolve(raw)
            subjects = list(map(self._subjects.__getitem__, raws))
        if min(subjects) < 0:
            for subject in subjects:
                self.count_unusable(subject)
        return subjects

    def subject(self, raw: msgspec.Raw) -> int:
        """The patient that a resource is about; negative, and counted, where it must not be used."""
        wording = bytes(raw)
        found = self._subjects.get(wording)
        subject = self._resolve(wording) if found is None else found
        self.count_unusable(subject)
        return subject

    def count_unusable(self, subject: int) -> None:
        """Count a subject that must not be used."""
        if subject < 0:
            reason, detail = UNUSABLE[subject]
            self.refusals.add(reason, detail=detail)

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

    def enlist_observations(self, kept: Sequence[fhir.Observation], patients: Sequence[int]) -> int:
        """Enter Observations that have a say, with their patients; gives the number of the first."""
        instances = self.said.instances
        first = len(instances)
        names, metas, identifiers, found = zip(*map(_SAYS_OF_ITSELF, kept), strict=True)
        instances.patient.extend(patients)
        instances.type.extend(repeat(TYPE_NUMBERS["Observation"], len(kept)))
        instances.id.extend(names)
        instances.meta.extend(metas)
        if any(identifiers):
            instances.identifier.extend(map(_identifier, identifiers))
        else:
            instances.identifier.extend(repeat(None, len(kept)))
        ranks = {status: statuses.RANK.get(status or "", 0) for status in set(found)}
        instances.rank.extend(map(ranks.__getitem__, found))
        return first

    def enlist(self, resource: fhir.Resource, patient: int, status: str | None = None) -> int:
        """Enter a resource that has a say; gives its number."""
        instances = self.said.instances
        instances.patient.append(patient)
        instances.type.append(TYPE_NUMBERS[type(resource).__name__])
        instances.id.append(resource.id)
        instances.meta.append(resource.meta)
        instances.identifier.append(_identifier(getattr(resource, "identifier", ())))
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


def _identifier(identifiers: Iterable[fhir.Identifier]) -> str | None:
    """The first business identifier that says whose it is."""
    for one in identifiers:
        if one.system and one.value:
            return f"{one.system}|{one.value}"
    return None
