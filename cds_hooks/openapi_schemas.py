"""What is sent and what comes back, as JSON Schema (2020-12, the dialect of OpenAPI 3.1).

The contexts are made from the hook library, so that a hook that is added there is described here. Tests hold the
schemas to the decoders: what fits a schema is taken, what the server sends fits one.
"""

from typing import Any, Final

from cds_hooks.feedback import ENTRY_LIMIT
from cds_hooks.hooks import HOOKS, ContextField, HookDefinition, Kind
from cds_hooks.request import BASE_URL
from cds_hooks.response import SUMMARY_LIMIT

Schema = dict[str, Any]

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> Schema:
    names = {"required": list(required)} if required else {}
    return {"type": "object", **names, "properties": required | (optional or {}), **more}


def _text(description: str | None = None, **more: Any) -> Schema:
    told = {} if description is None else {"description": description}
    return {"type": "string", "minLength": 1, **told, **more}


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _element(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> Schema:
    """What a server sends: nothing but these and extensions."""
    return _object(required, {**(optional or {}), "extension": _EXTENSION}, additionalProperties=False, **more)


def _or_null(schema: Schema) -> Schema:
    """Where null is taken for "not there", though no client should send it (Use of JSON)."""
    return {**schema, "type": [schema["type"], "null"]}


_EXTENSION: Final[Schema] = {"type": "object", "description": "By agreement; names are globally unique."}
_RESOURCE: Final[Schema] = {"type": "object", "description": "A FHIR resource."}
_BUNDLE: Final[Schema] = {"type": "object", "description": "A FHIR Bundle of resources that are not yet saved."}

_KINDS: Final[dict[Kind, Schema]] = {
    Kind.ID: {"type": "string", "pattern": r"^[^/]*[^/\s][^/]*$", "description": "A logical id, without its type."},
    Kind.REFERENCE: {"type": "string", "pattern": r"\S", "description": "A reference such as Type/id."},
    Kind.REFERENCES: _array(_text(), description="References such as Type/id."),
    Kind.RESOURCE: _RESOURCE,
    Kind.RESOURCES: _array(_RESOURCE),
    Kind.BUNDLE: _BUNDLE,
}

_AUTHORIZATION: Final = _object(
    {
        "access_token": _text("Never stored, never logged.", pattern=r"^[A-Za-z0-9\-._~+/]+=*$"),
        "token_type": _text(pattern="^[Bb][Ee][Aa][Rr][Ee][Rr]$"),
    },
    {
        "expires_in": _or_null({"type": "integer", "description": "Seconds."}),
        "scope": _or_null({"type": "string"}),
        "subject": _or_null({"type": "string"}),
        "patient": _or_null({"type": "string"}),
    },
)


def _context(definition: HookDefinition) -> Schema:
    required = [field for field in definition.context if field.required]
    schema = {
        "type": "object",
        "required": [field.name for field in required if not field.aliases],
        "properties": {field.name: _KINDS[field.kind] for field in definition.context},
    }
    either = [_under_some_name(field) for field in required if field.aliases]
    return {**schema, "allOf": either} if either else schema


def _under_some_name(field: ContextField) -> Schema:
    """Some fields have another name in the library's own examples; it is looked at where the right one is missing."""
    aliases = ({"required": [alias], "properties": {alias: _KINDS[field.kind]}} for alias in field.aliases)
    return {"anyOf": [{"required": [field.name]}, *aliases]}


_ANY_CONTEXT: Final = {"type": "object", "properties": {"patientId": _KINDS[Kind.ID]}}

REQUEST_ON: Final[dict[str, Schema]] = {
    name: _object({"hook": {"const": name}, "context": _context(definition)}, title=name)
    for name, definition in HOOKS.items()
    if not definition.deprecated
}
"""By hook of the library that a service may be on: its name and its context."""

_OWN_HOOK: Final = _object(
    {
        "hook": {"type": "string", "pattern": r"^[a-z][a-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)+$"},
        "context": _ANY_CONTEXT,
    },
    title="an organisation's own hook",
)


def request_on(*hooks: Schema) -> Schema:
    """A request on one of the hooks."""
    return _object(
        {
            "hook": _text("One that the service is listed for in discovery."),
            "hookInstance": {"type": "string", "pattern": _UUID, "description": "A UUID that the client makes."},
            "context": {"type": "object"},
        },
        {
            "prefetch": {
                "type": "object",
                "description": "By key of discovery's templates: the result, or null where there are no such data.",
            },
            "fhirServer": {"type": "string", "pattern": f"^{BASE_URL}$", "description": "Base URL of the FHIR server."},
            "fhirAuthorization": _AUTHORIZATION,
            "extension": _EXTENSION,
        },
        oneOf=list(hooks),
        dependentRequired={"fhirAuthorization": ["fhirServer"]},
    )


REQUEST: Final = request_on(*REQUEST_ON.values(), _OWN_HOOK)

_URL: Final = _text(format="uri", pattern="^https?://")
_CODING: Final = _element({"code": _text(), "system": _text()}, {"display": _text()})

_ACTION: Final = _element(
    {"type": {"enum": ["create", "update", "delete"]}},
    {"description": _text(), "resource": _RESOURCE, "resourceId": _text("Type/id, of what is deleted.")},
)

_SUGGESTION: Final = _element(
    {"label": _text()},
    {"uuid": _text(), "isRecommended": {"type": "boolean"}, "actions": _array(_ACTION, minItems=1)},
)

_LINK: Final = _element(
    {"label": _text(), "url": _URL, "type": {"enum": ["absolute", "smart"]}},
    {"appContext": _text("On links of type smart only."), "autolaunchable": {"type": "boolean"}},
)

_CARD: Final = _element(
    {
        "summary": _text("One line.", maxLength=SUMMARY_LIMIT - 1),
        "indicator": {"enum": ["info", "warning", "critical"]},
        "source": _element({"label": _text()}, {"url": _URL, "icon": _URL, "topic": _CODING}),
    },
    {
        "uuid": _text("Repeated in feedback."),
        "detail": _text("GitHub Flavored Markdown."),
        "suggestions": _array(_SUGGESTION, minItems=1),
        "selectionBehavior": {"enum": ["at-most-one", "any"]},
        "overrideReasons": _array(_element({"code": _text(), "system": _text(), "display": _text()}), minItems=1),
        "links": _array(_LINK, minItems=1),
    },
    dependentRequired={"suggestions": ["selectionBehavior"], "selectionBehavior": ["suggestions"]},
)

RESPONSE: Final = _element(
    {"cards": _array(_CARD, description="Empty where there is no guidance; never in place of a fault.")},
    {
        "systemActions": _array(_ACTION, minItems=1, description="Only where both sides agreed on them."),
    },
)

DISCOVERY: Final = _object(
    {
        "services": _array(
            _object(
                {"hook": _text(), "id": _text("The last segment of the service's URL."), "description": _text()},
                {
                    "title": _text(),
                    "prefetch": {"type": "object", "minProperties": 1, "additionalProperties": _text()},
                    "usageRequirements": _text(),
                    "version": _text("Of CDS Hooks."),
                    "hookVersion": _text(),
                    "extension": _EXTENSION,
                },
                additionalProperties=False,
            )
        )
    },
    additionalProperties=False,
)

# No text of feedback may hold NUL, which not every database takes.
_KEPT: Final[Schema] = {"type": "string", "pattern": r"^[^\u0000]+$"}
_MAYBE_EMPTY: Final[Schema] = {"type": "string", "pattern": r"^[^\u0000]*$"}

_ENTRY: Final = _object(
    {
        "card": {**_KEPT, "description": "The card's uuid."},
        "outcome": {"enum": ["accepted", "overridden"]},
        "outcomeTimestamp": {"type": "string", "format": "date-time"},
    },
    {
        "acceptedSuggestions": _array(_object({"id": _KEPT})),
        "overrideReason": _or_null(
            _object(
                {},
                {
                    "reason": _or_null(_object({"code": _KEPT, "system": _KEPT}, {"display": _or_null(_MAYBE_EMPTY)})),
                    "userComment": _or_null(_MAYBE_EMPTY),
                },
                anyOf=[
                    {"required": ["reason"], "properties": {"reason": {"type": "object"}}},
                    {"required": ["userComment"], "properties": {"userComment": _KEPT}},
                    {"type": "null"},
                ],
            )
        ),
    },
    anyOf=[
        {"properties": {"outcome": {"const": "overridden"}}},
        {"required": ["acceptedSuggestions"], "properties": {"acceptedSuggestions": {"minItems": 1}}},
    ],
)

FEEDBACK: Final = _object({"feedback": _array(_ENTRY, maxItems=ENTRY_LIMIT)})

OUTCOME: Final = _object(
    {
        "resourceType": {"const": "OperationOutcome"},
        "issue": _array(
            _object(
                {
                    "severity": {"enum": ["fatal", "error", "warning", "information"]},
                    "code": _text("Of FHIR's value set issue-type."),
                    "diagnostics": _text("What was expected, what came, where, and what to do."),
                },
                {"expression": _array(_text(), minItems=1)},
                additionalProperties=False,
            ),
            minItems=1,
        ),
    },
    additionalProperties=False,
)
