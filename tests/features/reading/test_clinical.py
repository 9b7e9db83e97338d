"""Diagnoses, procedures, orders and drugs: where they are written down, in each version of FHIR, and drafts of them."""

from typing import Any

import pytest

from features.reading.versions import FhirVersion
from features.refusals import Reason
from features.vocabulary.code import SNOMED_CT
from tests.features.reading.clinic import ORDERS, Found, find
from tests.features.reading.resources import NOON, coded, resource

Json = dict[str, Any]
VANCOMYCIN = coded("J01XA01", system="http://www.whocc.no/atc")
VENTILATION = coded("40617009", system=SNOMED_CT)
CT = coded("CT", system=ORDERS)
IN_CODE, IN_CONCEPT = {"medicationCodeableConcept": VANCOMYCIN}, {"medication": {"concept": VANCOMYCIN}}
BY_REFERENCE = {"medicationReference": {"reference": "Medication/m"}}
BY_CODEABLE_REFERENCE = {"medication": {"reference": {"reference": "Medication/m"}}}
MEDICATION = {"resourceType": "Medication", "id": "m", "code": VANCOMYCIN}


def ordered(**fields: Any) -> Json:
    return resource("MedicationRequest", status="active", intent="order", authoredOn=NOON, **fields)


def given(**fields: Any) -> Json:
    return resource("MedicationAdministration", status="completed", **fields)


def taken(**fields: Any) -> Json:
    return resource("MedicationStatement", **({"status": "active", "effectiveDateTime": NOON} | fields))


def done(**fields: Any) -> Json:
    return resource("Procedure", status="completed", code=VENTILATION, **fields)


def examination(code: Json | None, **fields: Any) -> Json:
    return resource(
        "ServiceRequest", **({"status": "active", "intent": "order", "authoredOn": NOON} | fields), code=code
    )


def names(found: Found) -> list[str]:
    return [event.concept for event in found.events]


READ = [
    pytest.param("R4", [ordered(**IN_CODE)], "vancomycin", id="R4: drug ordered, in place"),
    pytest.param("R4B", [ordered(**IN_CODE)], "vancomycin", id="R4B: drug ordered, in place"),
    pytest.param("R5", [ordered(**IN_CONCEPT)], "vancomycin", id="R5: drug ordered, in place"),
    pytest.param("R4", [ordered(**BY_REFERENCE), MEDICATION], "vancomycin", id="R4: drug ordered, by reference"),
    pytest.param("R5", [ordered(**BY_CODEABLE_REFERENCE), MEDICATION], "vancomycin", id="R5: drug ordered, by reference"),  # noqa: E501
    pytest.param("R4", [given(**IN_CODE, effectiveDateTime=NOON)], "vancomycin", id="R4: drug given"),
    pytest.param("R4B", [given(**IN_CODE, effectivePeriod={"start": NOON})], "vancomycin", id="R4B: drug given"),
    pytest.param("R5", [given(**IN_CONCEPT, occurenceDateTime=NOON)], "vancomycin", id="R5: drug given (occurence)"),
    pytest.param("R5", [given(**IN_CONCEPT, occurencePeriod={"start": NOON})], "vancomycin", id="R5: drug given (occurence, a period)"),  # noqa: E501
    pytest.param("R4", [taken(**IN_CODE)], "vancomycin", id="R4: drug taken"),
    pytest.param("R5", [taken(**IN_CONCEPT, status="recorded")], "vancomycin", id="R5: drug taken"),
    pytest.param("R4", [done(performedDateTime=NOON)], "ventilation", id="R4: procedure performed"),
    pytest.param("R4B", [done(performedPeriod={"start": NOON})], "ventilation", id="R4B: procedure performed"),
    pytest.param("R5", [done(occurrenceDateTime=NOON)], "ventilation", id="R5: procedure (occurrence)"),
    pytest.param("R5", [done(occurrencePeriod={"start": NOON})], "ventilation", id="R5: procedure (occurrence, a period)"),  # noqa: E501
    pytest.param("R4", [examination(CT)], "ordered_ct", id="R4: examination ordered"),
    pytest.param("R5", [examination({"concept": CT})], "ordered_ct", id="R5: examination ordered"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "resources", "expected"), READ)
def test_each_version_is_read_where_it_writes(version: FhirVersion, resources: list[Json], expected: str) -> None:
    found = find(*resources, version=version)
    assert (names(found), found.refusals) == ([expected], {})


@pytest.mark.parametrize(
    ("version", "told", "name"),
    [
        pytest.param("R5", ordered(**IN_CODE), "MedicationRequest", id="R5: drug ordered as in R4"),
        pytest.param("R4", ordered(**IN_CONCEPT), "MedicationRequest", id="R4: drug ordered as in R5"),
        pytest.param("R5", given(**IN_CONCEPT, effectiveDateTime=NOON), "MedicationAdministration", id="R5: drug given at an R4 time"),  # noqa: E501
        pytest.param("R4", given(**IN_CODE, occurenceDateTime=NOON), "MedicationAdministration", id="R4: drug given at an R5 time"),  # noqa: E501
        pytest.param("R5", done(performedDateTime=NOON), "Procedure", id="R5: procedure performed as in R4"),
        pytest.param("R5", examination(CT), "ServiceRequest", id="R5: examination ordered as in R4"),
        pytest.param("R4", examination({"concept": CT}), "ServiceRequest", id="R4: examination ordered as in R5"),
        pytest.param("R4B", done(occurrenceDateTime=NOON), "Procedure", id="R4B: procedure as in R5"),
    ],
)  # fmt: skip
def test_what_contradicts_the_version_that_was_told_is_counted(version: FhirVersion, told: Json, name: str) -> None:
    found = find(told, version=version)
    assert found.events == []
    ((reason, _, detail),) = found.refusals
    assert reason is Reason.FHIR_VERSION
    assert detail is not None
    assert detail.startswith(f"{name} is written in {'R4' if version == 'R5' else 'R5'}")


@pytest.mark.parametrize(
    ("adherence", "counts"),
    [
        pytest.param(None, True, id="nothing said"),
        pytest.param("taking", True, id="taking"),
        pytest.param("not-taking", False, id="not taking"),
        pytest.param("on-hold", True, id="on hold"),
    ],
)
def test_a_drug_that_is_not_taken_does_not_count(adherence: str | None, counts: bool) -> None:  # noqa: FBT001
    """R5's statement is recorded whether or not the drug is taken."""
    told = taken(**IN_CONCEPT, status="recorded")
    if adherence is not None:
        told["adherence"] = {
            "code": coded(adherence, system="http://hl7.org/fhir/CodeSystem/medication-statement-adherence")
        }
    assert bool(find(told, version="R5").events) is counts


@pytest.mark.parametrize("version", ["R4", "R4B", "R5"])
def test_an_order_of_nothing_is_no_contradiction(version: FhirVersion) -> None:
    assert find(examination(None), version=version).refusals == {(Reason.CODE_NOT_MAPPED, None, None): 1}


# Drafts of orders


def draft(kind: str, **fields: Any) -> Json:
    return resource(kind, **({"status": "draft", "intent": "proposal"} | fields))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(draft("MedicationRequest", **IN_CODE), ["drafted_vancomycin"], id="a drug"),
        pytest.param(draft("ServiceRequest", code=VENTILATION), ["drafted_ventilation"], id="a procedure"),
        pytest.param(draft("MedicationRequest", **IN_CODE, status="active"), [], id="an order that is no draft"),
        pytest.param(draft("MedicationRequest", **IN_CODE, doNotPerform=True), [], id="not to be given"),
    ],
)
def test_what_is_about_to_be_ordered(told: Json, expected: list[str]) -> None:
    assert names(find(drafts=(told,))) == expected


def test_a_draft_is_no_order_and_an_order_no_draft() -> None:
    """The drug was ordered before: what is in the record and what is being ordered are two concepts."""
    assert names(find(ordered(**IN_CODE))) == ["vancomycin"]
    assert names(find(ordered(**IN_CODE), drafts=(draft("MedicationRequest", **IN_CODE),))) == [
        "drafted_vancomycin",
        "vancomycin",
    ]


def test_a_draft_in_the_record_is_refused() -> None:
    found = find(draft("MedicationRequest", **IN_CODE))
    assert found.refusals == {(Reason.STATUS, "vancomycin", "MedicationRequest"): 1}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(draft("MedicationRequest", **IN_CONCEPT), Reason.FHIR_VERSION, id="a drug as R5 writes it"),
        pytest.param(draft("ServiceRequest", code={"concept": VENTILATION}), Reason.FHIR_VERSION, id="a procedure as R5 writes it"),  # noqa: E501
        pytest.param(draft("MedicationRequest"), Reason.REFERENCE_UNRESOLVED, id="no drug"),
        pytest.param(draft("MedicationRequest", medicationReference={"reference": "#1"}), Reason.REFERENCE_UNRESOLVED, id="a drug that is not contained"),  # noqa: E501
        pytest.param(draft("ServiceRequest", code=CT), Reason.CODE_NOT_MAPPED, id="what no draft is read of"),
    ],
)  # fmt: skip
def test_a_draft_that_cannot_be_used_is_counted(told: Json, reason: Reason) -> None:
    found = find(drafts=(told,))
    assert found.events == []
    assert [why for why, _, _ in found.refusals] == [reason]


def test_other_resources_among_the_drafts_are_counted() -> None:
    found = find(drafts=(resource("Condition", code=VENTILATION),))
    assert found.refusals == {(Reason.RESOURCE_NOT_READ, None, "Condition"): 1}
