"""The FHIR reader: resources of one patient or of many become events, and every refusal is counted."""

from collections.abc import Iterable
from itertools import compress, repeat
from operator import is_not

import msgspec

from features import times
from features.reading import clinical, encounters, fhir, statuses
from features.reading.collector import Collector
from features.reading.decode import decode_lines, decode_resource, decode_searchset
from features.reading.drafts import DraftOrder, DraftReader
from features.reading.interpreter import Interpreter, Meanings, Refused
from features.reading.observations import ObservationReader, codings
from features.reading.observer import Observer
from features.reading.references import patient_id, type_and_id
from features.reading.scan.plain import PlainReader, Understood, has_versions
from features.reading.scan.searchset import Page, Searchset, scan, text_of
from features.reading.settle import Record, settle
from features.reading.statements import Referral, ReportTime, Row, Statements, Stay, Stayed, When
from features.reading.timing import LATEST, report_times
from features.reading.versions import FhirVersion
from features.refusals import Reason, Refusals
from features.vocabulary.concept import Kind

__all__ = ["BEFORE_ANY_BIRTH", "Reader", "Record", "Stay", "patient_id"]

SEX_VALUES = {"female": 0.0, "male": 1.0}  # FHIR's other and unknown: refused, so the feature is missing
BEFORE_ANY_BIRTH = times.parse("1800").first  # when sex is known though the birth date is not
NO_BIRTH = times.parse("9999").first
"""Systems that demand a birth date fill in 0001-01-01 or 9999-12-31 where none is known."""
MICROSECONDS_PER_DAY = 86_400_000_000

KINDS: dict[type[fhir.Resource], Kind] = {
    fhir.Condition: "condition",
    fhir.Procedure: "procedure",
    fhir.ServiceRequest: "order",
}


class Reader:
    """Collects resources and makes a Record of them.

    Args:
        interpreter: of the vocabulary of the concepts to read; codes of none of them are counted as not mapped.
        patient: the only patient whose resources may be used; None: resources of any patient.
        version: of FHIR, as the source says it.
        observer: is told what is seen and what becomes of it, if there is one.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        patient: str | None = None,
        version: FhirVersion = "R4",
        observer: Observer | None = None,
    ) -> None:
        self._interpreter = interpreter
        self._only = patient
        self._version: FhirVersion = version
        self._observer = observer
        self._start()

    @property
    def refusals(self) -> Refusals:
        """What was not used since the last take."""
        self._resume()
        return self._collector.refusals

    def _resume(self) -> None:
        """Begin anew after a take; not before something is read, for most readers are done then."""
        if self._is_taken:
            self._start()

    def _start(self) -> None:
        self._is_taken = False
        self._collector = Collector(self._interpreter, Refusals(), only=self._only)
        self._observations = ObservationReader(self._interpreter, self._collector, observer=self._observer)

    def read_searchset(self, raw: Page) -> None:
        """Read a FHIR Bundle, or a single resource, from its JSON."""
        self.read_searchsets((raw,))

    def read_searchsets(self, raws: Iterable[Page]) -> None:
        """Read several of them, faster than one by one."""
        pages = [_page(raw) for raw in raws]
        is_told = self._observer is not None  # of each Observation: columns will not do
        if not is_told and any(isinstance(page, Searchset) for page in pages) and self._read_scanned(pages):
            return
        texts = map(text_of, pages)
        self.read([resource for text in texts for resource in decode_searchset(text, self.refusals)])

    def _read_scanned(self, pages: Iterable[Page]) -> bool:
        """Read searchsets whose plain Observations are columns already.

        False, and nothing read, if another resource may be a version of one of them: of two that are alike the one
        that was read later holds, so they must be read in their order.
        """
        self._resume()
        refusals, understood = Refusals(), list[Understood]()
        others, left = list[fhir.Resource](), list[fhir.Resource]()
        plain = PlainReader(self._interpreter, self._collector, self._observations)
        for page in pages:
            if not isinstance(page, Searchset):
                others += decode_searchset(page, refusals)
                continue
            understood.append(plain.understand(page))
            others += filter(None, [decode_resource(one, refusals) for one in page.others])
            left += filter(None, [decode_resource(one, refusals) for one in page.resources(understood[-1].left)])
        if has_versions(others, left, understood):
            return False
        self._collector.refusals.update(refusals)
        for one in understood:
            plain.read(one)
        if others or left:
            self.read([*others, *left])
        return True

    def read_lines(self, block: bytes) -> bool:
        """Read whole NDJSON lines; False, and nothing read, if one of them cannot be decoded."""
        resources = decode_lines(block)
        if resources is None:
            return False
        self.read(resources)
        return True

    def read(self, resources: Iterable[fhir.Resource]) -> None:
        """Read resources; many at once are read faster than one by one."""
        resources = list(resources)
        self._resume()
        self._collector.said.resources += len(resources)
        modified = [resource for resource in resources if resource.modifierExtension]
        if modified:
            self._refuse_modified(modified)
            resources = [resource for resource in resources if not resource.modifierExtension]
        observations = [resource for resource in resources if isinstance(resource, fhir.Observation)]
        if observations:
            self._observations.read(observations)
        if len(observations) < len(resources):
            # One of the two searches at C's speed, which is most of what telling sixty of them apart takes.
            for resource in compress(resources, map(is_not, map(type, resources), repeat(fhir.Observation))):
                self._read_one(resource)

    def read_drafts(self, raw: bytes | msgspec.Raw, *, at: int) -> tuple[DraftOrder, ...]:
        """Read the draft orders of an order hook: what is about to be ordered, at the time of the call.

        Args:
            raw: the Bundle `draftOrders`.
            at: UTC microseconds.

        Returns:
            What each entry orders, or why it is not known; entries of other types than orders are counted alone.
        """
        self._resume()
        drafts = DraftReader(self._interpreter, self._collector, patient=self._only, version=self._version)
        return drafts.read(raw, at=at)

    def take(self) -> Statements:
        """What was read since the last take, to be settled elsewhere, perhaps together with other parts."""
        self._resume()
        self._is_taken = True
        return self._collector.finish()

    def record(self) -> Record:
        """Everything read since the last take, settled."""
        return settle(self.take())

    def _refuse_modified(self, resources: Iterable[fhir.Resource]) -> None:
        """Count those with a modifier extension: FHIR R4, Extensibility, 2.4.1.1, forbids to read past one."""
        for resource in resources:
            self.refusals.add(Reason.MODIFIER_EXTENSION, detail=type(resource).__name__)

    def _read_one(self, resource: fhir.Resource) -> None:
        match resource:
            case fhir.Condition() | fhir.Procedure() | fhir.ServiceRequest():
                self._read_held(resource)
            case fhir.MedicationRequest() | fhir.MedicationAdministration() | fhir.MedicationStatement():
                self._read_use(resource)
            case fhir.Patient():
                self._read_patient(resource)
            case fhir.Encounter():
                self._read_encounter(resource)
            case fhir.DiagnosticReport():
                self._read_report(resource)
            case fhir.Medication() | fhir.Location() | fhir.Specimen():
                self._note(resource)
            case _:
                self.refusals.add(Reason.RESOURCE_NOT_READ, detail=type(resource).__name__)

    # Conditions, procedures, orders

    def _read_held(self, resource: fhir.Condition | fhir.Procedure | fhir.ServiceRequest) -> None:
        patient = self._collector.subject(resource.subject)
        if patient < 0:
            return
        name, code, kind = type(resource).__name__, resource.code, KINDS[type(resource)]
        if isinstance(resource, fhir.ServiceRequest):
            ordered = clinical.order_code(resource, self._version)
            if isinstance(ordered, Refused):
                self.refusals.add(ordered.reason, None, ordered.detail)
                return
            code = ordered
        meanings = self._meanings(bytes(code), kind, name, patient)
        if not meanings:
            return
        match resource:
            case fhir.Condition():
                held, status = clinical.condition(resource), None
            case fhir.Procedure():
                held, status = clinical.procedure(resource, self._version), resource.status
            case fhir.ServiceRequest():
                held, status = clinical.service_request(resource), resource.status
        self._collector.say(self._collector.enlist(resource, patient, status), meanings, held)

    def _meanings(self, wording: bytes, kind: Kind, name: str, patient: int) -> Meanings:
        """The concepts that a code names; none is counted."""
        found = self._interpreter.meanings(wording, kind)
        if self._observer is not None:
            self._observer.coded(kind, wording, patient, found or ())
        if found is None:
            self.refusals.add(Reason.MALFORMED, detail=f"{name}.code")
        elif not found:
            self.refusals.add(Reason.CODE_NOT_MAPPED)
        return found or ()

    # Drugs

    def _read_use(self, use: fhir.MedicationUse) -> None:
        patient = self._collector.subject(use.subject)
        if patient < 0:
            return
        drug = clinical.medication_of(use, self._version)
        name = type(use).__name__
        if isinstance(drug, Refused):
            self.refusals.add(drug.reason, None, drug.detail)
        elif isinstance(drug, str) and not drug.startswith("#"):
            held, instance = self._held(use), self._collector.enlist(use, patient, use.status)
            said = held if isinstance(held, Refused) else (*held.when, held.until)
            self._collector.said.medications.append(Referral(instance, type_and_id(drug), said))
        else:
            code = self._contained_drug(use, drug) if isinstance(drug, str) else drug
            if code is None:
                self.refusals.add(Reason.REFERENCE_UNRESOLVED, detail="Medication")
                return
            meanings = self._meanings(bytes(code), "medication", name, patient)
            if meanings:
                self._collector.say(self._collector.enlist(use, patient, use.status), meanings, self._held(use))

    def _held(self, use: fhir.MedicationUse) -> clinical.Held | Refused:
        match use:
            case fhir.MedicationRequest():
                return clinical.medication_request(use)
            case fhir.MedicationAdministration():
                return clinical.medication_administration(use, self._version)
            case fhir.MedicationStatement():
                return clinical.medication_statement(use)

    def _contained_drug(self, use: fhir.MedicationUse, reference: str) -> msgspec.Raw | None:
        for raw in use.contained:
            resource = decode_resource(raw, self.refusals)
            if isinstance(resource, fhir.Medication) and _bare(resource.id) == _bare(reference):
                return clinical.drug_code(resource)
        return None

    # Patients, stays, reports, and what others refer to

    def _read_patient(self, patient: fhir.Patient) -> None:
        if patient.id is None:
            self.refusals.add(Reason.SUBJECT_MISSING, detail="Patient without id")
            return
        number = self._collector.patient(patient.id)
        self._collector.count_unusable(number)
        vocabulary = self._interpreter.vocabulary
        if number < 0 or not ("age" in vocabulary or "sex" in vocabulary):
            return
        instance = self._collector.enlist(patient, number)
        birth = _birth(patient)
        if "age" in vocabulary:
            self._say_of_patient(instance, "age", birth, 0.0)
        if "sex" in vocabulary:
            value = SEX_VALUES.get(patient.gender or "")
            since = BEFORE_ANY_BIRTH if isinstance(birth, Refused) else birth
            said = Refused(Reason.VALUE_MISSING) if value is None else since
            self._say_of_patient(instance, "sex", said, value or 0.0)

    def _say_of_patient(self, instance: int, concept: str, since: int | Refused, value: float) -> None:
        index = self._interpreter.position(concept)
        if isinstance(since, Refused):
            self.refusals.add(since.reason, concept)
            self._collector.row(Row(instance, index, 0, 0, 0, 0.0, counts=False))
        else:
            self._collector.row(Row(instance, index, since, since, since, value, counts=True))

    def _read_encounter(self, resource: fhir.Encounter) -> None:
        patient = self._collector.subject(resource.subject)
        if patient < 0:
            return
        found = encounters.encountered(resource, self._version)
        instance = self._collector.enlist(resource, patient, resource.status)
        codes = encounters.codings(resource)
        meanings = self._interpreter.of(codes, "encounter")
        if self._observer is not None:
            self._observer.coded("encounter", codes, patient, meanings)
        if isinstance(found, Refused):
            self.refusals.add(found.reason, None, found.detail)
            for meaning in meanings:
                self._collector.row(Row(instance, meaning.position, 0, 0, 0, 0.0, counts=False))
            return
        stay = Stay(
            patient=self._collector.said.patients[patient],
            encounter_class=found.encounter_class,
            start=found.start,
            end=found.end,
            level=found.level,
        )
        self._collector.said.stays.append(Stayed(instance, stay))
        until = found.end if found.end is not None else (LATEST if found.is_open else found.start)
        held = clinical.Held(When(found.start, found.start), until)
        self._collector.say(instance, tuple(m for m in meanings if m.concept.level in {None, found.level}), held)
        self._read_places(resource, instance, until)

    def _read_places(self, resource: fhir.Encounter, instance: int, until: int) -> None:
        for place in encounters.places(resource):
            if isinstance(place, Refused):
                self.refusals.add(place.reason, None, place.detail)
                continue
            end = until if place.end is None else place.end
            said = (place.start, place.start, max(end, place.start))
            self._collector.said.locations.append(Referral(instance, type_and_id(place.location), said))

    def _read_report(self, report: fhir.DiagnosticReport) -> None:
        patient = self._collector.subject(report.subject)
        if patient < 0:
            return
        if not statuses.DIAGNOSTIC_REPORT.get(report.status or "", False):
            self.refusals.add(Reason.STATUS, detail="DiagnosticReport")
            return
        time, known = report_times(report)
        for reference in (result.reference for result in report.result):
            if reference is not None and reference.startswith("#"):  # a contained result is not read: it has no id
                self.refusals.add(Reason.REFERENCE_UNRESOLVED, detail="Observation")
            elif reference is not None and not (time is None and known is None):
                self._collector.said.reports.append(ReportTime(patient, type_and_id(reference), time, known))

    def _note(self, resource: fhir.Medication | fhir.Location | fhir.Specimen) -> None:
        """Remember what others may refer to."""
        name = type(resource).__name__
        if resource.id is None:
            self.refusals.add(Reason.REFERENCE_UNRESOLVED, detail=f"{name} without id")
            return
        reference = f"{name}/{resource.id}"
        match resource:
            case fhir.Specimen():
                self._collector.said.specimens[reference] = codings(resource.type)
            case fhir.Location():
                several = fhir.CodeableConcept(coding=tuple(c for kind in resource.type for c in kind.coding))
                self._collector.said.directory[reference] = _named(self._interpreter.of(several, "encounter"))
            case _:
                code = clinical.drug_code(resource)
                found = self._interpreter.meanings(bytes(code), "medication")
                if found is None:
                    self.refusals.add(Reason.MALFORMED, detail="Medication.code")
                self._collector.said.directory[reference] = _named(found or ())
                if self._observer is not None:
                    self._observer.named(reference, bytes(code))


def _bare(reference: str | None) -> str:
    """A contained resource's id; some write it with the sign that only references have."""
    return (reference or "").removeprefix("#")


def _named(meanings: Meanings) -> tuple[tuple[int, int], ...]:
    return tuple((meaning.position, meaning.ordinal) for meaning in meanings)


def _birth(patient: fhir.Patient) -> int | Refused:
    """The middle of the birth date's interval: an age is off by half a year at most where only a year is given."""
    if patient.birthDate is None:
        return Refused(Reason.VALUE_MISSING)
    try:
        span = times.parse(patient.birthDate)
    except ValueError:
        return Refused(Reason.TIME_INVALID)
    if not BEFORE_ANY_BIRTH <= span.first < NO_BIRTH:
        return Refused(Reason.TIME_INVALID)
    is_day = span.last - span.first < MICROSECONDS_PER_DAY
    return span.first if is_day else (span.first + span.last + 1) // 2


def _page(raw: Page) -> Page:
    """As columns, where that is possible."""
    scanned = None if isinstance(raw, Searchset) else scan(raw)
    return raw if scanned is None else scanned
