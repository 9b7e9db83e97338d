"""Lines that are no FHIR, files that break off and files that hold none are named and counted; nothing else is lost."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from features.refusals import Reason
from tests.fhir_builders import observation, patient
from tests.training.extract.sources import extracted, folder_of, recorded
from training.extract import job
from training.extract.crews import crew_for
from training.extract.extraction import FaultsError, Options, extract
from training.extract.faults import MOST_BROKEN, Faults, FileFaults
from training.store import read_events

BROKEN = '{"resourceType": "Observation", "status": '
HEART_RATES = [observation("heart_rate", 60 + i, i + 1, id=str(i)) for i in range(40)]


def test_a_broken_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", records=[patient(), *HEART_RATES[:20], BROKEN, *HEART_RATES[20:]])
    with pytest.raises(FaultsError, match=r"^ward: 1 line is not FHIR JSON: records\.ndjson:22\.$"):
        extracted(source, tmp_path / "events")
    assert [path.name for path in tmp_path.iterdir()] == ["ward"]


def test_all_but_a_broken_line_is_written_where_that_is_asked_for(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", records=[patient(), *HEART_RATES[:20], BROKEN, *HEART_RATES[20:]])
    manifest = extracted(source, tmp_path / "events", keep_going=True)
    assert manifest.faults == (FileFaults(file="records.ndjson", is_fhir=True, broken=1, first=(22,)),)
    assert len(read_events(tmp_path / "events")) == 42  # with the birth and the sex


def test_a_line_in_a_range_has_its_number_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SMALLEST_RANGE", 1_000)
    lines: list[dict[str, Any] | str] = [*HEART_RATES[:20], BROKEN, *HEART_RATES[20:33], "{}", *HEART_RATES[33:]]
    record, faults = recorded(folder_of(tmp_path / "ward", records=lines), memory_bytes=8_000)
    assert [(one.file, one.line) for one in faults] == [("records.ndjson", 21), ("records.ndjson", 35)]
    assert len(record.events) == 40
    assert record.refusals.total(Reason.MALFORMED) == 2


def test_a_type_that_is_not_read_is_no_fault(tmp_path: Path) -> None:
    record, faults = recorded(folder_of(tmp_path / "ward", records=[{"resourceType": "Organization"}, patient()]))
    assert not faults
    assert record.refusals.total(Reason.RESOURCE_NOT_READ) == 1


def test_a_gzip_that_breaks_off_is_named_with_what_was_read(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", patients=[patient()])
    text = "".join(json.dumps(one) + "\n" for one in HEART_RATES * 200).encode()
    (source / "cut.ndjson.gz").write_bytes(gzip.compress(text)[:-100])
    with pytest.raises(FaultsError, match=r"cut\.ndjson\.gz: .*lines before that were read whole"):
        extracted(source, tmp_path / "events")
    manifest = extracted(source, tmp_path / "events", keep_going=True)
    (fault,) = manifest.faults
    assert (fault.is_fhir, fault.broken) == (True, 0)
    assert "heart_rate" in manifest.concepts


def test_a_pdf_that_is_called_ndjson_is_one_fault(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", patients=[patient()])
    (source / "letter.ndjson").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n")
    with pytest.raises(FaultsError, match=r"^ward: letter\.ndjson: none of its lines is FHIR JSON\.$"):
        extracted(source, tmp_path / "events")


def test_a_file_in_a_folder_is_named_with_its_folder(tmp_path: Path) -> None:
    folder_of(tmp_path / "ward")
    folder_of(tmp_path / "ward" / "june", records=[patient(), BROKEN])
    _, faults = recorded(tmp_path / "ward")
    assert [one.file for one in faults] == ["june/records.ndjson"]


def test_the_first_lines_are_named_and_all_are_counted() -> None:
    ranges = [
        FileFaults(file="a", is_fhir=True, broken=15, first=tuple(range(1, 16))),
        FileFaults(file="a", is_fhir=True, broken=15, first=tuple(range(101, 116))),
        FileFaults(file="b", is_fhir=True),
    ]
    faults = Faults.of(ranges)
    assert faults.lines == 30
    told = faults.describe()
    assert told.startswith("30 lines are not FHIR JSON: a:1, a:2, ")
    assert told.count("a:") == MOST_BROKEN
    assert [one.file for one in faults.files] == ["a"]


def test_a_target_within_its_source_leaves_no_trace_of_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder in which the work is done is nothing that was found; and `.` is told by its name."""
    (tmp_path / "Patient.ndjson").write_text('{"resourceType": "Patient", "id": "a"}\n')
    monkeypatch.chdir(tmp_path)
    with crew_for(1, None) as crew:
        options = Options()
        written = extract(Path(), Path("out"), crew=crew, options=options, keep_going=False, progress=lambda *_: None)
        assert [file.name for file in written.input] == ["Patient.ndjson"]
        (tmp_path / "Patient.ndjson").write_text("{broken\n{}\n")
        with pytest.raises(FaultsError, match=f"^{tmp_path.name}: "):
            extract(Path(), Path("other"), crew=crew, options=options, keep_going=False, progress=lambda *_: None)
