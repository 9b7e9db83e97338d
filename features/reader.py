"""The FHIR reader: resources of one patient or of many become events, and every refusal is counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from features import fhir, times
from features.concept import Concept
from features.events import Event, Events
from features.matching import Matcher
from features.observations import STATUS_COUNTS, Measured, Refused, UnitCache, When, says_anything, value_of, when_of
from features.refusals import Reason, Refusals
from features.units import Converter

# FHIR R4 condition-ver-status and medication statuses: only what was never true, or never happened, is left out.
CONDITION_NEVER_TRUE = frozenset({"refuted", "entered-in-error"})
ORDER_STATUS_COUNTS = frozenset({"active", "on-hold", "completed", "stopped"})
# FHIR R4 medicationrequest-intent: what somebody suggests or plans is not ordered.
NOT_ORDERED = frozenset({"proposal", "plan", "option"})
GIVEN_STATUS_COUNTS = frozenset({"in-progress", "on-hold", "completed", "stopped"})
# FHIR R4 encounter-status: the patient came; neither planned nor cancelled, and no mistake.
STAY_STATUS_COUNTS = frozenset({"arrived", "triaged", "in-progress", "onleave", "finished"})

SEX_VALUES = {"female": 0.0, "male": 1.0}  # FHIR's other and unknown: refused, so the feature is missing
BEFORE_ANY_BIRTH = times.parse("1800").first  # when sex is known though the birth date is not

MICROSECONDS_PER_DAY = 86_400_000_000

MedicationUse = fhir.MedicationRequest | fhir.MedicationAdministration


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """An encounter: whose, of which class (FHIR v3 ActCode, such as IMP) and from when to when, UTC microseconds."""

    patient: str
    encounter_class: str | None
    start: int
    end: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was read: events, stays, and what was refused."""

    events: Events
    stays: tuple[Stay, ...]
    refusals: Refusals
    resources: int


class Reader:
    """Collects resources and makes a Record of them.

    Args:
        converter: the vocabulary of the concepts to read, with its unit table; codes of none of them are counted
            as not mapped.
        patient: the only patient whose resources may be used; None: resources of any patient.
    """

    def __init__(self, converter: Converter, *, patient: str | None = None) -> None:
        self._vocabulary = converter.vocabulary
        self._units = UnitCache(converter)
        self._match = Matcher(converter.vocabulary).match
        self._patient = patient
        self.refusals = Refusals()
        self._events: list[Event] = []
        self._stays: list[Stay] = []
        self._patients: set[str] = set() if patient is None else {patient}
        self._subjects: dict[str, str] = {}  # patients by reference, those that may be used
        self._seen: set[tuple[type, str]] = set()
        self._medications: dict[str, fhir.CodeableConcept] = {}
        self._waiting: list[tuple[MedicationUse, str]] = []  # for a Medication that may still come
        self._resources = 0

    def read_searchset(self, raw: bytes | msgspec.Raw) -> None:
        """Read a FHIR Bundle, or a single resource, from its JSON."""
        self.read(fhir.decode_searchset(raw, self.refusals))

    def read(self, resources: Iterable[fhir.Resource]) -> None:
        """Read resources."""
        for resource in resources:
            self._resources += 1
            if self._is_new(resource):
                self._read_one(resource)

    def record(self) -> Record:
        """Everything read so far."""
        for use, patient in self._waiting:
            self._read_medication_use(use, patient, self._referred_medication(use))
        self._waiting.clear()
        return Record(
            events=Events.of(self._events, patients=sorted(self._patients)),
            stays=tuple(self._stays),
            refusals=self.refusals,
            resources=self._resources,
        )

    def _is_new(self, resource: fhir.Resource) -> bool:
        if resource.id is None:
            return True
        key = (type(resource), resource.id)
        if key in self._seen:
            self.refusals.add(Reason.DUPLICATE, detail=type(resource).__name__)
            return False
        self._seen.add(key)
        return True

    def _read_one(self, resource: fhir.Resource) -> None:
        match resource:
            case fhir.Observation():
                self._read_observation(resource)
            case fhir.Patient():
                self._read_patient(resource)
            case fhir.Encounter():
                self._read_encounter(resource)
            case fhir.Condition():
                self._read_condition(resource)
            case fhir.MedicationRequest() | fhir.MedicationAdministration():
                self._take_medication_use(resource)
            case fhir.Medication(id=None):
                self.refusals.add(Reason.REFERENCE_UNRESOLVED, detail="Medication without id")
            case fhir.Medication():
                self._medications[f"Medication/{resource.id}"] = resource.code
            case fhir.OperationOutcome():
                self.refusals.add(Reason.RESOURCE_NOT_READ, detail="OperationOutcome")

    def _subject(self, subject: fhir.Reference | None) -> str | None:
        """The patient's id that a reference names, if it may be used."""
        if subject is None or subject.reference is None:
            self.refusals.add(Reason.SUBJECT_MISSING)
            return None
        known = self._subjects.get(subject.reference)
        if known is not None:
            return known
        patient = patient_id(subject.reference)
        if patient is None:
            self.refusals.add(Reason.SUBJECT_MISSING, detail="reference to no Patient")
            return None
        if not self._is_wanted(patient):
            return None
        self._subjects[subject.reference] = patient
        return patient

    def _is_wanted(self, patient: str) -> bool:
        if self._patient is not None and patient != self._patient:
            self.refusals.add(Reason.OTHER_PATIENT)
            return False
        self._patients.add(patient)
        return True

    def _add(self, patient: str, concept: str, when: When, value: float) -> None:
        self._events.append(Event(patient, concept, when.time, when.known, value))

    def _read_patient(self, patient: fhir.Patient) -> None:
        if patient.id is None:
            self.refusals.add(Reason.SUBJECT_MISSING, detail="Patient without id")
            return
        if not self._is_wanted(patient.id):
            return
        birth = _birth(patient)
        if "age" in self._vocabulary:
            if isinstance(birth, Refused):
                self.refusals.add(birth.reason, "age")
            else:
                self._add(patient.id, "age", When(birth, birth), 0.0)
        if "sex" in self._vocabulary:
            if patient.gender in SEX_VALUES:
                since = BEFORE_ANY_BIRTH if isinstance(birth, Refused) else birth
                self._add(patient.id, "sex", When(since, since), SEX_VALUES[patient.gender])
            else:
                self.refusals.add(Reason.VALUE_MISSING, "sex")

    def _read_observation(self, observation: fhir.Observation) -> None:
        patient = self._subject(observation.subject)
        if patient is None:
            return
        found = self._measured(observation)
        if not found:
            self.refusals.add(Reason.CODE_NOT_MAPPED)
            return
        when = self._counted_time(observation)
        for measured, concept, code in found:
            value = when if isinstance(when, Refused) else value_of(measured, concept, code, self._units)
            if isinstance(value, Refused):
                self.refusals.add(value.reason, concept.id, value.detail)
            elif isinstance(when, When):
                self._events.append(Event(patient, concept.id, when.time, when.known, value))

    def _counted_time(self, observation: fhir.Observation) -> When | Refused:
        """When it was measured, if its status says that it was."""
        if STATUS_COUNTS.get(observation.status or "", False):
            return when_of(observation)
        return Refused(Reason.STATUS, _known_word(observation.status, STATUS_COUNTS))

    def _measured(self, observation: fhir.Observation) -> list[tuple[Measured, Concept, str]]:
        """The Observation and its components that a concept is measured by."""
        own: list[tuple[Measured, Concept, str]]
        own = [(observation, concept, code) for concept, code in self._match(observation.code, "observation")]
        if not observation.component:
            return own
        parts: list[tuple[Measured, Concept, str]] = [
            (component, concept, code)
            for component in observation.component
            for concept, code in self._match(component.code, "observation")
        ]
        is_panel = bool(parts) and not says_anything(observation)  # its components carry the values
        return parts if is_panel else [*own, *parts]

    def _read_encounter(self, encounter: fhir.Encounter) -> None:
        patient = self._subject(encounter.subject)
        if patient is None:
            return
        if encounter.status not in STAY_STATUS_COUNTS:
            self.refusals.add(Reason.STATUS, detail="Encounter")
            return
        period = encounter.period or fhir.Period()
        if period.start is None:
            self.refusals.add(Reason.TIME_MISSING, detail="Encounter")
            return
        try:
            start = times.parse(period.start).first
            end = None if period.end is None else times.parse(period.end).last
        except ValueError:
            self.refusals.add(Reason.TIME_INVALID, detail="Encounter")
            return
        if end is not None and end < start:
            self.refusals.add(Reason.TIME_INVALID, detail="Encounter that ends before it starts")
            return
        name = encounter.class_.code if encounter.class_ else None
        self._stays.append(Stay(patient=patient, encounter_class=name, start=start, end=end))

    def _read_condition(self, condition: fhir.Condition) -> None:
        patient = self._subject(condition.subject)
        if patient is None:
            return
        matches = self._match(condition.code, "condition")
        if not matches:
            self.refusals.add(Reason.CODE_NOT_MAPPED)
            return
        status = condition.verificationStatus or fhir.CodeableConcept()
        untrue = next((c.code for c in status.coding if c.code in CONDITION_NEVER_TRUE), None)
        onset = condition.onsetPeriod.start if condition.onsetPeriod else None
        when = _at_latest(condition.onsetDateTime or onset, condition.recordedDate)
        for concept, _ in matches:
            if untrue is not None:
                self.refusals.add(Reason.STATUS, concept.id, untrue)
            else:
                self._add_presence(patient, concept, when)

    def _take_medication_use(self, use: MedicationUse) -> None:
        patient = self._subject(use.subject)
        if patient is None:
            return
        if use.medicationCodeableConcept is None:
            self._waiting.append((use, patient))
        else:
            self._read_medication_use(use, patient, use.medicationCodeableConcept)

    def _read_medication_use(self, use: MedicationUse, patient: str, code: fhir.CodeableConcept | None) -> None:
        if code is None:
            self.refusals.add(Reason.REFERENCE_UNRESOLVED, detail="Medication")
            return
        matches = self._match(code, "medication")
        if not matches:
            self.refusals.add(Reason.CODE_NOT_MAPPED)
            return
        match use:
            case fhir.MedicationRequest():
                ordered = use.status in ORDER_STATUS_COUNTS and use.intent not in NOT_ORDERED
                counts = ordered and not use.doNotPerform
                when = _at_latest(use.authoredOn)
            case fhir.MedicationAdministration():
                counts = use.status in GIVEN_STATUS_COUNTS
                start = use.effectivePeriod.start if use.effectivePeriod else None
                when = _at_latest(use.effectiveDateTime or start)
        for concept, _ in matches:
            if counts:
                self._add_presence(patient, concept, when)
            else:
                self.refusals.add(Reason.STATUS, concept.id, type(use).__name__)

    def _add_presence(self, patient: str, concept: Concept, when: When | Refused) -> None:
        if isinstance(when, Refused):
            self.refusals.add(when.reason, concept.id, when.detail)
        else:
            self._add(patient, concept.id, when, 1.0)

    def _referred_medication(self, use: MedicationUse) -> fhir.CodeableConcept | None:
        name = use.medicationReference.reference if use.medicationReference else None
        if name is None:
            return None
        if not name.startswith("#"):
            return self._medications.get("/".join(_parts(name)[-2:]))
        contained = (fhir.decode_resource(raw, self.refusals) for raw in use.contained)
        found = (r.code for r in contained if isinstance(r, fhir.Medication) and r.id == name.removeprefix("#"))
        return next(found, None)


def patient_id(reference: str) -> str | None:
    """The id in a reference to a Patient, relative or absolute, with or without a version; None for other types."""
    parts = _parts(reference)
    return parts[-1] if len(parts) >= 2 and parts[-2] == "Patient" and parts[-1] else None  # noqa: PLR2004


def _parts(reference: str) -> list[str]:
    """The parts of a reference, relative or absolute, without its version."""
    return reference.split("/_history/", maxsplit=1)[0].split("/")


def _birth(patient: fhir.Patient) -> int | Refused:
    """The middle of the birth date's interval: an age is off by half a year at most where only a year is given."""
    if patient.birthDate is None:
        return Refused(Reason.VALUE_MISSING)
    try:
        span = times.parse(patient.birthDate)
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    is_day = span.last - span.first < MICROSECONDS_PER_DAY
    return span.first if is_day else (span.first + span.last + 1) // 2


def _known_word(word: str | None, words: Mapping[str, bool]) -> str:
    """A status as it may be shown in a report: what is not FHIR's could hold anything."""
    return word if word is not None and word in words else "no FHIR status"


def _at_latest(start: str | None, recorded: str | None = None) -> When | Refused:
    """When something began, at the latest that its dates allow, and when it was recorded, if that is later.

    A date without a time of day counts from its end: never before it was true. Only where it was recorded within
    that time ("since 2026", noted in March) had it begun by then.
    """
    try:
        begun = None if start is None else times.parse(start)
        noted = None if recorded is None else times.parse(recorded).last
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    if begun is None:
        return Refused(Reason.TIME_MISSING) if noted is None else When(noted, noted)
    if noted is None:
        return When(begun.last, begun.last)
    time = min(begun.last, noted) if begun.first <= noted else begun.last
    return When(time, max(time, noted))
