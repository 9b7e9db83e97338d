"""NDJSON files: every line is read, or named with its file and number."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from features.fhir import Resource
from features.refusals import Reason, Refusals
from features.sources import LINES_PER_REPORT, Broken, SourceError, ndjson_files, read_ndjson

PATIENTS = [json.dumps({"resourceType": "Patient", "id": name}) for name in ("anna", "bert", "cleo")]


def plain(path: Path, text: str) -> Path:
    file = path / "Patient.ndjson"
    file.write_bytes(text.encode())
    return file


def gzipped(path: Path, text: str) -> Path:
    file = path / "Patient.ndjson.gz"
    file.write_bytes(gzip.compress(text.encode()))
    return file


def read(file: Path) -> tuple[list[str | None], list[tuple[str, int]], Refusals, list[int]]:
    """Ids, broken lines, refusals and reports of bytes."""
    refusals, broken, reports = Refusals(), list[Broken](), list[int]()
    resources: list[Resource] = list(read_ndjson(file, refusals, on_broken=broken.append, on_bytes=reports.append))
    return [one.id for one in resources], [(one.file, one.line) for one in broken], refusals, reports


@pytest.mark.parametrize("write", [plain, gzipped])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n".join(PATIENTS) + "\n", id="lines"),
        pytest.param("\n".join(PATIENTS), id="no line end at the end"),
        pytest.param("\r\n".join(PATIENTS) + "\r\n", id="lines of Windows"),
        pytest.param("\n\n  \n".join(PATIENTS) + "\n\t\n\n", id="blank lines"),
    ],
)
def test_each_line_is_a_resource(write: Callable[[Path, str], Path], text: str, tmp_path: Path) -> None:
    ids, broken, refusals, _ = read(write(tmp_path, text))
    assert ids == ["anna", "bert", "cleo"]
    assert broken == []
    assert refusals.total() == 0


@pytest.mark.parametrize("write", [plain, gzipped])
def test_a_broken_line_is_named_and_costs_itself(write: Callable[[Path, str], Path], tmp_path: Path) -> None:
    lines = [
        PATIENTS[0],
        "{",
        "",
        json.dumps({"resourceType": "Patient", "id": 5}),
        json.dumps({"resourceType": "Procedure"}),
        PATIENTS[1],
        "[" * 100_000,
        '{"resourceType": "Patient", "multipleBirth": ' + "[" * 100_000 + "]" * 100_000 + "}",
        PATIENTS[2],
    ]
    file = write(tmp_path, "\n".join(lines))
    ids, broken, refusals, _ = read(file)
    assert ids == ["anna", "bert", "cleo"]
    assert broken == [(file.name, number) for number in (2, 4, 7, 8)]
    assert refusals.by_reason() == {"malformed": 4, "resource-not-read": 1}


def test_a_byte_that_is_no_utf_8_breaks_its_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "Patient.ndjson"
    file.write_bytes(b'{"resourceType": "Patient", "id": "M\xfcller"}\n' + PATIENTS[0].encode())
    ids, broken, refusals, _ = read(file)
    assert (ids, broken) == (["anna"], [("Patient.ndjson", 1)])
    assert refusals.total(Reason.MALFORMED) == 1


@pytest.mark.parametrize("write", [plain, gzipped])
@pytest.mark.parametrize("lines", [0, 1, LINES_PER_REPORT, 2 * LINES_PER_REPORT + 7])
def test_progress_adds_up_to_all_bytes_of_the_file(
    write: Callable[[Path, str], Path], lines: int, tmp_path: Path
) -> None:
    file = write(tmp_path, "\n".join(PATIENTS[i % 3] for i in range(lines)))
    ids, _, _, reports = read(file)
    assert len(ids) == lines
    assert sum(reports) == file.stat().st_size
    assert all(report >= 0 for report in reports)


def test_nobody_needs_to_watch(tmp_path: Path) -> None:
    file = plain(tmp_path, "\n".join(PATIENTS))
    assert len(list(read_ndjson(file, Refusals(), on_broken=lambda _: None))) == 3


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[:-12], id="broken off"),
        pytest.param(lambda whole: whole[:5], id="broken off in its head"),
        pytest.param(lambda whole: whole[:20] + b"\xff" * 30 + whole[50:], id="damaged inside"),
        pytest.param(lambda whole: whole[:-8] + bytes(4) + whole[-4:], id="a wrong checksum"),
        pytest.param(lambda _: b"no gzip at all", id="no gzip at all"),
    ],
)
def test_a_gzip_file_that_is_not_whole_is_an_error_that_names_it(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    file = gzipped(tmp_path, "\n".join(PATIENTS * 50))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SourceError, match=r"Patient\.ndjson\.gz: "):
        read(file)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Patient\.ndjson: "):
        read(tmp_path / "Patient.ndjson")


def test_files_of_a_folder_come_sorted_with_medications_first(tmp_path: Path) -> None:
    for name in (
        "Patient.ndjson", "Observation.1.ndjson.gz", "Medication.ndjson", "MimicMedicationMix.ndjson", "notes.txt",
        "Observation.0.jsonl", "Condition.jsonl.gz", "LICENSE", "x.json",
    ):  # fmt: skip
        (tmp_path / name).touch()
    assert [file.name for file in ndjson_files(tmp_path)] == [
        "Medication.ndjson", "MimicMedicationMix.ndjson", "Condition.jsonl.gz", "Observation.0.jsonl",
        "Observation.1.ndjson.gz", "Patient.ndjson",
    ]  # fmt: skip


def test_one_file_may_be_named_whatever_it_is_called(tmp_path: Path) -> None:
    file = tmp_path / "export.txt"
    file.touch()
    assert ndjson_files(file) == (file,)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_ndjson_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a FHIR NDJSON file"):
        ndjson_files(tmp_path / name)
