"""The hook library as data: for each hook its versions, the fields of its context and who may be its user.

Source: HL7 CDS Hooks hook library, metadata of 2026-04-22 (2.0.0-cibuild), with what its change logs,
examples and contradictions add. A field's `token` says whether a prefetch template may name it.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cds_hooks.errors import InvalidField, MissingField

# Organisation-specific hooks are named in reverse domain notation (CDS Hooks 2.0.1, Hooks, Hook name).
_REVERSE_DOMAIN = re.compile(r"[a-z][a-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+")


class Kind(StrEnum):
    """The JSON form of a context field."""

    ID = "id"  # logical id of a resource, without its type
    REFERENCE = "reference"  # Type/id
    REFERENCES = "references"  # array of Type/id
    RESOURCE = "resource"  # a FHIR resource
    RESOURCES = "resources"  # array of FHIR resources
    BUNDLE = "bundle"  # a FHIR Bundle of drafts


class ContextField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a hook's context; `aliases` are other names seen in the library's own examples."""

    name: str
    kind: Kind
    required: bool
    token: bool
    aliases: tuple[str, ...] = ()


class HookDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One hook. `users`: resource types that context.userId may name; empty where the hook has no user."""

    name: str
    versions: tuple[str, ...]
    context: tuple[ContextField, ...]
    users: tuple[str, ...]
    replaced_by: tuple[str, ...] = ()

    @property
    def deprecated(self) -> bool:
        """Whether the library tells to use another hook instead."""
        return bool(self.replaced_by)

    @property
    def tokens(self) -> frozenset[str]:
        """Names of the context fields that a prefetch template may use."""
        return frozenset(field.name for field in self.context if field.token)


def _field(name: str, kind: Kind, *aliases: str, required: bool = True, token: bool = False) -> ContextField:
    return ContextField(name=name, kind=kind, required=required, token=token, aliases=aliases)


_USER = _field("userId", Kind.REFERENCE, token=True)
_USER_OPTIONAL = _field("userId", Kind.REFERENCE, token=True, required=False)
_PATIENT = _field("patientId", Kind.ID, token=True)
_ENCOUNTER = _field("encounterId", Kind.ID, token=True)
_ENCOUNTER_OPTIONAL = _field("encounterId", Kind.ID, token=True, required=False)
_CHART = (_USER, _PATIENT, _ENCOUNTER_OPTIONAL)

_CLINICIANS = ("Practitioner", "PractitionerRole")
_EVERYONE = (*_CLINICIANS, "Patient", "RelatedPerson")

_LIBRARY = (
    HookDefinition(name="patient-view", versions=("1.0",), context=_CHART, users=_EVERYONE),
    HookDefinition(
        name="order-sign",
        versions=("1.0", "1.1.0"),
        context=(*_CHART, _field("draftOrders", Kind.BUNDLE)),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="order-select",
        versions=("1.0", "1.0.2"),
        context=(*_CHART, _field("selections", Kind.REFERENCES), _field("draftOrders", Kind.BUNDLE)),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="order-dispatch",
        versions=("1.1",),
        context=(
            _PATIENT,
            _field("dispatchedOrders", Kind.REFERENCES, token=True),
            _field("performer", Kind.REFERENCE, token=True),
            _field("fulfillmentTasks", Kind.RESOURCES, "fulfillment-tasks", required=False),
        ),
        users=(),
    ),
    HookDefinition(name="encounter-start", versions=("1.0",), context=(_USER, _PATIENT, _ENCOUNTER), users=_CLINICIANS),
    HookDefinition(
        name="encounter-discharge",
        versions=("1.0",),
        context=(_USER, _PATIENT, _ENCOUNTER),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="appointment-book",
        versions=("1.0",),
        context=(*_CHART, _field("appointments", Kind.BUNDLE)),
        users=_EVERYONE,
    ),
    HookDefinition(
        name="allergyintolerance-create",
        versions=("0.1.0",),
        context=(*_CHART, _field("allergyIntolerance", Kind.RESOURCE)),
        users=("Practitioner",),
    ),
    HookDefinition(
        name="medication-refill",
        versions=("0.1.0",),
        context=(_USER_OPTIONAL, _PATIENT, _ENCOUNTER_OPTIONAL, _field("medications", Kind.BUNDLE)),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="problem-list-item-create",
        versions=("0.1.0",),
        context=(*_CHART, _field("conditions", Kind.BUNDLE)),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="medication-verify",
        versions=("0.1.0", "1.0"),
        context=(*_CHART, _field("medication", Kind.RESOURCE, "order")),
        users=_CLINICIANS,
    ),
    HookDefinition(
        name="medication-prescribe",
        versions=("1.0",),
        context=(*_CHART, _field("medications", Kind.BUNDLE)),
        users=("Practitioner",),
        replaced_by=("order-select", "order-sign"),
    ),
    HookDefinition(
        name="order-review",
        versions=("1.0",),
        context=(*_CHART, _field("orders", Kind.BUNDLE)),
        users=("Practitioner",),
        replaced_by=("order-sign",),
    ),
)

HOOKS: Mapping[str, HookDefinition] = {hook.name: hook for hook in _LIBRARY}


def is_hook_name(name: str) -> bool:
    """Whether `name` is a hook of the library or a well-formed organisation-specific one."""
    return name in HOOKS or _REVERSE_DOMAIN.fullmatch(name) is not None


def validate_context(hook: str, context: Mapping[str, object]) -> None:
    """Check a request's context against its hook's definition.

    A hook outside the library is held to one rule only: where it has a patientId, that must be usable.
    Draft resources are not looked into; real clients send drafts that are no valid R4.

    Raises:
        MissingField: a REQUIRED field is missing.
        InvalidField: a field has the wrong JSON type or is empty.

    """
    definition = HOOKS.get(hook)
    if definition is None:
        if "patientId" in context:
            _check_field(hook, _PATIENT, context["patientId"])
        return
    for field in definition.context:
        value = _value_of(field, context)
        if value is not _MISSING:
            _check_field(hook, field, value)
        elif field.required:
            location = f"context.{field.name}"
            raise MissingField(f"Expected {location}, which {hook} REQUIRES; it is missing.", location=location)


_MISSING = object()


def _value_of(field: ContextField, context: Mapping[str, object]) -> object:
    for name in (field.name, *field.aliases):
        if name in context:
            return context[name]
    return _MISSING


def _check_field(hook: str, field: ContextField, value: object) -> None:
    location = f"context.{field.name}"
    expected = _complaint(field.kind, value)
    if expected:
        raise InvalidField(f"Expected {expected} in {location} of {hook}, got {_described(value)}.", location=location)


def _complaint(kind: Kind, value: object) -> str | None:
    """What was expected, or None if `value` fits."""
    match kind:
        case Kind.ID:
            # "Patient/123" would match no resource of the prefetch: say so now rather than miss everything.
            good = isinstance(value, str) and value.strip() != "" and "/" not in value
            return None if good else "a logical id as a string (without resource type)"
        case Kind.REFERENCE:
            return None if isinstance(value, str) and value.strip() else "a reference such as Type/id as a string"
        case Kind.REFERENCES:
            good = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
            return None if good else "an array of references such as Type/id"
        case Kind.RESOURCES:
            good = isinstance(value, list) and all(isinstance(each, dict) for each in value)
            return None if good else "an array of FHIR resources"
        case Kind.RESOURCE | Kind.BUNDLE:
            noun = "a FHIR Bundle" if kind is Kind.BUNDLE else "a FHIR resource"
            return None if isinstance(value, dict) else f"{noun} as a JSON object"


def _described(value: object) -> str:
    """The value's JSON type, never the value."""
    if isinstance(value, str):
        return "an empty string" if not value.strip() else "another string"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return "an array"
    return "null" if value is None else "an object"
