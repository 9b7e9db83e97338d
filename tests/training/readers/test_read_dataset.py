"""A data set is named as KIND:PATH; anything else is refused with the kinds that there are."""

import json
from pathlib import Path

import pytest

from tests.fhir_builders import patient
from training.dataset import DatasetError, source_file
from training.readers import READERS, read_dataset


def test_the_kind_chooses_the_reader(tmp_path: Path) -> None:
    (tmp_path / "a:b.ndjson").write_text(json.dumps(patient()) + "\n", encoding="utf-8")
    (dataset,) = read_dataset(f"fhir:{tmp_path / 'a:b.ndjson'}", lambda *_: None)
    assert dataset.record.events.patients == ("p1",)


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.ndjson").write_text(json.dumps(patient()) + "\n", encoding="utf-8")
    assert len(read_dataset("fhir:~/a.ndjson", lambda *_: None)) == 1


@pytest.mark.parametrize("source", ["", "fhir", "fhir:", ":data", "excel:data", "data/set_a.parquet"])
def test_what_is_no_kind_and_path_is_refused(source: str) -> None:
    with pytest.raises(
        DatasetError, match=r"Expected data as KIND:PATH with a kind of \['fhir', 'meds', 'physionet2019'\]"
    ):
        read_dataset(source, lambda *_: None)


@pytest.mark.parametrize("kind", sorted(READERS))
def test_a_path_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: expected"):
        read_dataset(f"{kind}:{tmp_path / 'nowhere'}", lambda *_: None)


def test_a_source_file_is_told_by_name_size_hash_and_role(tmp_path: Path) -> None:
    (tmp_path / "abc.psv").write_bytes(b"abc")
    file = source_file(tmp_path / "abc.psv", "external")
    assert (file.name, file.bytes, file.role) == ("abc.psv", 3, "external")
    # SHA-256 of "abc" as FIPS 180-2, appendix B.1 gives it.
    assert file.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
