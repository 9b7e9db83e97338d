"""Invented patients in intensive care, written down as tables: the examples of the model `sepsis`.

    python -m training.synthetic.intensive_care models/sepsis/examples

writes them anew, as the requests that an EHR would send.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from features.prefetch import prefetch_templates
from features.vocabulary.code import LOINC
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import UCUM
from models.catalog import find
from training.synthetic.requests import sample_request
from training.synthetic.search import PatientResources

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)

Course: TypeAlias = tuple[str, str, tuple[tuple[float, float], ...]]
"""Concept, unit as sent (UCUM where it starts with a known code, else text), and (hours ago, value) pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invented:
    """One invented patient: who, what was measured, and blemishes as they occur in real records."""

    id: str
    title: str
    note: str
    gender: str
    birth_date: str
    hours: int
    vitals: dict[str, tuple[float, float]]
    laboratory: tuple[Course, ...]
    blemishes: tuple[dict[str, Any], ...] = ()


PATIENTS = (
    Invented(
        id="1-low",
        title="Low risk: the first day after an operation",
        note="Stable values, a complete laboratory, units as in the United States.",
        gender="female",
        birth_date="1971-05-23",
        hours=20,
        vitals={
            "heart_rate": (82, 76),
            "respiratory_rate": (15, 14),
            "temperature": (36.5, 36.8),
            "spo2": (97, 98),
            "systolic_pressure": (118, 124),
            "mean_pressure": (82, 86),
        },
        laboratory=(
            ("wbc", "10*3/uL", ((18, 10.4), (4, 9.1))),
            ("lactate", "mmol/L", ((18, 1.4), (4, 0.9))),
            ("creatinine", "mg/dL", ((18, 0.8), (4, 0.8))),
            ("bun", "mg/dL", ((18, 14), (4, 13))),
            ("platelets", "10*3/uL", ((18, 221), (4, 214))),
            ("hemoglobin", "g/dL", ((18, 11.2), (4, 10.9))),
            ("potassium", "mmol/L", ((18, 4.1), (4, 4.0))),
            ("glucose", "mg/dL", ((18, 132), (4, 118))),
        ),
    ),
    Invented(
        id="2-raised",
        title="Raised risk: pneumonia, second day",
        note="A fever that rises, more oxygen than yesterday; units as in a German hospital.",
        gender="male",
        birth_date="1954-11-02",
        hours=34,
        vitals={
            "heart_rate": (92, 108),
            "respiratory_rate": (19, 26),
            "temperature": (37.4, 38.6),
            "spo2": (95, 92),
            "systolic_pressure": (128, 106),
            "mean_pressure": (88, 71),
        },
        laboratory=(
            ("wbc", "Gpt/l", ((26, 12.1), (3, 16.4))),
            ("lactate", "mmol/l", ((26, 1.5), (10, 1.9), (3, 2.4))),
            ("creatinine", "umol/L", ((26, 97), (3, 133))),
            ("platelets", "Gpt/l", ((26, 184), (3, 141))),
            ("bilirubin_total", "umol/L", ((26, 14), (3, 24))),
            ("glucose", "mmol/L", ((26, 7.9), (3, 9.8))),
            ("ph", "[pH]", ((10, 7.41), (3, 7.36))),
            ("paco2", "mm[Hg]", ((10, 36), (3, 33))),
            ("fio2", "%", ((24, 28), (10, 35), (3, 45))),
        ),
    ),
    Invented(
        id="3-high",
        title="High risk: pressure falls, lactate rises",
        note="Third day in intensive care. See which values raised the estimate, and when they were taken.",
        gender="female",
        birth_date="1959-01-17",
        hours=62,
        vitals={
            "heart_rate": (94, 126),
            "respiratory_rate": (20, 32),
            "temperature": (37.3, 39.2),
            "spo2": (96, 91),
            "systolic_pressure": (124, 88),
            "mean_pressure": (84, 58),
        },
        laboratory=(
            ("wbc", "10*3/uL", ((52, 11.2), (27, 14.8), (2, 21.6))),
            ("lactate", "mmol/L", ((52, 1.2), (14, 2.2), (6, 3.1), (2, 4.6))),
            ("creatinine", "mg/dL", ((52, 0.9), (27, 1.3), (2, 2.2))),
            ("bun", "mg/dL", ((52, 18), (27, 29), (2, 46))),
            ("platelets", "10*3/uL", ((52, 198), (27, 131), (2, 84))),
            ("bilirubin_total", "mg/dL", ((52, 0.7), (27, 1.4), (2, 2.9))),
            ("ptt", "s", ((52, 31), (2, 49))),
            ("ph", "[pH]", ((14, 7.38), (6, 7.33), (2, 7.27))),
            ("paco2", "mm[Hg]", ((14, 38), (6, 34), (2, 31))),
            ("bicarbonate", "mmol/L", ((14, 22), (2, 16))),
            ("fio2", "%", ((40, 30), (14, 45), (2, 60))),
            ("glucose", "mg/dL", ((52, 124), (2, 201))),
            ("calcium", "mg/dL", ((52, 8.6), (2, 7.6))),
            ("phosphate", "mg/dL", ((52, 3.4), (2, 5.1))),
        ),
    ),
    Invented(
        id="4-missing",
        title="Values missing, and some not usable",
        note="No laboratory yet; among what was sent are a wrong unit, an error and another patient's value.",
        gender="male",
        birth_date="1948-08-30",
        hours=9,
        vitals={
            "heart_rate": (88, 97),
            "respiratory_rate": (18, 22),
            "temperature": (36.9, 37.9),
            "systolic_pressure": (131, 117),
        },
        laboratory=(),
        blemishes=(
            {"concept": "lactate", "unit": "parsec", "value": 2.8, "hours_ago": 1.0},
            {"concept": "creatinine", "unit": "mg/dL", "value": 1.9, "hours_ago": 2.0, "status": "entered-in-error"},
            {"concept": "wbc", "unit": "10*3/uL", "value": 31.0, "hours_ago": 1.5, "patient": "somebody-else"},
        ),
    ),
    Invented(
        id="5-too-little",
        title="Too little is known for an estimate",
        note="Only a heart rate was charted in the last hours: the card says what is needed.",
        gender="female",
        birth_date="1966-02-11",
        hours=3,
        vitals={"heart_rate": (84, 88)},
        laboratory=(("creatinine", "mg/dL", ((30, 1.0),)),),
    ),
)


def write_examples(folder: Path, patients: Sequence[Invented] = PATIENTS) -> None:
    """Write one example per patient: title, note, and the request for the model `sepsis`."""
    templates = prefetch_templates(find("sepsis").spec.features, load_vocabulary())
    folder.mkdir(parents=True, exist_ok=True)
    for patient in patients:
        resources = PatientResources(patient=patient.id)
        for resource in _resources(patient):
            resources.add(resource)
        request = sample_request(resources, templates, at=NOW)
        for blemish in patient.blemishes:
            entry = {"resource": _blemish(patient, blemish), "search": {"mode": "match"}}
            request["prefetch"]["observations"]["entry"].insert(0, entry)
        example = {"title": patient.title, "note": patient.note, "request": request}
        text = msgspec.json.format(msgspec.json.encode(example), indent=1)
        (folder / f"{patient.id}.json").write_bytes(text + b"\n")


def _resources(patient: Invented) -> Iterator[dict[str, Any]]:
    yield {
        "resourceType": "Patient",
        "id": patient.id,
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "gender": patient.gender,
        "birthDate": patient.birth_date,
    }
    for concept, (start, end) in patient.vitals.items():
        unit = load_vocabulary().concept(concept).unit or ""
        for hour in range(patient.hours, -1, -1):
            # A smooth course with a small, fixed ripple: invented, and the same at every run.
            share = (1 - hour / patient.hours) ** 2
            ripple = 0.012 * (end + start) / 2 * ((hour * 7 + len(concept)) % 5 - 2) / 2
            decimals = 1 if concept == "temperature" else 0
            value = start + share * (end - start) + (ripple / 6 if concept in {"temperature", "spo2"} else ripple)
            yield _observation(patient.id, concept, unit, round(value, decimals), hour + 0.25)
    for concept, unit, course in patient.laboratory:
        for hours_ago, value in course:
            yield _observation(patient.id, concept, unit, value, hours_ago)


def _observation(patient: str, concept_id: str, unit: str, value: float, hours_ago: float) -> dict[str, Any]:
    concept = load_vocabulary().concept(concept_id)
    code = next(one for one in concept.codes if one.system == LOINC)
    quantity: dict[str, Any] = {"value": value, "unit": unit}
    if unit not in {"Gpt/l", "mmol/l", "parsec"}:  # as text alone, the way many laboratories send them
        quantity |= {"system": UCUM, "code": unit}
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{concept_id.replace('_', '-')}-{hours_ago:g}".replace(".", "-"),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code.code, "display": code.display}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": (NOW - timedelta(hours=hours_ago)).isoformat(),
        "valueQuantity": quantity,
    }


def _blemish(patient: Invented, blemish: dict[str, Any]) -> dict[str, Any]:
    owner = blemish.get("patient", patient.id)
    resource = _observation(owner, blemish["concept"], blemish["unit"], blemish["value"], blemish["hours_ago"])
    return resource | {"status": blemish.get("status", "final")}


if __name__ == "__main__":
    write_examples(Path(sys.argv[1]))
