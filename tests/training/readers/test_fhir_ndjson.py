"""A folder of FHIR NDJSON is a data set, or the lines that keep it from being one are named."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from features.refusals import Reason
from tests.fhir_builders import observation, patient
from training.dataset import DatasetError
from training.extract.extraction import READING
from training.readers.fhir_ndjson import read, read_record

BROKEN = '{"resourceType": "Observation", "status": '


def nothing(*_: object) -> None:
    """No progress is shown."""


def folder_of(path: Path, *lines: object, name: str = "records.ndjson") -> Path:
    path.mkdir(exist_ok=True)
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (path / name).write_text(text, encoding="utf-8")
    return path


def test_a_folder_is_one_development_set_with_its_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "ward", patient(), observation("heart_rate", 80))
    (dataset,) = read(folder, nothing)
    assert (dataset.name, dataset.role) == ("FHIR NDJSON ward", "development")
    assert dataset.record.events.patients == ("p1",)
    assert set(dataset.record.events.concepts) == {"age", "sex", "heart_rate"}
    content = (folder / "records.ndjson").read_bytes()
    (file,) = dataset.files
    assert (file.name, file.role, file.bytes) == ("records.ndjson", "development", len(content))
    assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_the_folder_one_stands_in_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "ward", patient()))
    assert read(Path(), nothing)[0].name == "FHIR NDJSON ward"


def test_files_of_a_folder_are_read_together_compressed_or_not(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "ward", patient())
    line = json.dumps(observation("heart_rate", 80)).encode()
    (folder / "vitals.ndjson.gz").write_bytes(gzip.compress(line + b"\n"))
    (folder / "notes.txt").write_text("no FHIR", encoding="utf-8")
    (dataset,) = read(folder, nothing)
    assert "heart_rate" in dataset.record.events.concepts
    assert [file.name for file in dataset.files] == ["records.ndjson", "vitals.ndjson.gz"]


def test_broken_lines_are_named_and_nothing_is_trained_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "ward", patient(), BROKEN, observation("heart_rate", 80), "no JSON")
    with pytest.raises(DatasetError, match=r"^ward: 2 lines are not FHIR JSON: records\.ndjson:2, records\.ndjson:4\."):
        read(folder, nothing)


def test_the_rest_of_a_broken_file_is_read_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "ward", patient(), BROKEN, observation("heart_rate", 80))
    record, faults = read_record(folder, nothing)
    assert [(one.file, one.line) for one in faults] == [("records.ndjson", 2)]
    assert "heart_rate" in record.events.concepts
    assert record.refusals.total(Reason.MALFORMED) == 1


def test_a_folder_without_ndjson_and_a_file_that_breaks_off_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a FHIR NDJSON file"):
        read(tmp_path, nothing)
    (tmp_path / "cut.ndjson.gz").write_bytes(gzip.compress(json.dumps(patient()).encode() * 50)[:60])
    with pytest.raises(DatasetError, match=r"cut\.ndjson\.gz"):
        read(tmp_path, nothing)


def test_progress_ends_at_the_size_of_the_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "ward", patient())
    folder_of(folder, observation("heart_rate", 80), name="vitals.ndjson")
    told: list[tuple[str, int, int]] = []
    read(folder, lambda *step: told.append(step))
    size = sum(file.stat().st_size for file in folder.iterdir())
    read_bytes = [(done, total) for step, done, total in told if step == READING]
    assert read_bytes[-1] == (size, size)
    assert read_bytes == sorted(read_bytes)
