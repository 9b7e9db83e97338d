"""Draft orders as an order hook sends them: what a clinician is about to order. They hold from the call on.

What became of drafts stands in a record as signed orders: `features.reading.signed` says when those were drafts.

Source: CDS Hooks, hook library, order-select and order-sign (`draftOrders`, `selections`).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from features.reading import clinical, fhir
from features.reading.collector import Collector
from features.reading.decode import decode_part, decode_resource, decode_searchset
from features.reading.interpreter import Interpreter, Meanings, Refused
from features.reading.references import patient_id, type_and_id
from features.reading.statements import When
from features.reading.timing import LATEST
from features.reading.versions import FhirVersion
from features.refusals import Reason
from features.vocabulary.concept import Kind

DRAFT = frozenset({"draft", None})
"""Statuses of what is about to be ordered; some clients leave it out where everything is a draft."""
KINDS: Mapping[type[fhir.Resource], tuple[Kind, ...]] = {
    fhir.MedicationRequest: ("medication",),
    fhir.ServiceRequest: ("procedure", "observation", "order"),
}


class DraftOrder(NamedTuple):
    """One entry of a hook's drafts.

    Attributes:
        reference: `Type/id`, as `selections` name it; None where it has no id or could not be read.
        concepts: ids of the draft concepts that it is of; none where its code is of no interest here.
        display: what the client calls the coding that was understood: text of the record.
        refused: why nothing can be said of it; None also where it was understood and is of no concept.
        resource_type: FHIR's; None where it could not be read.
    """

    reference: str | None
    concepts: tuple[str, ...] = ()
    display: str | None = None
    refused: Reason | None = None
    resource_type: str | None = None


class DraftReader:
    """Reads the drafts of one hook call into a collector.

    Args:
        interpreter: of a vocabulary with concepts of drafts.
        collector: what is read ends there, refusals too.
        patient: whom the call is about, if it is about one: an unfinished order may not say it yet.
        version: of FHIR.
    """

    def __init__(
        self, interpreter: Interpreter, collector: Collector, *, patient: str | None, version: FhirVersion
    ) -> None:
        self._interpreter = interpreter
        self._collector = collector
        self._patient = patient
        self._version: FhirVersion = version

    def read(self, raw: bytes | msgspec.Raw, *, at: int) -> tuple[DraftOrder, ...]:
        """Read a Bundle of drafts: each holds from `at`, UTC microseconds, whatever time was written down in it."""
        refusals = self._collector.refusals
        before = refusals.total(Reason.MALFORMED)
        resources = decode_searchset(raw, refusals)
        unreadable = refusals.total(Reason.MALFORMED) - before
        self._collector.said.resources += len(resources)
        drugs = {
            f"Medication/{one.id}": clinical.drug_code(one) for one in resources if isinstance(one, fhir.Medication)
        }
        found = [draft for one in resources for draft in self._read_one(one, drugs, at)]
        return (*found, *[DraftOrder(None, refused=Reason.MALFORMED)] * unreadable)

    def _read_one(self, resource: fhir.Resource, drugs: Mapping[str, msgspec.Raw], at: int) -> Iterator[DraftOrder]:
        refusals, name = self._collector.refusals, type(resource).__name__
        match resource:
            case fhir.MedicationRequest() | fhir.ServiceRequest():
                reference = None if resource.id is None else f"{name}/{resource.id}"
                found = self._read_order(resource, drugs, at)
                if isinstance(found, Refused):
                    refusals.add(found.reason, None, found.detail)
                    yield DraftOrder(reference, refused=found.reason, resource_type=name)
                else:
                    yield found._replace(reference=reference, resource_type=name)
            case fhir.Medication():  # what an order of the same Bundle refers to
                return
            case _:
                refusals.add(Reason.RESOURCE_NOT_READ, detail=name)

    def _read_order(
        self, order: fhir.MedicationRequest | fhir.ServiceRequest, drugs: Mapping[str, msgspec.Raw], at: int
    ) -> DraftOrder | Refused:
        if order.modifierExtension:
            return Refused(Reason.MODIFIER_EXTENSION, type(order).__name__)
        patient = self._subject(order)
        if isinstance(patient, Refused):
            return patient
        if order.status not in DRAFT or order.doNotPerform:
            return Refused(Reason.STATUS, type(order).__name__)
        code = self._code(order, drugs)
        if isinstance(code, Refused):
            return code
        return self._say(order, patient, code, at)

    def _say(
        self, order: fhir.MedicationRequest | fhir.ServiceRequest, patient: int, code: fhir.CodeableConcept, at: int
    ) -> DraftOrder:
        kinds = KINDS[type(order)]
        meanings = tuple(meaning for kind in kinds for meaning in self._interpreter.of(code, kind, drafts=True))
        if not meanings:
            self._collector.refusals.add(Reason.CODE_NOT_MAPPED)
            return DraftOrder(None)
        # Without its id: an order under revision is in the record too, and neither replaces the other.
        instance = self._collector.enlist(msgspec.structs.replace(order, id=None, identifier=()), patient)
        self._collector.say(instance, meanings, clinical.Held(When(at, at), LATEST))
        return DraftOrder(None, tuple(one.concept.id for one in meanings), _display(code, meanings))

    def _subject(self, order: fhir.MedicationRequest | fhir.ServiceRequest) -> int | Refused:
        """The patient's number. A draft may lack what is not filled in yet; what it says must be right."""
        if order.subject == fhir.NOTHING and self._patient is not None:
            return self._collector.patient(self._patient)
        reference = decode_part(order.subject, fhir.Reference)
        name = None if reference is None or reference.reference is None else patient_id(reference.reference)
        if name is None:
            return Refused(Reason.SUBJECT_MISSING)
        number = self._collector.patient(name)
        return Refused(Reason.OTHER_PATIENT) if number < 0 else number

    def _code(
        self, order: fhir.MedicationRequest | fhir.ServiceRequest, drugs: Mapping[str, msgspec.Raw]
    ) -> fhir.CodeableConcept | Refused:
        raw = self._raw_code(order, drugs)
        if isinstance(raw, Refused):
            return raw
        code = decode_part(raw, fhir.CodeableConcept)
        if code is None:
            return Refused(Reason.MALFORMED, f"{type(order).__name__}.code")
        # A name alone is no code: what is ordered is not known, which is not the same as an order of something else.
        return code if code.coding else Refused(Reason.REFERENCE_UNRESOLVED, type(order).__name__)

    def _raw_code(
        self, order: fhir.MedicationRequest | fhir.ServiceRequest, drugs: Mapping[str, msgspec.Raw]
    ) -> msgspec.Raw | Refused:
        if isinstance(order, fhir.ServiceRequest):
            return clinical.order_code(order, self._version)
        drug = clinical.medication_of(order, self._version)
        if not isinstance(drug, str):
            return drug
        found = self._contained(order, drug) if drug.startswith("#") else drugs.get(type_and_id(drug))
        return clinical.NO_DRUG if found is None else found

    def _contained(self, order: fhir.MedicationRequest, reference: str) -> msgspec.Raw | None:
        for raw in order.contained:
            resource = decode_resource(raw, self._collector.refusals)
            if isinstance(resource, fhir.Medication) and (resource.id or "").lstrip("#") == reference.lstrip("#"):
                return clinical.drug_code(resource)
        return None


def _display(code: fhir.CodeableConcept, meanings: Meanings) -> str | None:
    """The display of the first coding that one of the concepts covers."""
    for coding in code.coding:
        if coding.display and any(one.concept.matches(coding.system or "", coding.code or "") for one in meanings):
            return coding.display
    return None
