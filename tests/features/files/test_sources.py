"""Sources: every line of every file is read, or named with its file and number; every other file is named too."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from features.files.sources import (
    EXPORT_DELETED,
    EXPORT_ERRORS,
    UNFINISHED_EXPORT,
    Broken,
    SourceError,
    find_files,
    ndjson_files,
    read_list,
    read_ndjson,
    read_pages,
)
from features.reading.fhir import Resource
from features.refusals import Reason, Refusals

PATIENTS = [json.dumps({"resourceType": "Patient", "id": name}) for name in ("anna", "bert", "cleo")]


def plain(path: Path, text: str) -> Path:
    file = path / "Patient.ndjson"
    file.write_bytes(text.encode())
    return file


def gzipped(path: Path, text: str) -> Path:
    file = path / "Patient.ndjson.gz"
    file.write_bytes(gzip.compress(text.encode()))
    return file


def zstandard(path: Path, text: str) -> Path:
    file = path / "Patient.ndjson.zst"
    file.write_bytes(zstd.compress(text.encode()))
    return file


WRITERS = pytest.mark.parametrize("write", [plain, gzipped, zstandard])


def read(file: Path) -> tuple[list[str | None], list[tuple[str, int]], Refusals, list[int]]:
    """Ids, broken lines, refusals and reports of bytes."""
    refusals, broken, reports = Refusals(), list[Broken](), list[int]()
    resources: list[Resource] = list(read_ndjson(file, refusals, on_broken=broken.append, on_bytes=reports.append))
    return [one.id for one in resources], [(one.file, one.line) for one in broken], refusals, reports


@WRITERS
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


@WRITERS
def test_a_broken_line_is_named_and_costs_itself(write: Callable[[Path, str], Path], tmp_path: Path) -> None:
    lines = [
        PATIENTS[0],
        "{",
        "",
        json.dumps({"resourceType": "Patient", "id": 5}),
        json.dumps({"resourceType": "Claim"}),
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


@WRITERS
@pytest.mark.parametrize("lines", [0, 1, 100_007])
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


@pytest.mark.parametrize("write", [gzipped, zstandard])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[:-12], id="broken off"),
        pytest.param(lambda whole: whole[:5], id="broken off in its head"),
        pytest.param(lambda _: b"", id="nothing of it"),
        pytest.param(lambda whole: whole + b"and some more", id="with something after its end"),
        pytest.param(lambda _: b"not compressed at all", id="not compressed at all"),
    ],
)
def test_a_compressed_file_that_is_not_whole_is_an_error_that_names_it(
    write: Callable[[Path, str], Path], damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    file = write(tmp_path, "\n".join(PATIENTS * 50))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SourceError, match=rf"{file.name}: .*; \d+ lines before that were read whole"):
        read(file)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[:20] + b"\xff" * 30 + whole[50:], id="damaged inside"),
        pytest.param(lambda whole: whole[:-8] + bytes(4) + whole[-4:], id="a wrong checksum"),
    ],
)
def test_a_gzip_file_that_was_damaged_is_an_error_that_names_it(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    file = gzipped(tmp_path, "\n".join(PATIENTS * 50))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SourceError, match=r"Patient\.ndjson\.gz: "):
        read(file)


@pytest.mark.parametrize("write", [gzipped, zstandard])
def test_what_came_before_a_file_broke_off_is_given_and_counted(
    write: Callable[[Path, str], Path], tmp_path: Path
) -> None:
    lines = [json.dumps({"resourceType": "Patient", "id": f"{n:x}{n * 7919 % 104729}"}) for n in range(60_000)]
    file = write(tmp_path, "\n".join(lines))
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 4])
    seen = list[str | None]()
    resources = read_ndjson(file, Refusals(), on_broken=lambda _: None)
    with pytest.raises(SourceError) as caught:
        seen += (one.id for one in resources)
    assert seen == [json.loads(line)["id"] for line in lines[: len(seen)]]
    assert 0 < len(seen) < len(lines)
    assert f"; {len(seen)} lines before that were read whole" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Patient\.ndjson: "):
        read(tmp_path / "Patient.ndjson")


BUNDLE = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": json.loads(one)} for one in PATIENTS]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("page.json", json.dumps(BUNDLE), id="a Bundle on one line"),
        pytest.param("page.json", json.dumps(BUNDLE, sort_keys=True), id="a Bundle that says last that it is one"),
        pytest.param("page.json", json.dumps(BUNDLE, indent=2), id="a Bundle on many lines"),
        pytest.param("page.json", "\ufeff" + json.dumps(BUNDLE, indent=2), id="a Bundle of Windows"),
        pytest.param("pages.ndjson", json.dumps(BUNDLE) + "\n", id="NDJSON of Bundles"),
        pytest.param("list.json", "[" + ",\n".join(PATIENTS) + "]", id="a list"),
        pytest.param("pages.json", json.dumps([BUNDLE]), id="a list of Bundles"),
        pytest.param("export", "\n".join(PATIENTS), id="NDJSON without a suffix"),
        pytest.param("export.json", "\n".join(PATIENTS), id="NDJSON called JSON"),
        pytest.param("Patient.ndjson", "\ufeff" + "\n".join(PATIENTS), id="NDJSON of Windows"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_whatever_a_file_is_called_and_however_it_holds_resources_they_are_read(
    name: str, text: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """Compressed files are told by their first bytes where their name does not say so."""
    file = tmp_path / name
    file.write_bytes(compress(text.encode()))
    assert ndjson_files(tmp_path) == (file,)
    ids, broken, refusals, reports = read(file)
    assert (ids, broken, refusals.total()) == (["anna", "bert", "cleo"], [], 0)
    assert sum(reports) == file.stat().st_size


def test_a_first_line_longer_than_any_block_is_read(tmp_path: Path) -> None:
    patients = [{"resource": {"resourceType": "Patient", "id": str(number)}} for number in range(120_000)]
    file = tmp_path / "large.json"
    file.write_text(json.dumps({"entry": patients, "resourceType": "Bundle"}))
    assert len(read(file)[0]) == 120_000


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        pytest.param("list.json", f'[{PATIENTS[0]},\n{{"resourceType": "Patient", "id": 5}}]', 2, id="in a list"),
        pytest.param("page.json", json.dumps(BUNDLE, indent=1)[:-2], 1, id="a Bundle that breaks off"),
        pytest.param(
            "page.json",
            json.dumps({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}, {}]}),
            2,
            id="an entry without a resource",
        ),
    ],
)
def test_what_is_broken_in_a_document_is_named_by_its_place(name: str, text: str, where: int, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    _, broken, refusals, _ = read(file)
    assert broken == [(name, where)]
    assert refusals.total(Reason.MALFORMED) == 1


def test_files_of_a_folder_come_sorted_with_medications_first_and_what_is_not_read_is_listed(tmp_path: Path) -> None:
    for name in (
        "Patient.ndjson", "Observation.1.ndjson.gz", "Medication.ndjson", "MimicMedicationMix.ndjson", "empty.json",
        "Observation.0.jsonl", "2024/05/Condition.jsonl.zst", ".hidden.ndjson", ".git/Patient.ndjson",
        f"{EXPORT_ERRORS}/1.ndjson", f"{EXPORT_DELETED}/1.ndjson",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "LICENSE").write_text("Apache")
    (tmp_path / "manifest.json").write_text('{"transactionTime": "2024-05-01T00:00:00Z"}')
    (tmp_path / "part-00000").write_text(PATIENTS[0])
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent, target_is_directory=True)
    found = find_files(tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found.files] == [
        "Medication.ndjson", "MimicMedicationMix.ndjson", "2024/05/Condition.jsonl.zst", "Observation.0.jsonl",
        "Observation.1.ndjson.gz", "Patient.ndjson", "part-00000",
    ]  # fmt: skip
    assert {one.name: one.why for one in found.ignored} == {
        ".git": "hidden",
        ".hidden.ndjson": "hidden",
        "LICENSE": "no FHIR JSON in its first 64 KiB",
        "elsewhere": "a link to a folder",
        "empty.json": "empty",
        EXPORT_DELETED: "what the export says was deleted",
        EXPORT_ERRORS: "what the server said of its export",
        "manifest.json": "no FHIR JSON in its first 64 KiB",
    }


def test_a_folder_into_which_an_export_is_not_finished_is_not_read(tmp_path: Path) -> None:
    plain(tmp_path, PATIENTS[0])
    (tmp_path / UNFINISHED_EXPORT).touch()
    with pytest.raises(SourceError, match="is not finished"):
        ndjson_files(tmp_path)


def test_one_file_may_be_named_whatever_it_is_called(tmp_path: Path) -> None:
    file = tmp_path / "export.txt"
    file.touch()
    assert find_files(file).files == (file,)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_fhir_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a FHIR NDJSON file"):
        ndjson_files(tmp_path / name)


def test_the_pages_of_a_search_are_read_and_what_is_no_match_is_counted() -> None:
    refusals = Refusals()
    other = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Claim"}}]}
    pages = [json.dumps(BUNDLE).encode(), json.dumps(other).encode(), b"[" * 100_000]
    assert [one.id for one in read_pages(pages, refusals)] == ["anna", "bert", "cleo"]
    assert refusals.by_reason() == {"malformed": 1, "resource-not-read": 1}


def test_a_plain_list_holds_values_or_json() -> None:
    refusals = Refusals()
    resources = [json.loads(PATIENTS[0]), PATIENTS[1], PATIENTS[2].encode(), {"id": "no type"}]
    assert [one.id for one in read_list(resources, refusals)] == ["anna", "bert", "cleo"]
    assert refusals.by_reason() == {"malformed": 1}


def test_what_the_documentation_imports_is_there() -> None:
    """Each line of docs/sources.md that begins an import is run."""
    text = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    imports = [line for line in text.splitlines() if line.startswith(("from ", "import "))]
    assert len(imports) > 5
    for line in imports:
        exec(line, {})  # noqa: S102
