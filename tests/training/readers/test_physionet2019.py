"""The challenge's tables become events, and the label of the sepsis model is the label that was published."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.events import MICROSECONDS_PER_HOUR
from features.reading.reader import Record
from features.refusals import Reason
from models import sepsis
from training.dataset import DatasetError
from training.readers.physionet2019 import COLUMNS, DESCRIPTIONS, read

REAL = Path(__file__).parents[4] / "shared" / "data" / "physionet2019"
HOURS = 5


def table(patient: str = "p1", **columns: Any) -> pd.DataFrame:
    """A stay of five hours with nothing measured but what is given; float32 as the files have it."""
    given: dict[str, Any] = {name: [np.nan] * HOURS for name, _, _ in COLUMNS}
    given |= {"patient_id": [patient] * HOURS, "hour": range(HOURS), "ICULOS": range(1, HOURS + 1)}
    given |= {"Age": [64.5] * HOURS, "Gender": [1.0] * HOURS, "HospAdmTime": [-3.0] * HOURS, "Unit1": [1.0] * HOURS}
    given |= {"SepsisLabel": [0] * HOURS} | columns
    frame = pd.DataFrame(given)
    numbers = [name for name in frame.columns if name not in {"patient_id", "hour", "ICULOS", "SepsisLabel"}]
    return frame.astype(dict.fromkeys(numbers, np.float32))


def record_of(folder: Path, *tables: pd.DataFrame) -> Record:
    pd.concat(tables).to_parquet(folder / "set_a.parquet")
    (dataset,) = read(folder, lambda *_: None)
    return dataset.record


def series(record: Record, concept: str) -> list[tuple[float, float]]:
    """Hours and values of the first patient."""
    times, values = record.events.series(0, concept, at=10**15)
    return list(zip((times / MICROSECONDS_PER_HOUR).tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize(
    ("column", "recorded", "concept", "expected"),
    [
        ("HR", [80, np.nan, 91, np.nan, np.nan], "heart_rate", [(0, 80), (2, 91)]),
        ("Temp", [37.2, np.nan, np.nan, np.nan, 38.61], "temperature", [(0, 37.2), (4, 38.61)]),
        ("FiO2", [0.4, 40, 1.0, 0.21, np.nan], "fio2", [(0, 40), (1, 40), (2, 100), (3, 21)]),
        ("Creatinine", [1.3, np.nan, np.nan, np.nan, np.nan], "creatinine", [(0, 1.3)]),
        ("TroponinI", [0.02, np.nan, np.nan, np.nan, np.nan], "troponin_i", [(0, 0.02)]),
    ],
)
def test_a_column_becomes_events_in_the_concepts_unit(
    tmp_path: Path, column: str, recorded: list[float], concept: str, expected: list[tuple[float, float]]
) -> None:
    assert series(record_of(tmp_path, table("p1", **{column: recorded})), concept) == expected


def test_an_impossible_value_is_refused_and_counted_and_its_row_stays(tmp_path: Path) -> None:
    record = record_of(tmp_path, table(FiO2=[-50, 4000, 0.5, np.nan, np.nan], HR=[70, 71, 72, 73, 74]))
    assert series(record, "fio2") == [(2, 50)]
    assert len(series(record, "heart_rate")) == HOURS
    assert record.refusals.total(Reason.VALUE_IMPLAUSIBLE) == 2


def test_age_is_a_birth_and_sex_a_number(tmp_path: Path) -> None:
    record = record_of(tmp_path, table())
    ((born, _),) = series(record, "age")
    assert -born / (24 * 365.25) == pytest.approx(64.5)
    assert [value for _, value in series(record, "sex")] == [1.0]


def test_the_onset_is_six_hours_after_the_first_positive_label(tmp_path: Path) -> None:
    record = record_of(tmp_path, table(SepsisLabel=[0, 0, 1, 1, 1]))
    assert series(record, "sepsis_onset") == [(8, 1)]


def test_a_stay_reaches_from_its_first_row_to_its_last(tmp_path: Path) -> None:
    record = record_of(tmp_path, table("b"), table("a"))
    hours = [(stay.patient, stay.start, stay.end) for stay in record.stays]
    end = (HOURS - 1) * MICROSECONDS_PER_HOUR
    assert hours == [("a", 0, end), ("b", 0, end)]


@pytest.mark.parametrize(
    "labels",
    [[0, 0, 0, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]],
    ids=["never", "middle", "all", "last"],
)
def test_the_models_label_is_the_published_one(tmp_path: Path, labels: list[int]) -> None:
    record = record_of(tmp_path, table(SepsisLabel=labels))
    cohort = sepsis.cohort(record)
    assert sepsis.label(record, cohort).tolist() == [bool(label) for label in labels]


def test_minors_are_no_part_of_the_cohort(tmp_path: Path) -> None:
    record = record_of(tmp_path, table("a", Age=[17.0] * HOURS), table("b"))
    cohort = sepsis.cohort(record)
    assert set(cohort.patients.tolist()) == {1}
    assert [step.patients for step in cohort.flow] == [2, 1]


def test_a_table_without_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    table().drop(columns=["Lactate"]).to_parquet(tmp_path / "set_a.parquet")
    with pytest.raises(DatasetError, match=r"set_a\.parquet.*Lactate"):
        read(tmp_path, lambda *_: None)


def test_a_folder_without_set_a_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"set_a\.parquet"):
        read(tmp_path, lambda *_: None)


def test_every_challenge_column_is_named_once() -> None:
    names = [name for name, _, _ in COLUMNS]
    assert len(names) == len(set(names)) == 34
    assert not set(names) & set(DESCRIPTIONS)


@pytest.mark.skipif(not (REAL / "set_b_open.parquet").is_file(), reason="needs the open data of the challenge")
def test_on_real_data_every_row_is_an_index_time_with_the_published_label(tmp_path: Path) -> None:
    published = pd.read_parquet(REAL / "set_b_open.parquet")
    published.to_parquet(tmp_path / "set_a.parquet")
    (dataset,) = read(tmp_path, lambda *_: None)
    cohort = sepsis.cohort(dataset.record)
    rows = published.sort_values(["patient_id", "hour"])
    adults = rows[rows["Age"] >= 18]
    assert len(cohort.times) == len(adults)
    assert sepsis.label(dataset.record, cohort).tolist() == (adults["SepsisLabel"] == 1).tolist()
