"""Conditions, procedures, drugs and orders: whether what they say holds, from when and until when."""

from typing import NamedTuple

import msgspec

from features.reading import fhir, statuses
from features.reading.decode import decode_part
from features.reading.interpreter import Refused
from features.reading.statements import When
from features.reading.timing import at_latest, end_of
from features.reading.versions import FhirVersion
from features.refusals import Reason

NO_DRUG = Refused(Reason.REFERENCE_UNRESOLVED, "Medication")
GERMAN_CERTAINTY = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
STATE_AFTER = "Z"


class Held(NamedTuple):
    """What a resource says of each concept that it names: from when, known when, until when; UTC microseconds."""

    when: When
    until: int


def condition(resource: fhir.Condition) -> Held | Refused:
    """A diagnosis: from its onset, known when it was recorded, until it abated.

    One that is no longer active, though nobody noted since when, counts as a point: it is in the history, but holds
    at no later time.
    """
    certainty = _german_certainty(resource.code)
    if not statuses.GERMAN_CERTAINTY.get(certainty or "", True):
        return Refused(Reason.STATUS, f"Diagnosesicherheit {certainty}")
    for coding in (resource.verificationStatus or fhir.CodeableConcept()).coding:
        if not statuses.CONDITION_VERIFICATION.get(coding.code or "", True):
            return Refused(Reason.STATUS, coding.code)
    onset = resource.onsetDateTime or _start(resource.onsetPeriod)
    abated = resource.abatementDateTime or _end(resource.abatementPeriod) or _start(resource.abatementPeriod)
    when = at_latest(onset, resource.recordedDate, ended=abated)
    clinical = (resource.clinicalStatus or fhir.CodeableConcept()).coding
    holds = all(statuses.CONDITION_ACTIVE.get(coding.code or "", True) for coding in clinical)
    holds = holds and certainty != STATE_AFTER and not _abated_untimed(resource)
    return _held(when, abated, open_end=holds)


def _german_certainty(code: msgspec.Raw) -> str | None:
    """The mark of certainty on an ICD-10-GM code, in capitals; an exclusion where several marks disagree."""
    if b"diagnosesicherheit" not in bytes(code):  # as nearly always; the whole URL may be written with `\/`
        return None
    found = decode_part(code, fhir.ExtendedConcept) or fhir.ExtendedConcept()
    marks = {
        (one.valueCoding.code or "").strip().upper()
        for coding in found.coding
        for one in coding.extension
        if one.url == GERMAN_CERTAINTY and one.valueCoding is not None
    }
    return next((mark for mark in ("A", "V", "G", STATE_AFTER) if mark in marks), None)


def _abated_untimed(resource: fhir.Condition) -> bool:
    """Whether it abated at a time that is no date: at an age, or as a text says."""
    return any(told is not None for told in (resource.abatementAge, resource.abatementRange, resource.abatementString))


def procedure(resource: fhir.Procedure, version: FhirVersion) -> Held | Refused:
    """Something done: while it was performed."""
    if version == "R5":
        moment, period, other = resource.occurrenceDateTime, resource.occurrencePeriod, resource.performedDateTime
        stray = other or resource.performedPeriod
    else:
        moment, period, other = resource.performedDateTime, resource.performedPeriod, resource.occurrenceDateTime
        stray = other or resource.occurrencePeriod
    if moment is None and period is None and stray is not None:
        return _other_version("Procedure", version)
    if not statuses.PROCEDURE.get(resource.status or "", False):
        return _status(resource)
    when = at_latest(moment or _start(period), ended=_end(period))
    return _held(when, _end(period), open_end=resource.status in statuses.OPEN)


def service_request(resource: fhir.ServiceRequest) -> Held | Refused:
    """An examination or procedure ordered: from the order on."""
    allowed = statuses.SERVICE_REQUEST.get(resource.status or "", False)
    if not allowed or resource.doNotPerform or not _ordered(resource.intent):
        return _status(resource)
    return _held(at_latest(resource.authoredOn), None, open_end=resource.status in statuses.OPEN)


def medication_request(resource: fhir.MedicationRequest) -> Held | Refused:
    """A drug ordered: from the order on, until its validity or its doses end; for good while it is active."""
    allowed = statuses.MEDICATION_REQUEST.get(resource.status or "", False)
    if not allowed or resource.doNotPerform or not _ordered(resource.intent):
        return _status(resource)
    ends = [_end(dosage.timing.repeat.boundsPeriod) for dosage in resource.dosageInstruction]
    bounded = [end for end in ends if end is not None]
    end = _end(resource.dispenseRequest.validityPeriod)
    if end is None and bounded and len(bounded) == len(ends):  # one dosage without an end goes on
        end = max(bounded)
    return _held(at_latest(resource.authoredOn, ended=end), end, open_end=resource.status in statuses.OPEN)


def medication_administration(resource: fhir.MedicationAdministration, version: FhirVersion) -> Held | Refused:
    """A drug given: while it was given."""
    if version == "R5":
        moment, period = resource.occurenceDateTime, resource.occurencePeriod
        stray = resource.effectiveDateTime or resource.effectivePeriod
    else:
        moment, period = resource.effectiveDateTime, resource.effectivePeriod
        stray = resource.occurenceDateTime or resource.occurencePeriod
    if moment is None and period is None and stray is not None:
        return _other_version("MedicationAdministration", version)
    if not statuses.MEDICATION_ADMINISTRATION.get(resource.status or "", False):
        return _status(resource)
    when = at_latest(moment or _start(period), ended=_end(period))
    return _held(when, _end(period), open_end=resource.status in statuses.OPEN)


def medication_statement(resource: fhir.MedicationStatement) -> Held | Refused:
    """A drug that is said to be taken: for the time told, known when it was told."""
    if not statuses.MEDICATION_STATEMENT.get(resource.status or "", False):
        return _status(resource)
    adherence = resource.adherence.code.coding if resource.adherence else ()
    if any((coding.code or "").startswith("not-taking") for coding in adherence):  # R5 medication-statement-adherence
        return Refused(Reason.STATUS, "not-taking")
    period = resource.effectivePeriod
    when = at_latest(resource.effectiveDateTime or _start(period), resource.dateAsserted, ended=_end(period))
    return _held(when, _end(period), open_end=period is not None and resource.status in statuses.OPEN)


def medication_of(resource: fhir.MedicationUse, version: FhirVersion) -> msgspec.Raw | str | Refused:
    """The drug's CodeableConcept, undecoded, or the reference to it."""
    name = type(resource).__name__
    if version == "R5":
        if resource.medication is None:
            has_old = resource.medicationReference is not None or resource.medicationCodeableConcept is not fhir.NOTHING
            return _other_version(name, version) if has_old else NO_DRUG
        if resource.medication.concept is not fhir.NOTHING:
            return resource.medication.concept
        return resource.medication.reference.reference or NO_DRUG
    if resource.medicationCodeableConcept is not fhir.NOTHING:
        return resource.medicationCodeableConcept
    if resource.medicationReference is None and resource.medication is not None:
        return _other_version(name, version)
    reference = resource.medicationReference.reference if resource.medicationReference else None
    return reference or NO_DRUG


def order_code(resource: fhir.ServiceRequest, version: FhirVersion) -> msgspec.Raw | Refused:
    """The CodeableConcept of what is ordered, undecoded; R5 nests it once more."""
    nested = decode_part(resource.code, fhir.CodeableReference)
    is_nested = nested is not None and nested != fhir.CodeableReference()
    if version != "R5":
        return _other_version("ServiceRequest", version) if is_nested else resource.code
    if nested is not None and is_nested:
        return nested.concept
    return fhir.NOTHING if resource.code == fhir.NOTHING else _other_version("ServiceRequest", version)


def drug_code(medication: fhir.Medication) -> msgspec.Raw:
    """What a Medication is, as a CodeableConcept: its own code, and the codes of what it is made of.

    A compound (KDS, module Medikation) is often coded by its ingredients alone.
    """
    parts = [one.itemCodeableConcept for one in medication.ingredient if one.itemCodeableConcept is not None]
    own = decode_part(medication.code, fhir.CodeableConcept)
    if not parts or own is None:
        return medication.code
    whole = fhir.CodeableConcept(coding=(*own.coding, *(coding for part in parts for coding in part.coding)))
    return msgspec.Raw(msgspec.json.encode(whole))


def _held(when: When | Refused, end: str | None, *, open_end: bool) -> Held | Refused:
    if isinstance(when, Refused):
        return when
    until = end_of(when, end, open_end=open_end)
    return until if isinstance(until, Refused) else Held(when, until)


def _ordered(intent: str | None) -> bool:
    """An order without an intent, which FHIR demands, is taken for one."""
    return intent is None or statuses.ORDER_INTENT.get(intent, False)


def _status(resource: msgspec.Struct) -> Refused:
    return Refused(Reason.STATUS, type(resource).__name__)


def _other_version(name: str, version: FhirVersion) -> Refused:
    other = "R4" if version == "R5" else "R5"
    return Refused(Reason.FHIR_VERSION, f"{name} is written in {other}, the source says {version}")


def _start(period: fhir.Period | None) -> str | None:
    return period.start if period else None


def _end(period: fhir.Period | None) -> str | None:
    return period.end if period else None
