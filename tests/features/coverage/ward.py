"""A small ward as NDJSON would tell it, and its coverage."""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from zlib import crc32

from features.coverage.build import Subject, build_report
from features.coverage.gather import PART_RESOURCES, Gatherer
from features.coverage.report import ConceptCoverage, Finding, Report
from features.reading.decode import decode_lines
from features.reading.interpreter import load_interpreter
from features.vocabulary.concept import load_vocabulary
from tests.features.reading.resources import observation

Json = dict[str, Any]
LAB = "https://hospital.example/fhir/CodeSystem/laboratory"


def ndjson(resources: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in resources)


def of(patient: str, resource: Json) -> Json:
    """A resource about a patient, with an id of its own."""
    name = f"{patient}-{crc32(json.dumps(resource).encode())}"
    return {"id": name} | resource | {"subject": {"reference": f"Patient/{patient}"}}


def everybody(resource: Json, patients: int, each: int = 1) -> list[Json]:
    """The same of each of some patients, several times a day apart."""
    return [
        of(f"p{number}", resource | {"effectiveDateTime": f"2026-11-{day + 1:02}T08:00:00Z"})
        for number in range(patients)
        for day in range(each)
    ]


def local(code: str, display: str, value: float = 1.1, unit: str = "mg/dl") -> Json:
    """An Observation under a code of the laboratory's own."""
    coding = {"system": LAB, "code": code, "display": display}
    return observation() | {"code": {"coding": [coding]}, "valueQuantity": {"value": value, "unit": unit}}


def gathered(resources: Sequence[Json], *, part_resources: int = PART_RESOURCES) -> Gatherer:
    decoded = decode_lines(ndjson(resources))
    assert decoded is not None
    gatherer = Gatherer(load_interpreter(), part_resources=part_resources)
    for one in decoded:
        gatherer.read([one])
    gatherer.finish()
    return gatherer


def coverage(
    resources: Sequence[Json], *, exact: bool = False, model: str | None = None, part_resources: int = PART_RESOURCES
) -> Report:
    subject = Subject(source="ward", model=model, made_on=date(2026, 11, 24), known=load_vocabulary(), exact=exact)
    return build_report(gathered(resources, part_resources=part_resources), subject)


def concept(report: Report, name: str) -> ConceptCoverage:
    (found,) = [one for one in report.concepts if one.id == name]
    return found


def findings(report: Report, topic: str) -> list[Finding]:
    return [one for one in report.findings if one.topic == topic]
