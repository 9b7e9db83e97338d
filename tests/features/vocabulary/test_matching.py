"""Matching: a concept is found by system and code, under any name of the system, whatever stands beside them."""

from typing import Any

import pytest

from features.reading import fhir
from features.refusals import Reason
from features.vocabulary.code import ICD_10_GM, LOINC, SNOMED_CT
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.matching import Matcher
from features.vocabulary.units import Converter, load_units
from tests.features.reading.resources import CREATININE, coded, observation, quantity, read

SAO2, PULSE_OXIMETRY, VITAL_SIGNS_PROFILE = "20564-1", "59408-5", "2708-6"


@pytest.mark.parametrize(
    ("code", "is_creatinine"),
    [
        pytest.param(coded(CREATININE), True, id="system and code"),
        pytest.param(
            {"coding": [{"system": "https://lab.example", "code": "KREA"}, *coded(CREATININE)["coding"]]},
            True,
            id="behind a house code",
        ),
        pytest.param({"coding": [*coded(CREATININE)["coding"], *coded(CREATININE)["coding"]]}, True, id="twice: once"),
        pytest.param(coded(CREATININE, system="https://lab.example"), False, id="the code under another system"),
        pytest.param(coded(CREATININE, system="https://loinc.org"), True, id="https for http"),
        pytest.param(coded(CREATININE, system="http://loinc.org/"), True, id="a slash at the end"),
        pytest.param(coded(CREATININE, system="http://loinc.org|2.77"), True, id="a version in the system"),
        pytest.param(coded(CREATININE, system="urn:oid:2.16.840.1.113883.6.1"), True, id="the system's OID"),
        pytest.param(coded(f" {CREATININE}"), True, id="a space before the code"),
        pytest.param(coded(CREATININE, system="http://loinc.org.example"), False, id="a system that begins alike"),
        pytest.param({"coding": [{"code": CREATININE}]}, False, id="no system"),
        pytest.param({"coding": [{"system": LOINC}]}, False, id="no code"),
        pytest.param({"coding": [{}]}, False, id="an empty coding"),
        pytest.param({"coding": [{"system": LOINC, "code": "2160"}]}, False, id="the beginning of a code"),
        pytest.param({"coding": [{"system": LOINC, "code": "2160-01"}]}, False, id="a longer code"),
        pytest.param({"coding": [{"system": LOINC, "code": "lactate", "display": "Creatinine"}]}, False, id="its name"),
        pytest.param({"text": "Creatinine [Mass/volume] in Serum or Plasma"}, False, id="only a text"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_a_code_with_its_system_decides(code: dict[str, Any], is_creatinine: bool) -> None:  # noqa: FBT001
    found = read(observation() | {"code": code})
    assert [event.concept for event in found.events] == ["creatinine"] * is_creatinine
    assert [refusal[0] for refusal in found.refusals] == [Reason.CODE_NOT_MAPPED] * (not is_creatinine)


def test_a_lactate_dehydrogenase_in_ascites_is_no_lactate() -> None:
    dehydrogenase = observation("14803-2", valueQuantity=quantity(2.0, "mmol/L"))
    assert read(dehydrogenase).refusals == [(Reason.CODE_NOT_MAPPED, None, None)]


@pytest.mark.parametrize("order", [1, -1], ids=["blood first", "pulse oximetry first"])
def test_a_pulse_oximeters_reading_that_is_coded_as_one_in_blood_too_is_spo2_alone(order: int) -> None:
    codes = [SAO2, PULSE_OXIMETRY][::order]
    found = read(observation(valueQuantity=quantity(97, "%")) | {"code": coded(*codes)})
    assert [event.concept for event in found.events] == ["spo2"]


def test_the_two_codes_of_the_vital_signs_profile_are_one_value() -> None:
    found = read(observation(valueQuantity=quantity(97, "%")) | {"code": coded(PULSE_OXIMETRY, VITAL_SIGNS_PROFILE)})
    assert [event.concept for event in found.events] == ["spo2"]


def test_a_saturation_in_blood_stays_one() -> None:
    assert [event.concept for event in read(observation(SAO2, valueQuantity=quantity(97, "%"))).events] == ["sao2"]


def test_a_saturation_in_blood_beside_a_house_code_stays_one() -> None:
    house = {"system": "https://lab.example", "code": "SO2"}
    found = read(observation(valueQuantity=quantity(97, "%")) | {"code": {"coding": [house, *coded(SAO2)["coding"]]}})
    assert [event.concept for event in found.events] == ["sao2"]


@pytest.mark.parametrize(
    ("concepts", "expected"),
    [(["sao2"], []), (["spo2"], ["spo2"]), (["sao2", "spo2"], ["spo2"])],
    ids=["only blood is read", "only pulse oximetry is read", "both are read"],
)
def test_what_an_event_means_does_not_depend_on_what_else_is_read(concepts: list[str], expected: list[str]) -> None:
    """Else a server, which reads one model's concepts, would see other values than the training, which reads all."""
    converter = Converter(load_vocabulary().subset(concepts), load_units())
    both = observation(valueQuantity=quantity(97, "%")) | {"code": coded(SAO2, PULSE_OXIMETRY)}
    assert [event.concept for event in read(both, converter=converter).events] == expected


def test_a_code_of_a_condition_is_no_observation() -> None:
    diabetes = next(code for code in load_vocabulary().concept("diabetes").codes if code.system == SNOMED_CT)
    found = read(observation() | {"code": coded(diabetes.code, system=SNOMED_CT)})
    assert found.refusals == [(Reason.CODE_NOT_MAPPED, None, None)]


def diagnosed(code: str, system: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/anna"},
        "code": coded(code, system=system),
        "recordedDate": "2026-11-24T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("system", "code"),
    [
        pytest.param(ICD_10_GM, "E10.30+", id="primary code with a typed dagger"),
        pytest.param(ICD_10_GM, "E10.30†", id="with a printed one"),
        pytest.param(ICD_10_GM, "E11.-", id="a category as printed"),
        pytest.param("http://fhir.de/CodeSystem/dimdi/icd-10-gm", "E14.90", id="the system's name until 2021"),
        pytest.param("http://hl7.org/fhir/sid/icd-10-cm", "E1122", id="a claim's writing"),
        pytest.param("http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9", "25000", id="MIMIC's ICD-9-CM"),
        pytest.param(
            "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd10", "E119", id="MIMIC's ICD-10-CM"
        ),
    ],
)
def test_a_diagnosis_is_found_however_its_code_is_written(system: str, code: str) -> None:
    assert [event.concept for event in read(diagnosed(code, system)).events] == ["diabetes"]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        pytest.param(fhir.Coding(system="https://loinc.org/", code=" 3091-6"), [("bun", "3091-6")], id="LOINC"),
        pytest.param(fhir.Coding(system="http://loinc.org", code="3091-6"), [("bun", "3091-6")], id="as it should be"),
        pytest.param(fhir.Coding(system="http://loinc.org", code="2160"), [], id="no code"),
    ],
)
def test_a_match_tells_the_code_as_the_system_writes_it(recorded: fhir.Coding, expected: list[tuple[str, str]]) -> None:
    """So that urea is told from urea nitrogen whatever the sender's spelling."""
    found = Matcher(load_vocabulary()).match(fhir.CodeableConcept(coding=(recorded,)), "observation")
    assert [(concept.id, code) for concept, code in found] == expected


def test_a_code_that_names_two_concepts_is_an_event_of_each() -> None:
    """I11.0: hypertensive heart disease with heart failure."""
    condition = diagnosed("I11.00", ICD_10_GM)
    assert [event.concept for event in read(condition).events] == ["heart_failure", "hypertension"]
