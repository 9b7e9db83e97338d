"""Small FHIR resources of one patient, as dictionaries that a test completes, and what a Reader makes of them."""

import json
from typing import Any, NamedTuple

from features.reading.interpreter import Interpreter, load_interpreter
from features.reading.reader import Reader, Stay
from features.refusals import Reason
from features.times import to_datetime
from features.vocabulary.code import LOINC
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import UCUM, Converter

PATIENT = "anna"
NOON = "2026-11-24T12:00:00Z"
CREATININE, HEART_RATE, TEMPERATURE, FIO2 = "2160-0", "8867-4", "8310-5", "3150-0"
SYSTOLIC, DIASTOLIC, BLOOD_PRESSURE = "8480-6", "8462-4", "85354-9"


class Seen(NamedTuple):
    """An event as a reader of a table wants it: times in UTC, to the minute."""

    concept: str
    value: float
    time: str
    known: str


class Read(NamedTuple):
    """What came of some resources."""

    events: list[Seen]
    refusals: list[tuple[Reason, str | None, str | None]]
    stays: tuple[Stay, ...]


def coded(*codes: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def quantity(value: float, unit: str, **fields: Any) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit} | fields


def observation(code: str = CREATININE, **fields: Any) -> dict[str, Any]:
    """A final creatinine of 1.5 mg/dL at noon; a field given as None is left out."""
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": coded(code),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": NOON,
        "valueQuantity": quantity(1.5, "mg/dL"),
    }
    return without_none(resource | fields)


def component(code: str, value: float | None = None, unit: str = "mm[Hg]", **fields: Any) -> dict[str, Any]:
    resource = {"code": coded(code), "valueQuantity": None if value is None else quantity(value, unit)}
    return without_none(resource | fields)


def resource(kind: str, **fields: Any) -> dict[str, Any]:
    """Any resource about the patient."""
    return without_none({"resourceType": kind, "subject": {"reference": f"Patient/{PATIENT}"}} | fields)


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def read(*resources: dict[str, Any], patient: str | None = PATIENT, converter: Converter | None = None) -> Read:
    """The events, refusals (each as often as it was counted) and stays of resources, as a searchset."""
    reader = Reader(Interpreter(converter) if converter else load_interpreter(), patient=patient)
    fhir_bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}
    reader.read_searchset(json.dumps(fhir_bundle).encode())
    record = reader.record()
    columns = record.events.concept, record.events.value, record.events.time, record.events.known
    events = [
        Seen(name := record.events.concepts[concept], _shown(name, value), minute(time), minute(known))
        for concept, value, time, known in zip(*(column.tolist() for column in columns), strict=True)
        if not record.events.concepts[concept].endswith("_draft")  # tests/features/reading/test_drafts.py
    ]
    refusals = [
        (refusal.reason, refusal.concept, refusal.detail) for refusal, count in record.refusals for _ in range(count)
    ]
    return Read(events, refusals, record.stays)


def _shown(concept: str, value: float) -> float:
    """Which of a concept's codes was recorded is a matter of the vocabulary's order, and of its own test."""
    kind = load_vocabulary().concept(concept).kind if concept in load_vocabulary() else "observation"
    return value if kind in {"observation", "demographic"} else float(value >= 1)


def minute(time: int) -> str:
    return to_datetime(time).strftime("%Y-%m-%dT%H:%M")
