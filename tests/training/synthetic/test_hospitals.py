"""How the hospitals write: codes, units and clocks."""

from datetime import UTC, datetime

import pytest

from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import load_converter
from training.synthetic.hospitals import HOSPITALS
from training.synthetic.measurements import SIMULATED_UNITS
from training.synthetic.resources import Recorder
from training.synthetic.terminology import TYPICAL, TerminologyError, code_in, loinc_code, recording_factor

NORTH, SOUTH, WEST = HOSPITALS


@pytest.mark.parametrize("system", TYPICAL)
def test_each_typical_code_is_found_under_its_concept(system: str) -> None:
    for concept, code in TYPICAL[system].items():
        assert concept in {found.id for found in load_vocabulary().lookup(system, code.code)}


@pytest.mark.parametrize(
    ("concept", "ucum", "as_urea", "expected"),
    [
        ("creatinine", "umol/L", False, "14682-9"),
        ("creatinine", "mg/dL", False, "2160-0"),
        ("bun", "mmol/L", True, "22664-7"),
        ("bun", "mg/dL", True, "3091-6"),
        ("bun", "mg/dL", False, "3094-0"),
        ("sodium", "meq/L", False, "2951-2"),
        ("wbc", None, False, "6690-2"),
        ("heart_rate", "/min", False, "8867-4"),
    ],
)
def test_the_code_fits_the_unit(concept: str, ucum: str | None, as_urea: bool, expected: str) -> None:  # noqa: FBT001
    assert loinc_code(load_vocabulary().concept(concept), ucum, as_urea=as_urea).code == expected


# Worked by hand: creatinine 113.12 g/mol; urea 60.056 g/mol holds 28.014 g of nitrogen; glucose 180.156 g/mol;
# haemoglobin 16,114 g/mol (monomer); 37 °C = 98.6 °F.
@pytest.mark.parametrize(
    ("hospital", "concept", "simulated", "written"),
    [
        pytest.param(NORTH, "creatinine", 1.0, 88.40, id="mg/dL as µmol/L"),
        pytest.param(NORTH, "bun", 28.014, 10.0, id="urea nitrogen mg/dL as urea mmol/L"),
        pytest.param(SOUTH, "bun", 28.014, 60.056, id="urea nitrogen mg/dL as urea mg/dL"),
        pytest.param(WEST, "bun", 28.014, 28.014, id="urea nitrogen as itself"),
        pytest.param(NORTH, "glucose", 180.156, 10.0, id="mg/dL as mmol/L"),
        pytest.param(NORTH, "hemoglobin", 16.114, 10.0, id="g/dL as mmol/L"),
        pytest.param(NORTH, "wbc", 8.0, 8.0, id="10*9/L as Gpt/l"),
        pytest.param(WEST, "temperature", 37.0, 98.6, id="°C as °F"),
        pytest.param(WEST, "c_reactive_protein", 50.0, 5.0, id="mg/L as mg/dL"),
        pytest.param(WEST, "sodium", 140.0, 140.0, id="mmol/L as mEq/L"),
    ],
)
def test_values_are_written_in_the_hospitals_unit(
    hospital: object, concept: str, simulated: float, written: float
) -> None:
    place = next(one for one in HOSPITALS if one is hospital)
    unit, meant = place.units[concept], load_vocabulary().concept(concept)
    code = loinc_code(meant, unit.ucum, as_urea=place.writes_urea)
    scale, offset = recording_factor(
        load_converter(), meant, code, simulated_ucum=SIMULATED_UNITS[concept], unit=unit.text, ucum=unit.ucum
    )
    assert simulated * scale + offset == pytest.approx(written, rel=1e-4)


def test_a_unit_that_does_not_fit_is_an_error_when_the_hospital_is_set_up() -> None:
    concept = load_vocabulary().concept("creatinine")
    code = loinc_code(concept, "mg/dL", as_urea=False)
    with pytest.raises(TerminologyError, match="unit table refuses"):
        recording_factor(load_converter(), concept, code, simulated_ucum="mg/dL", unit="°C", ucum="Cel")


def test_a_concept_without_a_code_of_the_system_is_an_error() -> None:
    with pytest.raises(TerminologyError, match="expected a code of one of"):
        code_in(load_vocabulary().concept("vancomycin"), ["http://loinc.org"])


@pytest.mark.parametrize(
    ("utc", "north", "west"),
    [
        pytest.param((2025, 3, 30, 0, 59), "2025-03-30T01:59:00+01:00", "2025-03-30T00:59:00Z", id="last of winter"),
        pytest.param((2025, 3, 30, 1, 0), "2025-03-30T03:00:00+02:00", "2025-03-30T01:00:00Z", id="first of summer"),
        pytest.param((2025, 10, 26, 0, 59), "2025-10-26T02:59:00+02:00", "2025-10-26T00:59:00Z", id="last of summer"),
        pytest.param((2025, 10, 26, 1, 0), "2025-10-26T02:00:00+01:00", "2025-10-26T01:00:00Z", id="first of winter"),
    ],
)
def test_clocks_follow_the_rule_of_summer_time(utc: tuple[int, int, int, int, int], north: str, west: str) -> None:
    instant = datetime(*utc, tzinfo=UTC)
    assert NORTH.written(instant) == north
    assert WEST.written(instant) == west


def test_drugs_are_references_in_one_hospital_alone() -> None:
    medications = {place.id: list(Recorder(place, load_converter()).medications()) for place in HOSPITALS}
    assert {name: len(found) > 0 for name, found in medications.items()} == {
        "north": False,
        "south": True,
        "west": False,
    }
