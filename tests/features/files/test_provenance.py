"""The FHIR version of a folder: written down when it was downloaded, never guessed from its resources."""

from pathlib import Path

import pytest

from features.files.blocks import SourceError
from features.files.provenance import PROVENANCE, note_version, noted_version
from features.files.sources import find_files
from features.reading.versions import FhirVersionError


@pytest.mark.parametrize(("said", "version"), [("4.0.1", "R4"), ("4.3.0", "R4B"), ("5.0.0", "R5")])
def test_what_the_server_said_is_known_later(tmp_path: Path, said: str, version: str) -> None:
    note_version(tmp_path, said)
    assert noted_version(tmp_path) == version
    assert [file.name for file in tmp_path.iterdir()] == [PROVENANCE]


def test_where_nobody_said_it_nothing_is_known(tmp_path: Path) -> None:
    file = tmp_path / "Patient.ndjson"
    file.write_text("{}")
    assert noted_version(tmp_path) is None
    assert noted_version(file) is None


def test_it_is_no_resource(tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson").write_text('{"resourceType": "Patient"}')
    note_version(tmp_path, "4.0.1")
    found = find_files(tmp_path)
    assert [file.name for file in found.files] == ["Patient.ndjson"]


def test_a_version_that_is_not_read_is_not_written_down(tmp_path: Path) -> None:
    with pytest.raises(FhirVersionError, match=r"3\.0\.2"):
        note_version(tmp_path, "3.0.2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("noted", ["", "{}", '{"fhirVersion": "3.0.2"}', "ÿ"])
def test_a_note_that_cannot_be_read_is_an_error(tmp_path: Path, noted: str) -> None:
    (tmp_path / PROVENANCE).write_text(noted, encoding="latin-1")
    with pytest.raises(SourceError, match=PROVENANCE):
        noted_version(tmp_path)
