"""FHIR R4 resources as typed structs: only the fields that Bedside reads; all others pass by undecoded.

Field names are FHIR's own, so that a struct reads like the specification's table. Strict about what is read
(a wrong type is an error), tolerant about what is not.
"""

from collections.abc import Iterator
from typing import TypeAlias, TypeVar

import msgspec

from features.refusals import Reason, Refusal, Refusals

Decoded = TypeVar("Decoded")

# FHIR's resource types are named by letters alone; anything else is not echoed into a report or a log.
LONGEST_TYPE_NAME = 64


class _Fields(msgspec.Struct, frozen=True, gc=False):
    """Settings shared by the parts of resources."""


class Coding(_Fields, frozen=True, gc=False):
    """A code of a code system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(_Fields, frozen=True, gc=False):
    """One meaning in several codings."""

    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Reference(_Fields, frozen=True, gc=False):
    """A reference to another resource."""

    reference: str | None = None


class Quantity(_Fields, frozen=True, gc=False):
    """A number with its unit as text and, better, as a code."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Period(_Fields, frozen=True, gc=False):
    """A time from start to end."""

    start: str | None = None
    end: str | None = None


class Component(_Fields, frozen=True, gc=False):
    """One of several results under one Observation, such as systolic pressure under blood pressure."""

    code: CodeableConcept = CodeableConcept()
    valueQuantity: Quantity | None = None  # noqa: N815
    valueInteger: int | None = None  # noqa: N815
    valueString: str | None = None  # noqa: N815
    valueCodeableConcept: CodeableConcept | None = None  # noqa: N815
    dataAbsentReason: CodeableConcept | None = None  # noqa: N815


class _Resource(msgspec.Struct, frozen=True, gc=False, tag_field="resourceType"):
    """Settings shared by resources: the tag is FHIR's resourceType."""

    id: str | None = None


class Patient(_Resource, frozen=True, gc=False, tag="Patient"):
    """Who."""

    gender: str | None = None
    birthDate: str | None = None  # noqa: N815


class Encounter(_Resource, frozen=True, gc=False, tag="Encounter"):
    """A stay."""

    status: str | None = None
    subject: Reference | None = None
    class_: Coding | None = msgspec.field(default=None, name="class")
    period: Period | None = None


class Observation(_Resource, frozen=True, gc=False, tag="Observation"):
    """A measurement."""

    status: str | None = None
    code: CodeableConcept = CodeableConcept()
    subject: Reference | None = None
    effectiveDateTime: str | None = None  # noqa: N815
    effectiveInstant: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815
    issued: str | None = None
    valueQuantity: Quantity | None = None  # noqa: N815
    valueInteger: int | None = None  # noqa: N815
    valueString: str | None = None  # noqa: N815
    valueCodeableConcept: CodeableConcept | None = None  # noqa: N815
    dataAbsentReason: CodeableConcept | None = None  # noqa: N815
    component: tuple[Component, ...] = ()


class Condition(_Resource, frozen=True, gc=False, tag="Condition"):
    """A diagnosis or problem."""

    verificationStatus: CodeableConcept | None = None  # noqa: N815
    code: CodeableConcept = CodeableConcept()
    subject: Reference | None = None
    onsetDateTime: str | None = None  # noqa: N815
    onsetPeriod: Period | None = None  # noqa: N815
    recordedDate: str | None = None  # noqa: N815


class Medication(_Resource, frozen=True, gc=False, tag="Medication"):
    """A drug, referred to by requests and administrations."""

    code: CodeableConcept = CodeableConcept()


class _MedicationUse(_Resource, frozen=True, gc=False):
    """What a request and an administration have in common."""

    status: str | None = None
    medicationCodeableConcept: CodeableConcept | None = None  # noqa: N815
    medicationReference: Reference | None = None  # noqa: N815
    subject: Reference | None = None
    contained: tuple[msgspec.Raw, ...] = ()


class MedicationRequest(_MedicationUse, frozen=True, gc=False, tag="MedicationRequest"):
    """A drug ordered."""

    authoredOn: str | None = None  # noqa: N815
    intent: str | None = None
    doNotPerform: bool = False  # noqa: N815


class MedicationAdministration(_MedicationUse, frozen=True, gc=False, tag="MedicationAdministration"):
    """A drug given."""

    effectiveDateTime: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815


class OperationOutcome(_Resource, frozen=True, gc=False, tag="OperationOutcome"):
    """A server's remark; in a searchset it is no match (FHIR R4, Bundle, search.mode outcome)."""


Resource: TypeAlias = (
    Patient
    | Encounter
    | Observation
    | Condition
    | Medication
    | MedicationRequest
    | MedicationAdministration
    | OperationOutcome
)


class _Entry(_Fields, frozen=True, gc=False):
    resource: Resource


class _Searchset(_Resource, frozen=True, gc=False, tag="Bundle"):
    entry: tuple[_Entry, ...] = ()


class _RawEntry(_Fields, frozen=True, gc=False):
    resource: msgspec.Raw  # never "Raw | None": msgspec then refuses every resource


class _RawSearchset(_Fields, frozen=True, gc=False):
    entry: tuple[msgspec.Raw, ...] = ()


class _Head(_Fields, frozen=True, gc=False):
    resourceType: str | None = None  # noqa: N815


_RESOURCE = msgspec.json.Decoder(Resource)
_RESOURCE_OR_SEARCHSET = msgspec.json.Decoder(Resource | _Searchset)
_RAW_SEARCHSET = msgspec.json.Decoder(_RawSearchset)
_RAW_ENTRY = msgspec.json.Decoder(_RawEntry)
_HEAD = msgspec.json.Decoder(_Head)
# Malformed JSON, a wrong type or a number out of range; text that is no UTF-8. What nests too deep to be decoded
# raises RecursionError, which is no remark on one resource but on the whole: it goes to the caller.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
KNOWN_TYPES = frozenset(
    struct.__struct_config__.tag
    for struct in (
        Patient,
        Encounter,
        Observation,
        Condition,
        Medication,
        MedicationRequest,
        MedicationAdministration,
        OperationOutcome,
    )
)


def decode_resource(raw: bytes | msgspec.Raw, refusals: Refusals) -> Resource | None:
    """Decode one resource; one of a type that is not read, or with a field of a wrong type, is counted instead.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    found = decode_or_refuse(raw)
    if isinstance(found, Refusal):
        refusals.add(*found)
        return None
    return found


def decode_or_refuse(raw: bytes | msgspec.Raw) -> Resource | Refusal:
    """Decode one resource, or say why not.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    try:
        resource: Resource = _RESOURCE.decode(raw)
    except _UNREADABLE as error:
        resource_type = resource_type_of(raw)
        if resource_type is None or resource_type in KNOWN_TYPES:
            return Refusal(Reason.MALFORMED, detail=_where(error, resource_type))
        return Refusal(Reason.RESOURCE_NOT_READ, detail=resource_type)
    return resource


def decode_searchset(raw: bytes | msgspec.Raw, refusals: Refusals) -> Iterator[Resource]:
    """Decode the entries of a FHIR Bundle, or a single resource.

    The fast way decodes all entries at once. Only if one of them is of another type or malformed are they
    decoded one by one, so that one bad entry costs itself and not its neighbours.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    try:
        found: Resource | _Searchset = _RESOURCE_OR_SEARCHSET.decode(raw)
    except _UNREADABLE:
        yield from _decode_one_by_one(raw, refusals)
        return
    if isinstance(found, _Searchset):
        yield from (entry.resource for entry in found.entry)
    else:
        yield found


def resource_type_of(raw: bytes | msgspec.Raw) -> str | None:
    """The resourceType of a JSON object if it reads like one, else None."""
    try:
        name = _HEAD.decode(raw).resourceType
    except _UNREADABLE:
        return None
    if name is None or not name.isascii() or not name.isalpha() or len(name) > LONGEST_TYPE_NAME:
        return None
    return name


def _decode_one_by_one(raw: bytes | msgspec.Raw, refusals: Refusals) -> Iterator[Resource]:
    is_bundle = resource_type_of(raw) == "Bundle"
    for resource in _raw_entries(raw, refusals) if is_bundle else (raw,):
        decoded = decode_resource(resource, refusals)
        if decoded is not None:
            yield decoded


def _raw_entries(raw: bytes | msgspec.Raw, refusals: Refusals) -> Iterator[msgspec.Raw]:
    try:
        entries = _RAW_SEARCHSET.decode(raw).entry
    except _UNREADABLE as error:
        refusals.add(Reason.MALFORMED, detail=_where(error, "Bundle"))
        return
    for entry in entries:
        try:
            yield _RAW_ENTRY.decode(entry).resource
        except _UNREADABLE:
            refusals.add(Reason.MALFORMED, detail="Bundle.entry")


def _where(error: Exception, resource_type: str | None) -> str:
    """The resource type and the path that msgspec names; never the text around it, which may hold a value."""
    if resource_type is None:
        return "JSON"
    _, found, path = str(error).rpartition(" - at `$")
    return f"{resource_type}{path.rstrip('`') if found else ''}"
