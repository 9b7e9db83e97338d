"""FHIR resources as typed structs: only the fields that Bedside reads; all others pass by undecoded.

Field names are FHIR's own, so that a struct reads like the specification's table. Strict about what is read
(a wrong type is an error), tolerant about what is not. Fields of R4, R4B and R5 stand side by side; which of them
count depends on the version that the source says it speaks (`features.reading.versions`).

What repeats itself word for word in thousands of resources, above all `code` and `subject`, stays undecoded here
(`msgspec.Raw`): the reader looks the bytes up and decodes each wording once.
"""

from typing import Annotated, TypeAlias, get_args

import msgspec

NOTHING = msgspec.Raw(b"{}")
"""What an absent field of type Raw holds."""


Integer = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""FHIR's integer has 32 bits (R4, datatypes, 2.24.0.1)."""


class _Fields(msgspec.Struct, frozen=True, gc=False):
    """Settings shared by the parts of resources."""


class Coding(_Fields, frozen=True, gc=False):
    """A code of a code system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodedExtension(_Fields, frozen=True, gc=False):
    """An extension whose value is a Coding; of any other, only its url."""

    url: str | None = None
    valueCoding: Coding | None = None  # noqa: N815


class ExtendedCoding(_Fields, frozen=True, gc=False):
    """A coding, for the extensions that it carries alone."""

    extension: tuple[CodedExtension, ...] = ()


class ExtendedConcept(_Fields, frozen=True, gc=False):
    """A CodeableConcept, for the extensions of its codings alone."""

    coding: tuple[ExtendedCoding, ...] = ()


class CodeableConcept(_Fields, frozen=True, gc=False):
    """One meaning in several codings."""

    coding: tuple[Coding, ...] = ()
    text: str | None = None


class Reference(_Fields, frozen=True, gc=False):
    """A reference to another resource."""

    reference: str | None = None


class CodeableReference(_Fields, frozen=True, gc=False):
    """R5: a meaning, or a reference to what has it."""

    concept: msgspec.Raw = NOTHING
    reference: Reference = Reference()


class Identifier(_Fields, frozen=True, gc=False):
    """A business identifier: what a laboratory calls its result."""

    system: str | None = None
    value: str | None = None


class Meta(_Fields, frozen=True, gc=False):
    """Which version of a resource this is."""

    lastUpdated: str | None = None  # noqa: N815
    versionId: str | None = None  # noqa: N815


class Quantity(_Fields, frozen=True, gc=False):
    """A number with its unit as text and, better, as a code."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Ratio(_Fields, frozen=True, gc=False):
    """Two quantities, the first per the second."""

    numerator: Quantity = Quantity()
    denominator: Quantity = Quantity()


class Period(_Fields, frozen=True, gc=False):
    """A time from start to end."""

    start: str | None = None
    end: str | None = None


class Range(_Fields, frozen=True, gc=False):
    """From low to high, either of which may be missing."""

    low: Quantity | None = None
    high: Quantity | None = None


class ReferenceRange(_Fields, frozen=True, gc=False):
    """What the laboratory itself holds to be usual."""

    low: Quantity | None = None
    high: Quantity | None = None


class Component(_Fields, frozen=True, gc=False):
    """One of several results under one Observation, such as systolic pressure under blood pressure."""

    code: msgspec.Raw = NOTHING
    valueQuantity: Quantity | None = None  # noqa: N815
    valueInteger: Integer | None = None  # noqa: N815
    valueBoolean: bool | None = None  # noqa: N815
    valueString: str | None = None  # noqa: N815
    valueRatio: Ratio | None = None  # noqa: N815
    valueRange: Range | None = None  # noqa: N815
    valueCodeableConcept: CodeableConcept | None = None  # noqa: N815
    dataAbsentReason: CodeableConcept | None = None  # noqa: N815
    interpretation: tuple[CodeableConcept, ...] = ()
    referenceRange: tuple[ReferenceRange, ...] = ()  # noqa: N815


class _Resource(msgspec.Struct, frozen=True, gc=False, tag_field="resourceType"):
    """Settings shared by resources: the tag is FHIR's resourceType."""

    id: str | None = None
    meta: Meta | None = None
    modifierExtension: tuple[msgspec.Raw, ...] = ()  # noqa: N815


class Patient(_Resource, frozen=True, gc=False, tag="Patient"):
    """Who."""

    gender: str | None = None
    birthDate: str | None = None  # noqa: N815


class EncounterLocation(_Fields, frozen=True, gc=False):
    """Where a stay was spent, and when."""

    location: Reference = Reference()
    status: str | None = None
    period: Period | None = None


class Encounter(_Resource, frozen=True, gc=False, tag="Encounter"):
    """A stay. R4 has one class and `period`; R5 a list of classes and `actualPeriod`."""

    status: str | None = None
    identifier: tuple[Identifier, ...] = ()
    subject: msgspec.Raw = NOTHING
    class_: Coding | tuple[CodeableConcept, ...] | None = msgspec.field(default=None, name="class")
    type: tuple[CodeableConcept, ...] = ()
    serviceType: msgspec.Raw = NOTHING  # noqa: N815 - one CodeableConcept in R4, a list of CodeableReferences in R5
    partOf: Reference | None = None  # noqa: N815
    period: Period | None = None
    actualPeriod: Period | None = None  # noqa: N815
    location: tuple[EncounterLocation, ...] = ()


class Observation(_Resource, frozen=True, gc=False, tag="Observation"):
    """A measurement."""

    status: str | None = None
    identifier: tuple[Identifier, ...] = ()
    code: msgspec.Raw = NOTHING
    subject: msgspec.Raw = NOTHING
    effectiveDateTime: str | None = None  # noqa: N815
    effectiveInstant: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815
    effectiveTiming: msgspec.Raw = NOTHING  # noqa: N815
    issued: str | None = None
    valueQuantity: Quantity | None = None  # noqa: N815
    valueInteger: Integer | None = None  # noqa: N815
    valueBoolean: bool | None = None  # noqa: N815
    valueString: str | None = None  # noqa: N815
    valueRatio: Ratio | None = None  # noqa: N815
    valueRange: Range | None = None  # noqa: N815
    valueCodeableConcept: CodeableConcept | None = None  # noqa: N815
    dataAbsentReason: CodeableConcept | None = None  # noqa: N815
    interpretation: tuple[CodeableConcept, ...] = ()
    referenceRange: tuple[ReferenceRange, ...] = ()  # noqa: N815
    method: CodeableConcept | None = None
    focus: tuple[Reference, ...] = ()
    specimen: Reference | None = None
    component: tuple[Component, ...] = ()
    contained: tuple[msgspec.Raw, ...] = ()


class Specimen(_Resource, frozen=True, gc=False, tag="Specimen"):
    """What was drawn; a concept may demand a kind of it."""

    type: CodeableConcept = CodeableConcept()


class DiagnosticReport(_Resource, frozen=True, gc=False, tag="DiagnosticReport"):
    """A report over Observations; it carries times that they may lack."""

    status: str | None = None
    subject: msgspec.Raw = NOTHING
    effectiveDateTime: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815
    issued: str | None = None
    result: tuple[Reference, ...] = ()


class Condition(_Resource, frozen=True, gc=False, tag="Condition"):
    """A diagnosis or problem."""

    identifier: tuple[Identifier, ...] = ()
    clinicalStatus: CodeableConcept | None = None  # noqa: N815
    verificationStatus: CodeableConcept | None = None  # noqa: N815
    code: msgspec.Raw = NOTHING
    subject: msgspec.Raw = NOTHING
    onsetDateTime: str | None = None  # noqa: N815
    onsetPeriod: Period | None = None  # noqa: N815
    abatementDateTime: str | None = None  # noqa: N815
    abatementPeriod: Period | None = None  # noqa: N815
    abatementAge: Quantity | None = None  # noqa: N815
    abatementRange: Range | None = None  # noqa: N815
    abatementString: str | None = None  # noqa: N815
    recordedDate: str | None = None  # noqa: N815


class Procedure(_Resource, frozen=True, gc=False, tag="Procedure"):
    """Something done to the patient. R4 says when it was performed, R5 when it occurred."""

    status: str | None = None
    identifier: tuple[Identifier, ...] = ()
    code: msgspec.Raw = NOTHING
    subject: msgspec.Raw = NOTHING
    performedDateTime: str | None = None  # noqa: N815
    performedPeriod: Period | None = None  # noqa: N815
    occurrenceDateTime: str | None = None  # noqa: N815
    occurrencePeriod: Period | None = None  # noqa: N815


class Location(_Resource, frozen=True, gc=False, tag="Location"):
    """A place; its type tells an intensive care unit from a ward."""

    type: tuple[CodeableConcept, ...] = ()


class Ingredient(_Fields, frozen=True, gc=False):
    """What is in a drug: `item[x]` in R4, `item` in R5."""

    itemCodeableConcept: CodeableConcept | None = None  # noqa: N815


class Medication(_Resource, frozen=True, gc=False, tag="Medication"):
    """A drug, referred to by requests and administrations; a compound names its ingredients beside its code."""

    code: msgspec.Raw = NOTHING
    ingredient: tuple[Ingredient, ...] = ()


class _MedicationUse(_Resource, frozen=True, gc=False):
    """What requests, administrations and statements have in common. R4 has `medication[x]`, R5 `medication`."""

    status: str | None = None
    identifier: tuple[Identifier, ...] = ()
    medicationCodeableConcept: msgspec.Raw = NOTHING  # noqa: N815
    medicationReference: Reference | None = None  # noqa: N815
    medication: CodeableReference | None = None
    subject: msgspec.Raw = NOTHING
    contained: tuple[msgspec.Raw, ...] = ()


class Repeat(_Fields, frozen=True, gc=False):
    """When a dose is repeated."""

    boundsPeriod: Period | None = None  # noqa: N815


class Timing(_Fields, frozen=True, gc=False):
    """When something is to happen."""

    repeat: Repeat = Repeat()


class Dosage(_Fields, frozen=True, gc=False):
    """How a drug is to be taken."""

    timing: Timing = Timing()


class DispenseRequest(_Fields, frozen=True, gc=False):
    """What is to be handed out."""

    validityPeriod: Period | None = None  # noqa: N815


class MedicationRequest(_MedicationUse, frozen=True, gc=False, tag="MedicationRequest"):
    """A drug ordered."""

    authoredOn: str | None = None  # noqa: N815
    intent: str | None = None
    doNotPerform: bool = False  # noqa: N815
    dosageInstruction: tuple[Dosage, ...] = ()  # noqa: N815
    dispenseRequest: DispenseRequest = DispenseRequest()  # noqa: N815


class MedicationAdministration(_MedicationUse, frozen=True, gc=False, tag="MedicationAdministration"):
    """A drug given. R5 misspells when: `occurence`."""

    effectiveDateTime: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815
    occurenceDateTime: str | None = None  # noqa: N815
    occurencePeriod: Period | None = None  # noqa: N815


class Adherence(_Fields, frozen=True, gc=False):
    """R5: whether a drug is really taken."""

    code: CodeableConcept = CodeableConcept()


class MedicationStatement(_MedicationUse, frozen=True, gc=False, tag="MedicationStatement"):
    """A drug that somebody says is taken."""

    effectiveDateTime: str | None = None  # noqa: N815
    effectivePeriod: Period | None = None  # noqa: N815
    dateAsserted: str | None = None  # noqa: N815
    adherence: Adherence | None = None


class ServiceRequest(_Resource, frozen=True, gc=False, tag="ServiceRequest"):
    """An examination, a procedure or another service ordered. R5 nests its code once more."""

    status: str | None = None
    identifier: tuple[Identifier, ...] = ()
    intent: str | None = None
    doNotPerform: bool = False  # noqa: N815
    code: msgspec.Raw = NOTHING
    subject: msgspec.Raw = NOTHING
    authoredOn: str | None = None  # noqa: N815


class OperationOutcome(_Resource, frozen=True, gc=False, tag="OperationOutcome"):
    """A server's remark; in a searchset it is no match (FHIR R4, Bundle, search.mode outcome)."""


Resource: TypeAlias = (
    Patient
    | Encounter
    | Observation
    | Specimen
    | DiagnosticReport
    | Condition
    | Procedure
    | Location
    | Medication
    | MedicationRequest
    | MedicationAdministration
    | MedicationStatement
    | ServiceRequest
    | OperationOutcome
)
MedicationUse: TypeAlias = MedicationRequest | MedicationAdministration | MedicationStatement

RESOURCES: tuple[type[msgspec.Struct], ...] = get_args(Resource)
KNOWN_TYPES = frozenset(struct.__name__ for struct in RESOURCES)
