"""MEDS: what is written is read again, and what others write is read by the same codes and units as FHIR."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from bedside.cli import app
from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.reading.interpreter import load_interpreter
from features.reading.reader import Record
from features.refusals import Reason
from features.times import LATEST
from features.vocabulary.code import ATC_WHO
from features.vocabulary.concept import load_vocabulary
from training.dataset import DatasetError
from training.meds import MedsCode, parse_code, read_meds, write_meds
from training.readers import read_dataset
from training.store import read_events
from training.synthetic import generate

NOON = 1_795_521_600_000_000
NSAID_CODES = load_vocabulary().concept("nephrotoxic_nsaid").codes
WHO_NSAID = 1.0 + next(i for i, code in enumerate(NSAID_CODES) if code.system == ATC_WHO)  # MEDS knows no German ATC
EVENTS = (
    Event("anna", "creatinine", NOON, NOON + MICROSECONDS_PER_HOUR, 1.25),
    Event("anna", "heart_rate", NOON, NOON, 88.0),
    Event("anna", "diabetes", NOON, NOON, 1.0, LATEST),
    Event("anna", "age", 0, 0, 0.0),
    Event("anna", "sex", 0, 0, 0.0),
    Event("bert", "creatinine", NOON, NOON, 0.5),
    Event("bert", "nephrotoxic_nsaid", NOON, NOON, WHO_NSAID, NOON + MICROSECONDS_PER_HOUR),
)


def silent(_: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def read(folder: Path) -> Record:
    return read_meds(folder, load_interpreter(), silent)


def rows(events: Events) -> list[tuple[str, str, int, int, float, int]]:
    columns = zip(events.patient, events.concept, events.time, events.known, events.value, events.until, strict=True)
    return sorted(
        (events.patients[p], events.concepts[c], int(t), int(k), float(v), int(u)) for p, c, t, k, v, u in columns
    )


def made(folder: Path, *said: dict[str, Any], codes: list[dict[str, Any]] | None = None) -> Path:
    """A data set of one file, as another tool may have written it."""
    (folder / "data").mkdir(parents=True)
    (folder / "metadata").mkdir()
    (folder / "metadata" / "dataset.json").write_text(json.dumps({"dataset_name": "made"}))
    every = {name: None for one in said for name in one}
    whole = [every | {"subject_id": 7, "time": datetime(2026, 11, 24, 12), "numeric_value": None} | one for one in said]  # noqa: DTZ001 - MEDS times name no zone
    pq.write_table(pa.Table.from_pylist(whole), folder / "data" / "0.parquet")
    if codes is not None:
        pq.write_table(pa.Table.from_pylist(codes), folder / "metadata" / "codes.parquet")
    return folder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Patients, times, values, when they were known and until when they held; of the sex only the time is lost."""
    events = Events.of(EVENTS)
    assert write_meds([events], tmp_path / "meds", load_vocabulary(), name="test") == 2
    record = read(tmp_path / "meds")
    timed = [row for row in rows(record.events) if row[1] != "sex"]
    assert timed == [row for row in rows(events) if row[1] != "sex"]
    assert [row[4] for row in rows(record.events) if row[1] == "sex"] == [0.0]
    assert len(record.refusals) == 0
    assert record.resources == len(EVENTS)


def test_features_are_the_same_bits_after_the_way_through_meds(tmp_path: Path) -> None:
    features = FeatureSet(
        [
            Aggregate(concept=concept, aggregation=aggregation)
            for concept in ("creatinine", "heart_rate", "sex", "diabetes")
            for aggregation in (Aggregation.LAST, Aggregation.COUNT, Aggregation.PRESENT)
        ]
    )
    events = Events.of(EVENTS)
    write_meds([events], tmp_path / "meds", load_vocabulary(), name="test")
    index = np.array([0, 1]), np.array([NOON + 2 * MICROSECONDS_PER_HOUR] * 2)
    np.testing.assert_array_equal(
        compute(read(tmp_path / "meds").events, *index, features), compute(events, *index, features)
    )


def test_the_files_are_what_meds_asks_for(tmp_path: Path) -> None:
    """One subject in one file, sorted by time, static facts without one, and a description of every code."""
    parts = [Events.of(e for e in EVENTS if e.patient == name) for name in ("anna", "bert")]
    write_meds(parts, tmp_path / "meds", load_vocabulary(), name="test")
    tables = [pq.read_table(tmp_path / "meds" / "data" / f"{number}.parquet") for number in (0, 1)]
    for table in tables:
        assert table.schema.field("subject_id").type == pa.int64()
        assert table.schema.field("time").type == pa.timestamp("us")
        assert table.schema.field("numeric_value").type == pa.float32()
        times = [time for time in table.column("time").to_pylist() if time is not None]
        assert times == sorted(times)
    assert [set(table.column("subject_id").to_pylist()) for table in tables] == [{1}, {2}]
    used = {code for table in tables for code in table.column("code").to_pylist()}
    assert {"MEDS_BIRTH", "Gender/F", "LOINC/2160-0"} <= used
    described = pq.read_table(tmp_path / "meds" / "metadata" / "codes.parquet").column("code").to_pylist()
    assert set(described) == used
    assert json.loads((tmp_path / "meds" / "metadata" / "dataset.json").read_text())["etl_name"] == "bedside"


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """A patient in two parts is found at the end; no folder looks whole then."""
    with pytest.raises(ValueError, match="one part only"):
        write_meds([Events.of(EVENTS), Events.of(EVENTS)], tmp_path / "meds", load_vocabulary(), name="test")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="is there already"):
        write_meds([Events.of(EVENTS)], tmp_path, load_vocabulary(), name="test")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("LOINC/2160-0", MedsCode("http://loinc.org", "2160-0", None), id="as OMOP names it"),
        pytest.param("LOINC//2160-0//mg/dL", MedsCode("http://loinc.org", "2160-0", "mg/dL"), id="with a unit"),
        pytest.param("loinc/2160-0", MedsCode("http://loinc.org", "2160-0", None), id="in small letters"),
        pytest.param(
            "https://lab.example|KREA", MedsCode("https://lab.example", "KREA", None), id="as FHIR's searches"
        ),
        pytest.param("LAB//50912//mg/dL", None, id="a vocabulary of its own"),
        pytest.param("MEDS_BIRTH", None, id="no vocabulary"),
    ],
)
def test_a_code_names_its_vocabulary(text: str, code: MedsCode | None) -> None:
    assert parse_code(text) == code


@pytest.mark.parametrize(
    ("said", "value"),
    [
        pytest.param({"code": "LOINC/2160-0", "numeric_value": 1.5, "unit": "mg/dL"}, 1.5, id="a unit beside it"),
        pytest.param({"code": "LOINC//2160-0//umol/L", "numeric_value": 88.42}, 1.0, id="a unit in the code"),
    ],
)
def test_a_number_is_converted_like_any_other(tmp_path: Path, said: dict[str, Any], value: float) -> None:
    (row,) = rows(read(made(tmp_path / "meds", said)).events)
    assert row[:4] == ("7", "creatinine", NOON, NOON)
    assert row[4] == pytest.approx(value, rel=1e-3)


def test_a_code_may_be_known_by_its_parents_and_the_unit_by_the_codes_table(tmp_path: Path) -> None:
    codes = [{"code": "LAB//50912", "parent_codes": ["LOINC/2160-0"], "unit": "mg/dL"}]
    folder = made(tmp_path / "meds", {"code": "LAB//50912", "numeric_value": 1.5}, codes=codes)
    assert [row[1:2] + row[4:5] for row in rows(read(folder).events)] == [("creatinine", 1.5)]


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        pytest.param(
            {"code": "LOINC/2160-0", "numeric_value": 1.5}, (Reason.UNIT_MISSING, "creatinine", None), id="no unit"
        ),
        pytest.param(
            {"code": "LOINC/2160-0", "numeric_value": 1.5, "unit": "furlong"},
            (Reason.UNIT_UNKNOWN, "creatinine", "furlong"),
            id="a unit that nobody knows",
        ),
        pytest.param(
            {"code": "LOINC/2160-0", "unit": "mg/dL"}, (Reason.VALUE_MISSING, "creatinine", None), id="no number"
        ),
        pytest.param(
            {"code": "LOINC/2160-0", "numeric_value": 1e9, "unit": "mg/dL"},
            (Reason.VALUE_IMPLAUSIBLE, "creatinine", None),
            id="an implausible number",
        ),
        pytest.param(
            {"code": "LOINC/2160-0", "numeric_value": 1.0, "unit": "mg/dL", "time": None},
            (Reason.TIME_MISSING, "creatinine", None),
            id="no time",
        ),
        pytest.param({"code": "MEDS_DEATH"}, (Reason.CODE_NOT_MAPPED, None, None), id="a code of no concept"),
    ],
)
def test_what_cannot_be_used_is_counted(
    tmp_path: Path, said: dict[str, Any], refused: tuple[Reason, str | None, str | None]
) -> None:
    record = read(made(tmp_path / "meds", said, {"code": "LOINC/2160-0", "numeric_value": 1.0, "unit": "mg/dL"}))
    assert [(tuple(refusal), count) for refusal, count in record.refusals] == [(refused, 1)]
    assert len(record.events) == 1


@pytest.mark.parametrize("code", ["GENDER//M", "Gender/M", "META_GENDER//Male"])
def test_the_sex_is_read_as_data_sets_write_it(tmp_path: Path, code: str) -> None:
    folder = made(tmp_path / "meds", {"code": code, "time": None}, {"code": "MEDS_BIRTH"})
    assert [(row[1], row[4]) for row in rows(read(folder).events)] == [("age", 0.0), ("sex", 1.0)]


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a MEDS data set"):
        read(tmp_path)


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "meds", {"code": "LOINC/2160-0"})
    pq.write_table(pa.table({"subject_id": [1], "code": ["x"]}), folder / "data" / "0.parquet")
    with pytest.raises(DatasetError, match=r"0\.parquet: expected the columns"):
        read(folder)


def test_a_meds_folder_can_be_trained_on(tmp_path: Path) -> None:
    write_meds([Events.of(EVENTS)], tmp_path / "meds", load_vocabulary(), name="test")
    (dataset,) = read_dataset(f"meds:{tmp_path / 'meds'}", silent)
    assert dataset.name == "MEDS meds"
    assert len(dataset.record.events) == len(EVENTS)
    assert [file.name for file in dataset.files] == ["0.parquet"]


def test_extracted_events_become_a_meds_folder_by_one_command(tmp_path: Path) -> None:
    """FHIR to events to MEDS and back; what cannot be done is said in a sentence."""
    generate(tmp_path / "fhir", patients=5, seed=2)
    run = CliRunner()
    assert (
        run.invoke(app, ["extract", str(tmp_path / "fhir"), str(tmp_path / "events"), "--workers", "1"]).exit_code == 0
    )
    result = run.invoke(app, ["meds", str(tmp_path / "events"), str(tmp_path / "meds")])
    assert result.exit_code == 0, result.output
    assert "5 subjects" in result.output
    written, again = read_events(tmp_path / "events"), read(tmp_path / "meds").events
    assert written.patients == again.patients
    # MEDS has one code for a drug, whether it was ordered or about to be.
    is_kept = np.array([not name.endswith("_draft") for name in written.concepts])
    assert [name for name, kept in zip(written.concepts, is_kept, strict=True) if kept] == list(again.concepts)
    chosen = is_kept[written.concept] & (written.value > 1)
    np.testing.assert_array_equal(written.time[chosen], again.time[again.value > 1])
    refused = run.invoke(app, ["meds", str(tmp_path / "fhir"), str(tmp_path / "other")])
    assert refused.exit_code == 1
    assert not (tmp_path / "other").exists()
