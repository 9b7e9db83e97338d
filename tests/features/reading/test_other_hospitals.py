"""What other hospitals send and nobody should trip over: contradicting codes, modifiers, compounds, schedules."""

import json
from typing import Any

import pytest

from features.refusals import Reason
from features.vocabulary.code import ATC_WHO, LOINC
from tests.features.reading.resources import NOON, PATIENT, coded, observation, quantity, read

RATE, BREATHS = "8867-4", "9279-1"


def test_codes_of_two_quantities_on_one_number_give_neither() -> None:
    """80 per minute cannot be both a heart rate and a respiratory rate."""
    found = read(observation(code=RATE) | {"code": coded(RATE, BREATHS), "valueQuantity": quantity(80, "/min")})
    assert found.events == []
    assert {(reason, concept) for reason, concept, _ in found.refusals} == {
        (Reason.CODE_CONTRADICTION, "heart_rate"),
        (Reason.CODE_CONTRADICTION, "respiratory_rate"),
    }


def test_a_local_code_beside_a_known_one_contradicts_nothing() -> None:
    code = {"coding": [*coded(RATE)["coding"], {"system": "https://ehr.example", "code": "HF"}]}
    found = read(observation() | {"code": code, "valueQuantity": quantity(80, "/min")})
    assert [event.value for event in found.events] == [80.0]


def test_a_pulse_oximeters_code_beside_that_of_the_blood_contradicts_nothing() -> None:
    found = read(observation() | {"code": coded("59408-5", "20564-1"), "valueQuantity": quantity(97, "%")})
    assert [event.concept for event in found.events] == ["spo2"]


@pytest.mark.parametrize("kind", ["Observation", "Condition"])
def test_what_a_modifier_extension_changes_is_not_read_past(kind: str) -> None:
    """It may say that the opposite is meant; FHIR forbids to ignore it."""
    resource = {
        "resourceType": kind,
        "subject": {"reference": f"Patient/{PATIENT}"},
        "modifierExtension": [{"url": "https://ehr.example/not-really", "valueBoolean": True}],
    }
    assert read(resource) == ([], [(Reason.MODIFIER_EXTENSION, None, kind)], ())


@pytest.mark.parametrize(
    ("focus", "is_of_another"),
    [
        pytest.param({"display": "fetus"}, True, id="an unborn child, in words"),
        pytest.param({"reference": "RelatedPerson/donor"}, True, id="a donor"),
        pytest.param({"reference": "Patient/child"}, True, id="another patient"),
        pytest.param({"reference": f"Patient/{PATIENT}"}, False, id="the subject once more"),
        pytest.param({"reference": "Condition/tumour"}, False, id="a diagnosis, as in the German core data set"),
    ],
)
def test_what_was_measured_of_another_than_the_subject_is_not_the_subjects(
    focus: dict[str, str],
    is_of_another: bool,  # noqa: FBT001 - a table
) -> None:
    """The heart rate of an unborn child stands in its mother's record."""
    found = read(observation(focus=[focus]))
    assert len(found.events) == 1 - is_of_another
    assert found.refusals == ([(Reason.OTHER_PATIENT, "creatinine", "focus")] if is_of_another else [])


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        pytest.param({"effectiveTiming": {"event": [NOON]}, "issued": NOON}, Reason.TIME_IMPRECISE, id="a schedule"),
        pytest.param(
            {"effectivePeriod": {"start": NOON, "end": "2026-11-24T08:00:00Z"}}, Reason.TIME_INVALID, id="backwards"
        ),
    ],
)
def test_a_time_that_is_none_is_refused(when: dict[str, Any], reason: Reason) -> None:
    found = read(observation(effectiveDateTime=None, **when))
    assert found == ([], [(reason, "creatinine", None)], ())


COMPOUND = {
    "resourceType": "Medication",
    "id": "m",
    "code": {"text": "Infusion"},
    "ingredient": [{"itemCodeableConcept": coded("M01AE01", system=ATC_WHO)}],
}
ORDER = {
    "resourceType": "MedicationRequest",
    "status": "active",
    "intent": "order",
    "authoredOn": NOON,
    "subject": {"reference": f"Patient/{PATIENT}"},
}


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param([ORDER | {"medicationReference": {"reference": "Medication/m"}}, COMPOUND], id="by reference"),
        pytest.param([ORDER | {"medicationReference": {"reference": "#m"}, "contained": [COMPOUND]}], id="contained"),
        pytest.param(
            [ORDER | {"medicationReference": {"reference": "#m"}, "contained": [COMPOUND | {"id": "#m"}]}],
            id="contained under an id written like a reference",
        ),
    ],
)
def test_a_compound_is_what_it_is_made_of(resources: list[dict[str, Any]]) -> None:
    assert [event.concept for event in read(*resources).events] == ["nephrotoxic_nsaid"]


@pytest.mark.parametrize("word", ["mm Hg", "mmHg"])
def test_a_unit_that_is_called_ucum_and_is_none_is_read_as_a_text(word: str) -> None:
    sent = observation(code="8480-6", valueQuantity=quantity(120, word))
    assert json.dumps(sent).count(word) == 2
    assert [event.value for event in read(sent).events] == [120.0]
    assert sent["code"] == coded("8480-6", system=LOINC)
