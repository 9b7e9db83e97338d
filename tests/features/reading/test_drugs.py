"""Drugs: what a medication request or administration becomes, wherever the drug itself is named."""

import json
from typing import Any

import pytest

from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.refusals import Reason
from features.vocabulary.code import ATC_WHO
from tests.features.reading.resources import NOON, PATIENT, Seen, coded, observation, read, resource, without_none

AT_NOON = "2026-11-24T12:00"
IBUPROFEN = coded("M01AE01", system=ATC_WHO)
NSAID_AT_NOON = Seen("nephrotoxic_nsaid", 1.0, AT_NOON, AT_NOON)
MEDICATION = {"resourceType": "Medication", "id": "m1", "code": IBUPROFEN}
UNRESOLVED = (Reason.REFERENCE_UNRESOLVED, None, "Medication")


def ordered(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"status": "active", "medicationCodeableConcept": IBUPROFEN, "authoredOn": NOON}
    return resource("MedicationRequest", **(whole | fields))


def given(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"status": "completed", "medicationCodeableConcept": IBUPROFEN, "effectiveDateTime": NOON}
    return resource("MedicationAdministration", **(whole | fields))


def by_reference(reference: str | None, **fields: Any) -> dict[str, Any]:
    return ordered(medicationCodeableConcept=None, medicationReference=without_none({"reference": reference})) | fields


@pytest.mark.parametrize("use", [ordered(), given()], ids=["ordered", "given"])
def test_a_drug_ordered_or_given_is_an_event(use: dict[str, Any]) -> None:
    assert read(use) == ([NSAID_AT_NOON], [], ())


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param([MEDICATION, by_reference("Medication/m1")], id="that came before"),
        pytest.param([by_reference("Medication/m1"), MEDICATION], id="that came after"),
        pytest.param([by_reference("https://ehr.example/fhir/Medication/m1"), MEDICATION], id="absolute"),
        pytest.param([by_reference("Medication/m1/_history/2"), MEDICATION], id="with a version"),
        pytest.param([by_reference("#m1", contained=[MEDICATION])], id="contained"),
        pytest.param(
            [by_reference("#m1", contained=[{"resourceType": "Medication", "id": "m0"}, MEDICATION])],
            id="contained beside another",
        ),
    ],
)
def test_a_drug_may_stand_in_a_medication(resources: list[dict[str, Any]]) -> None:
    assert read(*resources) == ([NSAID_AT_NOON], [], ())


@pytest.mark.parametrize(
    ("resources", "refusals"),
    [
        pytest.param([by_reference("Medication/m2"), MEDICATION], [UNRESOLVED], id="that never came"),
        pytest.param([by_reference("#m2", contained=[MEDICATION])], [UNRESOLVED], id="that is not contained"),
        pytest.param([by_reference("#m1"), MEDICATION], [UNRESOLVED], id="contained in nothing"),
        pytest.param([by_reference(None)], [UNRESOLVED], id="a reference that names nothing"),
        pytest.param([ordered(medicationCodeableConcept=None)], [UNRESOLVED], id="no drug at all"),
        pytest.param(
            [by_reference("Medication/None"), MEDICATION | {"id": None}],
            [UNRESOLVED, (Reason.REFERENCE_UNRESOLVED, None, "Medication without id")],
            id="a Medication without an id",
        ),
        pytest.param(
            [by_reference("#m1", contained=[{"resourceType": "Medication", "id": 1}, "junk"])],
            [(Reason.MALFORMED, None, "JSON"), (Reason.MALFORMED, None, "Medication.id"), UNRESOLVED],
            id="contained and malformed",
        ),
    ],
)
def test_a_drug_that_nobody_can_name_is_refused(
    resources: list[dict[str, Any]], refusals: list[tuple[Reason, str | None, str | None]]
) -> None:
    assert read(*resources) == ([], refusals, ())


@pytest.mark.parametrize(
    ("use", "counts"),
    [
        *((ordered(status=status), True) for status in ("active", "on-hold", "completed", "stopped")),
        *((ordered(status=status), False) for status in ("draft", "cancelled", "entered-in-error", "unknown", None)),
        (ordered(intent="order"), True),
        (ordered(intent="proposal"), False),
        (ordered(intent="plan"), False),
        (ordered(doNotPerform=True), False),
        (ordered(doNotPerform=False), True),
        *((given(status=status), True) for status in ("in-progress", "on-hold", "completed", "stopped")),
        *((given(status=status), False) for status in ("not-done", "entered-in-error", "unknown", None)),
    ],
    ids=lambda value: (
        " ".join(str(value.get(name, "")) for name in ("resourceType", "status", "doNotPerform", "intent")).strip()
        if isinstance(value, dict)
        else "counts"
        if value
        else "does not count"
    ),
)
def test_a_drug_counts_unless_it_was_never_ordered_or_given(use: dict[str, Any], counts: bool) -> None:  # noqa: FBT001
    found = read(use)
    assert found.events == [NSAID_AT_NOON] * counts
    assert found.refusals == [(Reason.STATUS, "nephrotoxic_nsaid", use["resourceType"])] * (not counts)


@pytest.mark.parametrize(
    ("use", "time"),
    [
        pytest.param(ordered(authoredOn="2026-11-24"), "2026-11-24T23:59", id="ordered on a day: by its end"),
        pytest.param(given(effectiveDateTime="2026-11-24"), "2026-11-24T23:59", id="given on a day: by its end"),
        pytest.param(
            given(effectiveDateTime=None, effectivePeriod={"start": NOON, "end": "2026-11-24T13:00:00Z"}),
            AT_NOON,
            id="an infusion counts from its start",
        ),
    ],
)
def test_when_a_drug_was_ordered_or_given(use: dict[str, Any], time: str) -> None:
    assert read(use) == ([Seen("nephrotoxic_nsaid", 1.0, time, time)], [], ())


@pytest.mark.parametrize(
    ("use", "refusal"),
    [
        pytest.param(ordered(authoredOn=None), (Reason.TIME_MISSING, "nephrotoxic_nsaid", None), id="no time"),
        pytest.param(given(effectiveDateTime="now"), (Reason.TIME_INVALID, "nephrotoxic_nsaid", None), id="no FHIR time"),  # noqa: E501
        pytest.param(
            ordered(medicationCodeableConcept=coded("A02BC01", system="https://other.example")),
            (Reason.CODE_NOT_MAPPED, None, None),
            id="a drug of another system",
        ),
        pytest.param(ordered(medicationCodeableConcept={"text": "Ibuprofen 600"}), (Reason.CODE_NOT_MAPPED, None, None), id="a name alone"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_drug_that_cannot_be_used_is_refused(
    use: dict[str, Any], refusal: tuple[Reason, str | None, str | None]
) -> None:
    assert read(use) == ([], [refusal], ())


def test_a_reader_goes_on_after_a_record_was_made() -> None:
    """Drugs that wait for their Medication are counted once, in the record that they first belong to."""
    reader = Reader(load_interpreter(), patient=PATIENT)
    reader.read_searchset(json.dumps(by_reference("Medication/m1")).encode())
    assert reader.record().refusals.total(Reason.REFERENCE_UNRESOLVED) == 1
    reader.read_searchset(json.dumps(observation()).encode())
    record = reader.record()
    assert len(record.events) == 1
    assert record.refusals.total(Reason.REFERENCE_UNRESOLVED) == 0
