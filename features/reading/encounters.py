"""Encounters: stays, their level in the house, and where they were spent."""

from collections.abc import Iterator
from typing import NamedTuple

from features import times
from features.reading import fhir, statuses
from features.reading.decode import decode_part
from features.reading.interpreter import Refused
from features.reading.versions import FhirVersion
from features.refusals import Reason
from features.vocabulary.code import CONTACT_LEVEL, identify

LEVELS = {
    "einrichtungskontakt": "facility",
    "abteilungskontakt": "department",
    "versorgungsstellenkontakt": "ward",
}
"""The levels of the German core data set (KDS, module Fall): a stay in the house, in a department, on a ward."""


class Encountered(NamedTuple):
    """A stay; times in UTC microseconds, `end` None while it goes on or where it is not told."""

    encounter_class: str | None
    level: str
    start: int
    end: int | None
    is_open: bool


class Spent(NamedTuple):
    """Part of a stay in one place: the reference to its Location, from when to when."""

    location: str
    start: int
    end: int | None


def encountered(resource: fhir.Encounter, version: FhirVersion) -> Encountered | Refused:
    """The stay that an Encounter tells.

    A start that is a date counts from the beginning of that day, so that what happened on it lies in the stay; an
    end that is one, from the end of the day.
    """
    period, other = resource.period, resource.actualPeriod
    if version == "R5":
        period, other = other, period
    if period is None and other is not None:
        told = "R4" if version == "R5" else "R5"
        return Refused(Reason.FHIR_VERSION, f"Encounter is written in {told}, the source says {version}")
    if not statuses.ENCOUNTER.get(resource.status or "", False):
        return Refused(Reason.STATUS, "Encounter")
    span = _span(period or fhir.Period())
    if isinstance(span, Refused):
        return span
    start, end = span
    return Encountered(encounter_class(resource), level(resource), start, end, resource.status in statuses.OPEN)


def encounter_class(resource: fhir.Encounter) -> str | None:
    """The class (v3 ActCode, such as IMP), under its own code whatever the version."""
    return next((coding.code for coding in _class_codings(resource) if coding.code), None)


def level(resource: fhir.Encounter) -> str:
    """Whether the stay is one in the house, in a department or on a ward.

    The German core data set says it; elsewhere what is part of another encounter is not the stay in the house.
    """
    for coding in (coding for kind in resource.type for coding in kind.coding):
        system, code = identify(coding.system or "", coding.code or "")
        if system == CONTACT_LEVEL and code in LEVELS:
            return LEVELS[code]
    return "facility" if resource.partOf is None else "department"


def codings(resource: fhir.Encounter) -> fhir.CodeableConcept:
    """All that tells what kind of stay it is: its class, its types and the service that has the patient."""
    types = tuple(coding for kind in resource.type for coding in kind.coding)
    return fhir.CodeableConcept(coding=(*_class_codings(resource), *types, *_service(resource)))


def places(resource: fhir.Encounter) -> Iterator[Spent | Refused]:
    """Where the stay was spent; a place without a period is none of its history."""
    for one in resource.location:
        reference = one.location.reference
        if (
            reference is None
            or one.period is None
            or not statuses.ENCOUNTER_LOCATION.get(one.status or "active", False)
        ):
            continue
        span = _span(one.period)
        yield span if isinstance(span, Refused) else Spent(reference, *span)


def _class_codings(resource: fhir.Encounter) -> tuple[fhir.Coding, ...]:
    match resource.class_:
        case None:
            return ()
        case fhir.Coding() as coding:
            return (coding,)
        case several:
            return tuple(coding for one in several for coding in one.coding)


def _service(resource: fhir.Encounter) -> tuple[fhir.Coding, ...]:
    """serviceType: one CodeableConcept in R4, in R5 a list of CodeableReferences."""
    if resource.serviceType is fhir.NOTHING:
        return ()
    if bytes(resource.serviceType).lstrip().startswith(b"["):
        several = decode_part(resource.serviceType, tuple[fhir.CodeableReference, ...]) or ()
        found = [decode_part(one.concept, fhir.CodeableConcept) for one in several]
        return tuple(coding for one in found if one is not None for coding in one.coding)
    single = decode_part(resource.serviceType, fhir.CodeableConcept)
    return () if single is None else single.coding


def _span(period: fhir.Period) -> tuple[int, int | None] | Refused:
    if period.start is None:
        return Refused(Reason.TIME_MISSING, "Encounter")
    try:
        start = times.parse(period.start).first
        end = None if period.end is None else times.parse(period.end).last
    except ValueError:
        return Refused(Reason.TIME_INVALID, "Encounter")
    if end is not None and end < start:
        return Refused(Reason.TIME_INVALID, "Encounter that ends before it starts")
    return start, end
