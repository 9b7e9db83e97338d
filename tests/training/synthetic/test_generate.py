"""The generated files: the same bytes for the same seed, FHIR in form, and readable to the last value."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from features import times
from features.reading.reader import Record
from features.refusals import Reason
from training.synthetic import generate
from training.synthetic.generate import TYPES
from training.synthetic.measurements import SIMULATED_UNITS

OBSERVATION = {"resourceType", "id", "status", "category", "code", "subject", "encounter", "effectiveDateTime"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def resources(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    for line in (folder / f"{name}.ndjson").read_bytes().splitlines():
        yield msgspec.json.decode(line)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    generate(tmp_path / "once", patients=5, seed=3)
    generate(tmp_path / "again", patients=5, seed=3)
    assert contents(tmp_path / "once") == contents(tmp_path / "again")


def test_another_seed_gives_other_patients(tmp_path: Path) -> None:
    generate(tmp_path / "three", patients=2, seed=3)
    generate(tmp_path / "four", patients=2, seed=4)
    assert (tmp_path / "three/Patient.ndjson").read_bytes() != (tmp_path / "four/Patient.ndjson").read_bytes()


def test_a_patient_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    generate(tmp_path / "few", patients=3, seed=3)
    generate(tmp_path / "more", patients=6, seed=3)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    assert all(more[name].startswith(content) for name, content in few.items())


def test_the_summary_counts_what_is_in_the_files(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    made = generate(tmp_path, patients=60, seed=1, progress=lambda done, total: reports.append((done, total)))
    assert {path.stem: len(path.read_bytes().splitlines()) for path in made.files} == dict(made.resources)
    assert sum(made.hospitals.values()) == made.patients == made.resources["Patient"] == 60
    assert reports == [(50, 60), (60, 60)]
    assert made.first_admission.year == 2025
    assert made.first_admission < made.last_discharge


def test_files_of_a_run_that_fails_do_not_appear(tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, patients=1, seed=1, progress=stop)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(("patients", "seed"), [(0, 1), (-1, 1), (1, -1)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, patients: int, seed: int) -> None:
    with pytest.raises(ValueError, match="expected patients ≥ 1 and seed ≥ 0"):
        generate(tmp_path, patients=patients, seed=seed)


def test_every_type_has_a_file_of_its_own(cohort_folder: Path) -> None:
    assert {path.name for path in cohort_folder.iterdir()} == {f"{name}.ndjson" for name in TYPES}
    for name in TYPES:
        assert {resource["resourceType"] for resource in resources(cohort_folder, name)} == {name}


def test_observations_have_what_fhir_requires(cohort_folder: Path) -> None:
    for observation in resources(cohort_folder, "Observation"):
        assert observation.keys() >= OBSERVATION
        assert observation["code"]["coding"][0]["system"] == "http://loinc.org"
        values = {"valueQuantity", "valueString", "dataAbsentReason", "component"} & observation.keys()
        assert len(values) == 1


def test_laboratory_results_are_issued_after_the_sample(cohort_folder: Path) -> None:
    issued = 0
    for observation in resources(cohort_folder, "Observation"):
        if "issued" in observation:
            issued += 1
            assert times.parse(observation["issued"]).first > times.parse(observation["effectiveDateTime"]).first
    assert issued > 1000


def test_inpatient_stays_lie_around_2025_and_everybody_has_one(cohort_folder: Path) -> None:
    stays = [one for one in resources(cohort_folder, "Encounter") if one["class"]["code"] == "IMP"]
    assert len(stays) == len(list(resources(cohort_folder, "Patient")))
    for stay in stays:
        assert stay["period"]["start"].startswith(("2025", "2024-12-31"))
        assert stay["period"]["start"] < stay["period"]["end"] or stay["period"]["end"][:4] == "2026"


def test_blood_pressure_comes_as_one_observation_and_as_two(cohort_folder: Path) -> None:
    codes = {one["code"]["coding"][0]["code"] for one in resources(cohort_folder, "Observation")}
    assert {"85354-9", "8480-6", "8462-4"} <= codes


def test_german_and_american_units_and_offsets_all_occur(cohort_folder: Path) -> None:
    observations = list(resources(cohort_folder, "Observation"))
    units = {one["valueQuantity"].get("unit") for one in observations if "valueQuantity" in one}
    offsets = {one["effectiveDateTime"][19:] for one in observations}
    assert {"µmol/l", "Gpt/l", "K/uL", "mg/dL", "°F", "°C", "mmol/l"} <= units
    assert offsets == {"+01:00", "+02:00", "Z", ""}  # the last: a blemish, a date only


def test_every_simulated_concept_is_read_back(record: Record) -> None:
    assert set(SIMULATED_UNITS) <= set(record.events.concepts)
    assert {"age", "sex", "diabetes", "heart_failure", "sepsis_diagnosis"} <= set(record.events.concepts)
    assert {"vancomycin", "raas_inhibitor", "loop_diuretic", "nephrotoxic_nsaid"} <= set(record.events.concepts)


def test_blemishes_are_refused_for_their_reasons_and_nothing_else_is(record: Record) -> None:
    expected = {
        Reason.STATUS,
        Reason.CODE_NOT_MAPPED,
        Reason.DATA_ABSENT,
        Reason.VALUE_NOT_NUMERIC,
        Reason.VALUE_IMPLAUSIBLE,
        Reason.UNIT_MISSING,
        Reason.UNIT_UNKNOWN,
        Reason.UNIT_INCOMPATIBLE,
        Reason.TIME_IMPRECISE,
        Reason.DUPLICATE,
    }
    assert set(record.refusals.by_reason()) == {reason.value for reason in expected}
    assert record.refusals.total() < 0.05 * record.resources


# Where the middle of a hospital's patients must lie, in the canonical unit: wide enough for 80 patients of any
# hospital, and narrow enough that a factor of 2 (urea for urea nitrogen) or 1.6 (mmol/L for g/dL) falls outside.
MEDIANS = {
    "creatinine": (0.7, 1.4),
    "bun": (11, 24),
    "hemoglobin": (10.5, 14.5),
    "glucose": (95, 150),
    "wbc": (6, 12),
    "platelets": (190, 300),
    "temperature": (36.3, 37.4),
    "albumin": (30, 42),
    "potassium": (3.7, 4.6),
}


@pytest.mark.parametrize("concept", MEDIANS)
def test_all_hospitals_give_the_same_canonical_values(cohort_folder: Path, record: Record, concept: str) -> None:
    events = record.events
    hospital_of = {
        one["subject"]["reference"].removeprefix("Patient/"): one["serviceProvider"]["display"]
        for one in resources(cohort_folder, "Encounter")
    }
    hospitals = np.array([hospital_of[patient] for patient in events.patients])[events.patient]
    low, high = MEDIANS[concept]
    is_concept = events.concept == events.concepts.index(concept)
    assert len(set(hospital_of.values())) == 3
    for hospital in set(hospital_of.values()):
        assert low < float(np.median(events.value[is_concept & (hospitals == hospital)])) < high
