"""One contributor's line: its value, unit, reference range, time, change and sentence, as far as each is known."""

import dataclasses

import msgspec
import pytest

from serving.assess import ServedModel
from tests.fhir_builders import Json, gentamicin, kidney_disease, observation, patient, quantity, vitals
from tests.serving.assessing import assessed, line


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        pytest.param(
            observation("heart_rate", 131, 0),
            "**Heart rate** 131 /min (reference 60–100), at 10:30, +51 since 09:30. "
            "Fast heart rate, as with pain or fever.",
            id="high, with a change",
        ),
        pytest.param(
            observation("heart_rate", 40, 0.5),
            "**Heart rate** 40 /min (reference 60–100), 30 min ago (10:00), −40 since 09:30. Slow heart rate.",
            id="low, with a change",
        ),
        pytest.param(
            observation("temperature", 36.8, 0.5),
            "**Body temperature** 36.8 °C (reference 36.0–37.5), 30 min ago (10:00), unchanged since 08:30.",
            id="within the range, unchanged, nothing to add",
        ),
        pytest.param(
            observation("temperature", 34.0, 0.5),
            "**Body temperature** 34.0 °C (reference 36.0–37.5), 30 min ago (10:00), −2.8 since 08:30. "
            "Low temperature.",
            id="low, with a decimal",
        ),
        pytest.param(
            observation("creatinine", 79.56, 0.5, valueQuantity=quantity(79.56, "umol/L")),
            "**Creatinine** 0.90 mg/dL (reference 0.50–0.95), 30 min ago (10:00), +0.10 since 04:30. "
            "Creatinine of the last days.",
            id="converted to the model's unit",
        ),
        pytest.param(
            kidney_disease(recordedDate="2014-02-11"),
            "**Chronic kidney disease** recorded, 12 years ago.",
            id="a diagnosis: no time of day",
        ),
        pytest.param(gentamicin(10), "**Aminoglycoside antibiotic** recorded, 10 h ago (00:30).", id="a drug"),
    ],
)
def test_a_contributor_is_told_with_all_that_is_known_of_it(resource: Json, expected: str, linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), resource)
    named = expected.split("**")[1]
    (one,) = [each for each in found.contributors if _name(linear, each.concept) == named]
    told = dataclasses.replace(found, contributors=(msgspec.structs.replace(one, contribution=1.0),))
    assert line(told, named) == f"- ■■■■■ {expected}"


def _name(served: ServedModel, concept: str) -> str:
    return served.interpreter.vocabulary.concept(concept).words["en"].name


@pytest.mark.parametrize(
    ("concept", "expected"),
    [
        pytest.param("mean_pressure", "**Mean arterial pressure** no usable value.", id="not measured"),
        pytest.param("aminoglycoside", "**Aminoglycoside antibiotic** not recorded.", id="not given"),
        pytest.param("age", "**Age** 66 years.", id="age by the calendar"),
        pytest.param("sex", "**Sex** female.", id="sex"),
    ],
)
def test_a_contributor_without_a_measurement_is_told_in_words(concept: str, expected: str, linear: ServedModel) -> None:
    found = assessed(linear, *vitals())
    (one,) = [each for each in found.contributors if each.concept == concept]
    told = dataclasses.replace(found, contributors=(msgspec.structs.replace(one, contribution=-0.5),))
    assert line(told, "**" + expected.split("**")[1]) == f"- ■■■■■ {expected}"


@pytest.mark.parametrize(
    ("birth_date", "years"),
    [("1960-03-14", 66), ("1960-03-15", 65), ("1960-03-13", 66), ("2004-02-29", 22), ("1959", 66)],
)
def test_age_is_in_full_years_as_everyone_counts_them(birth_date: str, years: int, linear: ServedModel) -> None:
    found = assessed(linear, *vitals(), who=patient(birthDate=birth_date))
    (one,) = [each for each in found.contributors if each.concept == "age"]
    told = dataclasses.replace(found, contributors=(msgspec.structs.replace(one, contribution=1.0),))
    assert f"**Age** {years} years." in line(told, "**Age**")


@pytest.mark.parametrize(
    ("gender", "reference", "phrase"),
    [
        ("female", " (reference 0.50–0.95)", "Creatinine above the reference range."),
        ("male", " (reference 0.65–1.20)", "Creatinine of the last days."),
        ("other", "", "Creatinine of the last days."),
    ],
)
def test_the_reference_range_is_the_one_of_the_sex_and_of_both_only_where_they_share_it(
    gender: str, reference: str, phrase: str, linear: ServedModel
) -> None:
    found = assessed(linear, *vitals()[1:], observation("creatinine", 1.1, 2), who=patient(gender=gender))
    assert line(found, "Creatinine").endswith(f"1.10 mg/dL{reference}, 2 h ago (08:30). {phrase}")
