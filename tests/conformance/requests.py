"""Requests to the weight check, as a client sends them."""

from typing import Any

CALL = "/cds-services/weight-loss"
FEEDBACK = "/cds-services/weight-loss/feedback"
UNKNOWN = "/cds-services/no-such-service"


TOKEN = {
    "access_token": "CANARY-TOKEN",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/Observation.rs",
    "subject": "weight-check",
}


def weight(kg: object, day: int, **fields: object) -> dict[str, Any]:
    """One body weight on a day of January 2026."""
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": f"2026-01-{day:02d}T08:00:00Z",
        "valueQuantity": {"value": kg, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    return {"resource": {**observation, **fields}, "search": {"mode": "match"}}


def searchset(*entries: object) -> dict[str, Any]:
    """The first and only page of a search."""
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(entries)}


LOSS = searchset(weight(72, 20), weight(80, 1))
STEADY = searchset(weight(80, 20), weight(80, 1))


def request(weights: Any = LOSS, **fields: Any) -> dict[str, Any]:
    """A patient-view request; fields replace the usual ones."""
    return {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/example", "patientId": "p1"},
        "prefetch": {"weights": weights},
    } | fields


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    """The document without one field."""
    return {name: value for name, value in document.items() if name != field}


ACCEPTED = {
    "card": "c-1",
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "s-1"}],
    "outcomeTimestamp": "2026-01-15T10:11:12Z",
}
OVERRIDDEN = {"card": "c-2", "outcome": "overridden", "outcomeTimestamp": "2026-01-15T10:11:12Z"}


def feedback(*entries: object) -> dict[str, Any]:
    """A feedback body."""
    return {"feedback": list(entries)}
