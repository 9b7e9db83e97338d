"""FHIR resources and CDS Hooks requests as an EHR sends them, for the tests; times are offsets from one index time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
"""The clock of the tests."""

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
# LOINC code and UCUM unit by concept.
MEASURES: Mapping[str, tuple[str, str]] = {
    "heart_rate": ("8867-4", "/min"),
    "temperature": ("8310-5", "Cel"),
    "creatinine": ("2160-0", "mg/dL"),
    "systolic_pressure": ("8480-6", "mm[Hg]"),
    "mean_pressure": ("8478-0", "mm[Hg]"),
}


def at(hours_ago: float, now: datetime = NOW) -> str:
    """An instant, so many hours before the clock."""
    return (now - timedelta(hours=hours_ago)).isoformat()


def patient(patient_id: str = "p1", **fields: Any) -> Json:
    """A woman of 66 years; None leaves a field out."""
    return _with({"resourceType": "Patient", "id": patient_id, "gender": "female", "birthDate": "1959-06-01"}, fields)


def observation(concept: str, value: float, hours_ago: float = 1.0, *, of: str = "p1", **fields: Any) -> Json:
    """A final measurement in the concept's own unit; fields replace the usual ones, None leaves one out."""
    code, unit = MEASURES[concept]
    usual = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": at(hours_ago),
        "valueQuantity": quantity(value, unit),
    }
    return _with(usual, fields)


def quantity(value: float, unit: str, **fields: Any) -> Json:
    """A value with a UCUM unit."""
    return _with({"value": value, "unit": unit, "system": UCUM, "code": unit}, fields)


def kidney_disease(*, of: str = "p1", **fields: Any) -> Json:
    """Chronic kidney disease, recorded four years ago."""
    usual = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "code": "N18.3"}]},
        "subject": {"reference": f"Patient/{of}"},
        "recordedDate": "2022-02-11",
    }
    return _with(usual, fields)


def gentamicin(hours_ago: float = 10.0, *, of: str = "p1", **fields: Any) -> Json:
    """An order of an aminoglycoside."""
    usual = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "J01GB03"}]},
        "subject": {"reference": f"Patient/{of}"},
        "authoredOn": at(hours_ago),
    }
    return _with(usual, fields)


def searchset(*resources: Json, next_url: str | None = None) -> Json:
    """One page of a search; with a next link it is not the last."""
    found: Json = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}
    if next_url is not None:
        found["link"] = [{"relation": "next", "url": next_url}]
    return found


def vitals(*, of: str = "p1") -> tuple[Json, ...]:
    """What the tiny model needs at least, and nothing else: all of it ordinary."""
    return (
        observation("creatinine", 0.8, 6, of=of),
        observation("heart_rate", 80, 1, of=of),
        observation("temperature", 36.8, 2, of=of),
    )


OUTCOME: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
EMPTY = searchset()


def prefetch(**changes: Any) -> Json:
    """What the tiny model's discovery asks for; underscores stand for hyphens."""
    usual: Json = {
        "patient": patient(),
        "observations": searchset(*vitals()),
        "conditions": EMPTY,
        "medication-requests": EMPTY,
        "medication-administrations": EMPTY,
        "medication-statements": EMPTY,
    }
    return usual | {name.replace("_", "-"): value for name, value in changes.items()}


def request(**fields: Any) -> Json:
    """A patient-view call; fields replace the usual ones, None leaves one out."""
    usual: Json = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/ward", "patientId": "p1"},
        "prefetch": prefetch(),
    }
    return _with(usual, fields)


def _with(usual: Json, fields: Json) -> Json:
    return {name: value for name, value in (usual | fields).items() if value is not None}
