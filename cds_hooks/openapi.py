"""The three endpoints as OpenAPI operations, so that /docs shows what to send and what comes back.

Examples only: the rules live in the modules that enforce them.
"""

from typing import Any

from cds_hooks.outcome import MEDIA_TYPE

_REQUEST = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/example", "patientId": "1288992"},
    "prefetch": {
        "patient": {"resourceType": "Patient", "id": "1288992", "gender": "female", "birthDate": "1951-04-02"}
    },
}

_RESPONSE = {
    "cards": [
        {
            "uuid": "4e0a3a1e-3f28-45f6-b54e-89e2d2ef1d3f",
            "summary": "Sepsis risk in the next 12 h: 14 %",
            "indicator": "info",
            "source": {"label": "Example model 1.0"},
        }
    ]
}

_FEEDBACK = {
    "feedback": [
        {
            "card": "4e0a3a1e-3f28-45f6-b54e-89e2d2ef1d3f",
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": "not-relevant", "system": "https://example.org/reasons"}},
            "outcomeTimestamp": "2026-01-15T10:11:12Z",
        }
    ]
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
    404: "No service has this id.",
    412: "Needed data is neither in the prefetch nor obtainable from the FHIR server.",
    413: "The body is longer than this server reads.",
    415: "The body is declared as something else than application/json.",
    500: "The service failed. This says nothing about the patient.",
}

_SERVICE_ID = {"name": "service_id", "in": "path", "required": True, "schema": {"type": "string"}}


def _json(description: str, example: object, media_type: str = "application/json") -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "object"}, "example": example}}
    return {"description": description, "content": content}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _json(_ERRORS[status], _OUTCOME, MEDIA_TYPE) for status in statuses}


def _post(example: object) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"parameters": [_SERVICE_ID], "requestBody": {"required": True, "content": content}}


DISCOVERY: dict[str, Any] = {
    "summary": "Discovery",
    "description": "The services of this server, their hooks and their prefetch templates.",
    "responses": {200: _json("The list of services.", _DISCOVERY)},
}

CALL: dict[str, Any] = {
    "summary": "Call a service",
    "description": "Answers one hook with cards. An empty list means no guidance, never a fault.",
    "responses": {200: _json("Cards.", _RESPONSE), **_errors(400, 404, 412, 413, 415, 500)},
    "openapi_extra": _post(_REQUEST),
}

FEEDBACK: dict[str, Any] = {
    "summary": "Feedback on cards",
    "description": "Takes what the clinician did with cards that carried a uuid.",
    "responses": {200: {"description": "Taken."}, **_errors(400, 404, 413, 415, 500)},
    "openapi_extra": _post(_FEEDBACK),
}
