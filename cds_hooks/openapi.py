"""The three endpoints as OpenAPI operations: what to send, what comes back, and an example for every hook.

The rules live in the modules that enforce them; openapi_schemas says them as JSON Schema.
"""

from typing import Any

from starlette.responses import Response

from cds_hooks import openapi_schemas
from cds_hooks.conformance.samples import USER, context_of
from cds_hooks.outcome import MEDIA_TYPE

_PATIENT_ID = "1288992"
_CARD_UUID = "4e0a3a1e-3f28-45f6-b54e-89e2d2ef1d3f"
_SUGGESTION_UUID = "1f4a3c1e-7a53-4be4-9a57-1a4ce9d4a0c5"

_PREFETCH = {
    "patient": {"resourceType": "Patient", "id": _PATIENT_ID, "gender": "female", "birthDate": "1951-04-02"},
    "observations": {"resourceType": "Bundle", "type": "searchset", "entry": []},
    "conditions": None,
}

_ACCESS = {
    "fhirServer": "https://ehr.example/fhir",
    "fhirAuthorization": {
        "access_token": "a-short-lived-token",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/Observation.rs",
        "subject": "bedside",
        "patient": _PATIENT_ID,
    },
}

_CARD = {
    "uuid": _CARD_UUID,
    "summary": "Sepsis risk in the next 12 h: 14 %",
    "indicator": "info",
    "source": {"label": "Example model 1.0"},
}

_WITH_SUGGESTION = {
    **_CARD,
    "detail": "Lactate has not been measured for **9 h**.",
    "suggestions": [
        {
            "uuid": _SUGGESTION_UUID,
            "label": "Measure lactate",
            "actions": [
                {
                    "type": "create",
                    "description": "Order a lactate",
                    "resource": {
                        "resourceType": "ServiceRequest",
                        "status": "draft",
                        "intent": "proposal",
                        "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
                        "subject": {"reference": f"Patient/{_PATIENT_ID}"},
                    },
                }
            ],
        }
    ],
    "selectionBehavior": "at-most-one",
    "links": [{"label": "About this model", "url": "https://bedside.example/models/example", "type": "absolute"}],
}

_ANSWERS = {
    "a card": {"cards": [_CARD]},
    "a card with a suggestion": {"cards": [_WITH_SUGGESTION]},
    "no guidance": {"cards": []},
}

_OVERRIDDEN = {
    "card": _CARD_UUID,
    "outcome": "overridden",
    "overrideReason": {
        "reason": {"code": "not-relevant", "system": "https://example.org/reasons"},
        "userComment": "Known, and treated since yesterday.",
    },
    "outcomeTimestamp": "2026-01-15T10:11:12Z",
}

_ACCEPTED = {
    "card": _CARD_UUID,
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": _SUGGESTION_UUID}],
    "outcomeTimestamp": "2026-01-15T10:11:12Z",
}

_OUTCOMES = {
    "overridden": {"feedback": [_OVERRIDDEN]},
    "accepted": {"feedback": [_ACCEPTED]},
    "several": {"feedback": [_ACCEPTED, {**_OVERRIDDEN, "card": "9b1a8d0e-55f5-4a43-8f0e-3a4f3a8dbb2e"}]},
}

_DISCOVERY = {
    "services": [
        {
            "hook": "patient-view",
            "id": "example",
            "title": "Example",
            "description": "What the service tells, and from which data.",
            "prefetch": {"patient": "Patient/{{context.patientId}}"},
        }
    ]
}

_OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "required",
            "diagnostics": "Expected the field hookInstance, which is REQUIRED; it is missing.",
            "expression": ["hookInstance"],
        }
    ],
}

_ERRORS = {
    400: "The request breaks a rule of CDS Hooks.",
    401: "Clients are authenticated, and no token came, or one that is not accepted; which is not told.",
    403: "The client is registered, but not for this service.",
    404: "No service has this id.",
    408: "The request did not arrive in time.",
    412: "Needed data is neither in the prefetch nor obtainable from the FHIR server.",
    413: "The body is longer than this server reads, or there is more in it than it looks through.",
    415: "The body is declared as something else than application/json, or as compressed.",
    429: "The client sends more requests than it is registered for; Retry-After says when to go on.",
    431: "Request line and headers are longer than this server reads.",
    500: "The service failed. This says nothing about the patient.",
    503: "The server cannot take the request now; it may be sent again.",
}

_SERVICE_ID = {
    "name": "service_id",
    "in": "path",
    "required": True,
    "description": "An id of discovery.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]*$"},
    "example": "sepsis",
}


def _json(
    description: str, schema: dict[str, Any], examples: dict[str, Any], media_type: str = "application/json"
) -> dict[str, Any]:
    return {"description": description, "content": {media_type: _media(schema, examples)}}


def _media(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    return {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    example = {"an issue": _OUTCOME}
    return {status: _json(_ERRORS[status], openapi_schemas.OUTCOME, example, MEDIA_TYPE) for status in statuses}


def _post(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": _media(schema, examples)}
    return {"parameters": [_SERVICE_ID], "requestBody": {"required": True, "content": content}}


def _request(hook: str, **more: object) -> dict[str, Any]:
    return {
        "hook": hook,
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": context_of(hook, _PATIENT_ID),
        **more,
    }


_REQUESTS = {
    **{hook: _request(hook, prefetch=_PREFETCH) for hook in openapi_schemas.REQUEST_ON},
    "patient-view, with access to the FHIR server": _request("patient-view", **_ACCESS),
    "an organisation's own hook": {
        **_request("org.example.ward-round"),
        "context": {"userId": USER, "patientId": _PATIENT_ID, "ward": "3b"},
    },
}


DISCOVERY: dict[str, Any] = {
    "summary": "Discovery",
    "description": "The services of this server, their hooks and their prefetch templates.",
    "responses": {
        200: _json("The list of services.", openapi_schemas.DISCOVERY, {"one service": _DISCOVERY}),
        **_errors(401, 429, 431, 500, 503),
    },
}

CALL: dict[str, Any] = {
    "summary": "Call a service",
    "description": "Answers one hook with cards. An empty list means no guidance, never a fault.",
    "responses": {
        200: _json("Cards.", openapi_schemas.RESPONSE, _ANSWERS),
        **_errors(400, 401, 403, 404, 408, 412, 413, 415, 429, 431, 500, 503),
    },
    "openapi_extra": _post(openapi_schemas.REQUEST, _REQUESTS),
}

FEEDBACK: dict[str, Any] = {
    "summary": "Feedback on cards",
    "description": "Takes what the clinician did with cards that carried a uuid.",
    "response_class": Response,  # without a body
    "responses": {200: {"description": "Taken."}, **_errors(400, 401, 403, 404, 408, 413, 415, 429, 431, 500, 503)},
    "openapi_extra": _post(openapi_schemas.FEEDBACK, _OUTCOMES),
}
