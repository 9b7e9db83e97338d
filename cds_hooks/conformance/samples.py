"""Requests that are valid and synthetic: nobody lives behind them.

Draft resources are the least R4 that each hook speaks of. The FHIR server that is named lies under .invalid, which no
name server resolves (RFC 2606): a checked server that calls it sends nothing anywhere.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cds_hooks.hooks import HOOKS

Json = dict[str, Any]

HOOK_INSTANCE = "2f3bdb3a-52f6-4b2c-8f3e-6a3f6c1f0a01"
PATIENT, OTHER_PATIENT = "conform-patient-a", "conform-patient-b"
USER = "Practitioner/conform-user"
FHIR_SERVER = "https://fhir.invalid/r4"
SHORTEST_ID = 6
TOKEN = "conform-canary-token"  # noqa: S105 - a canary, valid nowhere: it must never come back
JWT = "conform-canary.jwt.signature"

AUTHORIZATION: Mapping[str, object] = {
    "access_token": TOKEN,
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/Observation.rs",
    "subject": "conform",
    "patient": PATIENT,
}

_MEDICATION = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "161"}], "text": "example"}
_TEMPLATE_TYPE = re.compile(r"([A-Z][A-Za-z]+)([/?])")


def _subject(patient_id: str) -> Json:
    return {"reference": f"Patient/{patient_id}"}


def _draft(patient_id: str) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": "conform-draft",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": _MEDICATION,
        "subject": _subject(patient_id),
    }


def _appointment(patient_id: str) -> Json:
    participant = {"actor": _subject(patient_id), "status": "needs-action"}
    return {
        "resourceType": "Appointment",
        "id": "conform-appointment",
        "status": "proposed",
        "participant": [participant],
    }


def _condition(patient_id: str) -> Json:
    return {
        "resourceType": "Condition",
        "id": "conform-condition",
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"}
                ]
            }
        ],
        "code": {"text": "example"},
        "subject": _subject(patient_id),
    }


def _allergy(patient_id: str) -> Json:
    return {
        "resourceType": "AllergyIntolerance",
        "id": "conform-allergy",
        "code": {"text": "example"},
        "patient": _subject(patient_id),
    }


def drafts(*resources: Json) -> Json:
    """A Bundle of drafts, as hooks carry it in their context."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in resources]}


def context_of(hook: str, patient_id: str = PATIENT) -> Json:
    """The least valid context of a hook: its REQUIRED fields. Of an unknown hook: user and patient."""
    values: Json = {
        "userId": USER,
        "patientId": patient_id,
        "encounterId": "conform-encounter",
        "draftOrders": drafts(_draft(patient_id)),
        "selections": ["MedicationRequest/conform-draft"],
        "dispatchedOrders": ["ServiceRequest/conform-order"],
        "performer": "Organization/conform-performer",
        "appointments": drafts(_appointment(patient_id)),
        "allergyIntolerance": _allergy(patient_id),
        "medications": drafts(_draft(patient_id)),
        "conditions": drafts(_condition(patient_id)),
        "medication": _draft(patient_id),
        "orders": drafts(_draft(patient_id)),
    }
    definition = HOOKS.get(hook)
    names = ("userId", "patientId") if definition is None else required_of(hook)
    return {name: values[name] for name in names}


def required_of(hook: str) -> tuple[str, ...]:
    """Names of the REQUIRED context fields of a hook of the library; none of another hook."""
    definition = HOOKS.get(hook)
    return () if definition is None else tuple(field.name for field in definition.context if field.required)


def resource_type_of(template: str) -> tuple[str | None, bool]:
    """The resource type that a template asks for, and whether it is a search."""
    found = _TEMPLATE_TYPE.match(template)
    return (None, False) if found is None else (found[1], found[2] == "?")


def searchset(*resources: Json, url: str | None = None) -> Json:
    """The only page of a search."""
    found: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)}
    if resources:
        found["entry"] = [{"resource": each, "search": {"mode": "match"}} for each in resources]
    if url is not None:
        found["link"] = [{"relation": "self", "url": url}]
    return found


def prefetch_of(templates: Mapping[str, str], patient_id: str = PATIENT) -> Json:
    """What a client would send that knows the patient and nothing else: reads as resources, searches as empty sets."""
    filled: Json = {}
    for key, template in templates.items():
        resource_type, is_search = resource_type_of(template)
        if is_search:
            filled[key] = searchset()
        elif resource_type == "Patient":
            filled[key] = patient(patient_id)
        else:
            filled[key] = None
    return filled


def patient(patient_id: str = PATIENT, **fields: object) -> Json:
    """A synthetic Patient."""
    name = [{"family": "Conform", "given": ["Synthetic"]}]
    usual: Json = {"resourceType": "Patient", "id": patient_id, "gender": "female", "birthDate": "1961-04-02"}
    return {**usual, "name": name, **fields}


def observation(patient_id: str = PATIENT, **fields: object) -> Json:
    """A synthetic heart rate."""
    usual: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": _subject(patient_id),
        "effectiveDateTime": "2026-01-15T08:00:00Z",
        "valueQuantity": {"value": 80, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    return usual | fields


OUTCOME: Json = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "diagnostics": "synthetic"}],
}


def request_of(hook: str, templates: Mapping[str, str], patient_id: str = PATIENT) -> Json:
    """A valid call of a service on a hook."""
    usual: Json = {"hook": hook, "hookInstance": HOOK_INSTANCE, "context": context_of(hook, patient_id)}
    return usual | ({"prefetch": prefetch_of(templates, patient_id)} if templates else {})


def mentions(text: str, patient_id: str) -> bool:
    """Whether a text names the patient. An id so short that it occurs by chance is not looked for."""
    standing_alone = rf"(?<![A-Za-z0-9]){re.escape(patient_id)}(?![A-Za-z0-9])"
    return len(patient_id) >= SHORTEST_ID and re.search(standing_alone, text) is not None


def without(document: Mapping[str, Any], *path: str) -> Json:
    """A copy of a document without the element at the path."""
    return replaced(document, path, _ABSENT)


def replaced(document: Mapping[str, Any], path: Sequence[str], value: object) -> Json:
    """A copy of a document with the element at the path replaced."""
    name, *below = path
    if below:
        inner = document.get(name)
        return {**document, name: replaced(inner if isinstance(inner, dict) else {}, below, value)}
    kept = {key: each for key, each in document.items() if key != name or value is not _ABSENT}
    return kept if value is _ABSENT else {**kept, name: value}


_ABSENT = object()
