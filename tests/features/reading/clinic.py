"""A small clinic: a vocabulary with a concept of every kind, and what is read of its resources, as a table shows it."""

import json
from functools import cache
from typing import Any, NamedTuple

from features.reading.interpreter import Interpreter
from features.reading.reader import Reader, Record
from features.reading.statements import Stay
from features.reading.versions import FhirVersion
from features.refusals import Reason
from features.times import LATEST, microseconds, to_datetime
from features.vocabulary.code import ACT_CODE, CONTACT_KIND, INTERPRETATION, LOINC, SNOMED_CT, Code
from features.vocabulary.concept import Answer, Concept, Vocabulary, load_vocabulary
from features.vocabulary.units import Converter, load_units
from tests.features.reading.concepts import concept
from tests.features.reading.resources import PATIENT
from tests.fhir_builders import NOW

ORDERS = "https://ehr.example/orders"
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def _code(system: str, code: str, **fields: Any) -> Code:
    return Code(system=system, code=code, display=code, **fields)


VENTILATION = (_code(SNOMED_CT, "40617009"),)
CONCEPTS: tuple[Concept, ...] = (
    *(load_vocabulary().concept(name) for name in ("creatinine", "c_reactive_protein", "diabetes", "vancomycin")),
    concept("ventilation", "procedure", *VENTILATION),
    concept("ordered_ct", "order", _code(ORDERS, "CT")),
    concept("inpatient", "encounter", _code(ACT_CODE, "IMP")),
    concept("intensive_care", "encounter", _code(CONTACT_KIND, "intensivstationaer"), _code(ROLE_CODE, "ICU")),
    concept("on_a_ward", "encounter", _code(ACT_CODE, "IMP"), level="ward"),
    concept("drafted_ventilation", "procedure", *VENTILATION, drafts_of="ventilation"),
    concept(
        "drafted_vancomycin", "medication", *load_vocabulary().concept("vancomycin").codes, drafts_of="vancomycin"
    ),
    concept(
        "urine_nitrite",
        "observation",
        _code(LOINC, "5802-4"),
        answers=(
            Answer(system=SNOMED_CT, code="260385009", display="Negative", value=0.0),
            Answer(system=SNOMED_CT, code="10828004", display="Positive", value=1.0),
            Answer(system=INTERPRETATION, code="POS", display="Positive", value=1.0),
            Answer(system="boolean", code="false", display="false", value=0.0),
        ),
    ),
    concept(
        "troponin_t", "observation", _code(LOINC, "67151-1"), unit="ng/L", plausible=(0.0, 1e5),
        censored="limit", censored_reason="below the limit is none",
    ),
    concept("coma_score", "observation", _code(LOINC, "9269-2"), unit="{score}", plausible=(3.0, 15.0)),
    concept(
        "csf_glucose", "observation", _code(LOINC, "2342-4", specimen=(SNOMED_CT, "258450006")), unit="mmol/L",
        plausible=(0.0, 50.0),
    ),
    concept(
        "invasive_pressure", "observation", _code(LOINC, "76215-3", method=(SNOMED_CT, "77938009")), unit="mm[Hg]",
        plausible=(0.0, 300.0),
    ),
)  # fmt: skip


@cache
def interpreter() -> Interpreter:
    return Interpreter(Converter(Vocabulary(CONCEPTS), load_units()))


class Said(NamedTuple):
    """An event: times in UTC, to the minute; `until` None where it goes on."""

    concept: str
    value: float
    time: str
    known: str
    until: str | None


class Found(NamedTuple):
    """What came of some resources."""

    events: list[Said]
    refusals: dict[tuple[Reason, str | None, str | None], int]
    stays: tuple[Stay, ...]


def find(*resources: dict[str, Any], version: FhirVersion = "R4", drafts: tuple[dict[str, Any], ...] = ()) -> Found:
    """What is read of resources, and of the draft orders of a call at NOW."""
    reader = Reader(interpreter(), patient=PATIENT, version=version)
    if resources:
        reader.read_searchset(bundle(*resources))
    if drafts:
        reader.read_drafts(bundle(*drafts), at=microseconds(NOW))
    return found_in(reader.record())


def bundle(*resources: dict[str, Any]) -> bytes:
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in resources]}).encode()


def found_in(record: Record) -> Found:
    events = record.events
    columns = (events.concept, events.value, events.time, events.known, events.until)
    said = [
        Said(events.concepts[number], value, _minute(time), _minute(known), None if until == LATEST else _minute(until))
        for number, value, time, known, until in zip(*(column.tolist() for column in columns), strict=True)
        if not (events.concepts[number].startswith("drafted_") and until == time + 1)  # a signed order: test_drafts.py
    ]
    refused = {(one.reason, one.concept, one.detail): count for one, count in record.refusals}
    return Found(said, refused, record.stays)


def _minute(time: int) -> str:
    return to_datetime(time).strftime("%Y-%m-%dT%H:%M")
