"""Statuses: of each resource, which count; every row of every table, through the reader."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from features.reading import statuses
from features.reading.reader import Reader
from features.refusals import Reason
from features.vocabulary.code import SNOMED_CT
from tests.features.reading.clinic import ORDERS, ROLE_CODE, find, interpreter
from tests.features.reading.resources import NOON, PATIENT, coded, observation, resource

Json = dict[str, Any]
DIABETES = coded("44054006", system=SNOMED_CT)
VANCOMYCIN = coded("J01XA01", system="http://www.whocc.no/atc")
CONDITION_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def result(status: str) -> Json:
    return observation(status=status)


def diagnosis(status: str) -> Json:
    verification = coded(status, system=CONDITION_STATUS)
    return resource("Condition", code=DIABETES, recordedDate=NOON, verificationStatus=verification)


def german_diagnosis(*marks: str) -> Json:
    """Coded once for each mark of certainty, as a primary and a secondary code are."""
    url = "http://fhir.de/StructureDefinition/icd-10-gm-diagnosesicherheit"
    coding = {"system": "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "code": "E11.9"}
    several = [coding | {"extension": [{"url": url, "valueCoding": {"code": mark}}]} for mark in marks]
    return resource("Condition", code={"coding": several}, recordedDate=NOON)


def procedure(status: str) -> Json:
    return resource(
        "Procedure", status=status, code=coded("40617009", system=SNOMED_CT), performedPeriod={"start": NOON}
    )


def order(status: str) -> Json:
    return resource("ServiceRequest", status=status, intent="order", code=coded("CT", system=ORDERS), authoredOn=NOON)


def prescription(status: str, intent: str = "order") -> Json:
    drug = {"medicationCodeableConcept": VANCOMYCIN}
    return resource("MedicationRequest", status=status, intent=intent, authoredOn=NOON, **drug)


def dose(status: str) -> Json:
    drug = {"medicationCodeableConcept": VANCOMYCIN}
    return resource("MedicationAdministration", status=status, effectiveDateTime=NOON, **drug)


def statement(status: str) -> Json:
    drug = {"medicationCodeableConcept": VANCOMYCIN}
    return resource("MedicationStatement", status=status, effectiveDateTime=NOON, **drug)


def stay(status: str) -> Json:
    return resource("Encounter", status=status, **{"class": {"code": "AMB"}}, period={"start": NOON})


# What a clinician would say: each status of FHIR's value set, and whether it says that the thing was so.
COUNTS: Mapping[str, tuple[Callable[[str], Json], Mapping[str, bool], str, str]] = {
    "Observation": (
        result,
        statuses.OBSERVATION,
        "final amended corrected appended",
        "preliminary registered cancelled entered-in-error unknown",
    ),
    "Condition": (
        diagnosis,
        statuses.CONDITION_VERIFICATION,
        "confirmed provisional differential unconfirmed",
        "refuted entered-in-error",
    ),
    "ICD-10-GM certainty": (german_diagnosis, statuses.GERMAN_CERTAINTY, "G V Z", "A"),
    "Procedure": (
        procedure,
        statuses.PROCEDURE,
        "in-progress on-hold stopped completed",
        "preparation not-done entered-in-error unknown",
    ),
    "ServiceRequest": (
        order,
        statuses.SERVICE_REQUEST,
        "active on-hold completed ended",
        "revoked draft entered-in-error unknown",
    ),
    "MedicationRequest": (
        prescription,
        statuses.MEDICATION_REQUEST,
        "active on-hold completed ended stopped",
        "cancelled entered-in-error draft unknown",
    ),
    "MedicationAdministration": (
        dose,
        statuses.MEDICATION_ADMINISTRATION,
        "in-progress on-hold completed stopped",
        "not-done entered-in-error unknown",
    ),
    "MedicationStatement": (
        statement,
        statuses.MEDICATION_STATEMENT,
        "active completed recorded on-hold stopped",
        "intended not-taken draft entered-in-error unknown",
    ),
    "Encounter": (
        stay,
        statuses.ENCOUNTER,
        "arrived triaged in-progress onleave on-hold finished discharged completed",
        "planned cancelled discontinued entered-in-error unknown",
    ),
}


def cases() -> Iterator[Any]:
    for name, (make, _, counted, left_out) in COUNTS.items():
        for status in counted.split():
            yield pytest.param(make, status, True, id=f"{name} {status}: counts")
        for status in (*left_out.split(), "Frau Sonnenschein"):
            if name not in {"Condition", "ICD-10-GM certainty"} or status != "Frau Sonnenschein":
                yield pytest.param(make, status, False, id=f"{name} {status}: does not")


@pytest.mark.parametrize(("make", "status", "counts"), tuple(cases()))
def test_a_status_counts_or_does_not(make: Callable[[str], Json], status: str, counts: bool) -> None:  # noqa: FBT001
    found = find(make(status))
    assert bool(found.events or found.stays) is counts
    assert [reason for reason, _, _ in found.refusals] == ([] if counts else [Reason.STATUS])
    assert "Sonnenschein" not in repr(found.refusals)


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_of_a_table_has_its_case(name: str) -> None:
    _, table, counted, left_out = COUNTS[name]
    assert table == dict.fromkeys(counted.split(), True) | dict.fromkeys(left_out.split(), False)


@pytest.mark.parametrize(
    ("marks", "until"),
    [
        pytest.param(("G",), None, id="assured: goes on"),
        pytest.param(("V",), None, id="suspected: as in a bill"),
        pytest.param(("Z",), NOON[:16], id="state after: over"),
        pytest.param(("Z", "G"), None, id="state after, and assured"),
        pytest.param(("z",), NOON[:16], id="in small letters"),
        pytest.param(("X",), None, id="a mark that is none"),
    ],
)
def test_a_mark_of_certainty_tells_whether_a_diagnosis_goes_on(marks: tuple[str, ...], until: str | None) -> None:
    (event,) = find(german_diagnosis(*marks)).events
    assert (event.concept, event.until) == ("diabetes", until)


def test_an_excluded_diagnosis_is_none_whatever_its_other_codes_say() -> None:
    found = find(german_diagnosis("G", "A"))
    assert (found.events, found.refusals) == ([], {(Reason.STATUS, "diabetes", "Diagnosesicherheit A"): 1})


def test_a_mark_is_read_however_its_json_is_escaped() -> None:
    reader = Reader(interpreter(), patient=PATIENT)
    reader.read_searchset(json.dumps(german_diagnosis("A")).replace("/", r"\/").encode())
    assert reader.record().refusals.by_reason() == {"status": 1}


def test_a_diagnosis_of_no_verification_status_counts() -> None:
    """Bills carry none: what was coded was so, until somebody says that it was not."""
    (event,) = find(resource("Condition", code=DIABETES, recordedDate=NOON)).events
    assert event.concept == "diabetes"


INTENTS = {
    "order": True,
    "original-order": True,
    "reflex-order": True,
    "filler-order": True,
    "instance-order": True,
    "directive": True,
    "proposal": False,
    "plan": False,
    "option": False,
}


@pytest.mark.parametrize(("intent", "counts"), INTENTS.items())
def test_what_is_ordered_counts_and_what_is_suggested_does_not(intent: str, counts: bool) -> None:  # noqa: FBT001
    assert bool(find(prescription("active", intent)).events) is counts
    assert bool(find(order("active") | {"intent": intent}).events) is counts


def test_every_intent_has_its_case() -> None:
    assert INTENTS == statuses.ORDER_INTENT


@pytest.mark.parametrize("make", [prescription, order])
def test_an_order_not_to_do_something_is_no_order(make: Callable[[str], Json]) -> None:
    found = find(make("active") | {"doNotPerform": True})
    assert found.events == []
    assert [reason for reason, _, _ in found.refusals] == [Reason.STATUS]


ACTIVE = {
    "active": True,
    "recurrence": True,
    "relapse": True,
    "unknown": True,
    "inactive": False,
    "remission": False,
    "resolved": False,
}


@pytest.mark.parametrize(("status", "goes_on"), ACTIVE.items())
def test_a_condition_goes_on_or_is_over(status: str, goes_on: bool) -> None:  # noqa: FBT001
    clinical = coded(status, system=CONDITION_CLINICAL)
    (event,) = find(diagnosis("confirmed") | {"clinicalStatus": clinical}).events
    assert event.until == (None if goes_on else event.time)


def test_every_clinical_status_has_its_case() -> None:
    assert ACTIVE == statuses.CONDITION_ACTIVE


PLACES = {"active": True, "completed": True, "planned": False, "reserved": False}


@pytest.mark.parametrize(("status", "counts"), PLACES.items())
def test_a_bed_that_was_only_planned_was_not_slept_in(status: str, counts: bool) -> None:  # noqa: FBT001
    ward = {"location": {"reference": "Location/icu"}, "status": status, "period": {"start": NOON}}
    room = {"resourceType": "Location", "id": "icu", "type": [coded("ICU", system=ROLE_CODE)]}
    assert bool(find(stay("in-progress") | {"location": [ward]}, room).events) is counts


def test_every_status_of_a_place_has_its_case() -> None:
    assert PLACES == statuses.ENCOUNTER_LOCATION


REPORTS = {
    "final": True,
    "amended": True,
    "corrected": True,
    "appended": True,
    "partial": True,
    "preliminary": True,
    "registered": False,
    "cancelled": False,
    "entered-in-error": False,
    "unknown": False,
}


@pytest.mark.parametrize(("status", "counts"), REPORTS.items())
def test_a_report_times_its_results_or_does_not(status: str, counts: bool) -> None:  # noqa: FBT001
    result = {"reference": "Observation/1"}
    report = resource("DiagnosticReport", status=status, effectiveDateTime=NOON, result=[result])
    found = find(observation(id="1", effectiveDateTime=None), report)
    assert bool(found.events) is counts


def test_every_status_of_a_report_has_its_case() -> None:
    assert REPORTS == statuses.DIAGNOSTIC_REPORT
