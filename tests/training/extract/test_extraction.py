"""However a source is cut and whoever reads it, the events are the same; and a target is there whole or not at all."""

import gzip
from pathlib import Path

import pytest

from features.reading.interpreter import load_interpreter
from features.reading.statements import Stay
from features.refusals import Reason
from tests.fhir_builders import NOW, at, gentamicin, observation, patient
from tests.training.extract.sources import (
    SCARCE,
    assert_same,
    assert_same_events,
    contents,
    extracted,
    folder_of,
    in_one_go,
    no_progress,
    recorded,
)
from training.dataset import DatasetError
from training.extract import job, manifest
from training.extract.crews import Processes
from training.extract.extraction import READING, Options, extract
from training.extract.manifest import MANIFEST, NotWholeError, read_manifest
from training.store import read_events, read_parts, read_stays

GENTAMICIN = {"coding": [{"system": "http://www.whocc.no/atc", "code": "J01GB03"}]}


@pytest.mark.parametrize("range_bytes", [5_000, 1 << 20], ids=["many shares", "a share a file"])
@pytest.mark.parametrize("memory_bytes", [SCARCE, 1 << 30], ids=["many partitions", "one partition"])
def test_the_record_does_not_depend_on_how_it_was_cut(
    cohort: Path, memory_bytes: int, range_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "SMALLEST_RANGE", range_bytes)
    found, faults = recorded(cohort, memory_bytes=memory_bytes)
    assert not faults
    assert_same(found, in_one_go(cohort))


def test_compressed_files_are_spilled_in_segments(cohort: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in cohort.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    found, _ = recorded(packed, memory_bytes=SCARCE)
    assert_same(found, in_one_go(cohort))


def test_two_processes_write_the_same_bytes_as_one(cohort: Path, tmp_path: Path) -> None:
    options = Options(memory_bytes=SCARCE)
    with Processes(2) as crew:
        extract(cohort, tmp_path / "two", crew=crew, options=options, keep_going=False, progress=no_progress)
    extracted(cohort, tmp_path / "one", memory_bytes=SCARCE)
    found = contents(tmp_path / "two")
    assert found == contents(tmp_path / "one")
    assert sum(name.startswith("events/") for name in found) > 2


def test_what_was_written_is_read_back_whole_and_part_by_part(cohort: Path, tmp_path: Path) -> None:
    expected = in_one_go(cohort)
    written = extracted(cohort, tmp_path / "events", memory_bytes=SCARCE)
    assert_same_events(read_events(tmp_path / "events"), expected.events)
    parts = list(read_parts(tmp_path / "events"))
    assert [(len(part.patients), len(part)) for part in parts] == [(p.patients, p.events) for p in written.parts]
    assert sum(len(part.patients) for part in parts) == len(expected.events.patients)  # each in one part
    stays: set[Stay] = {stay for part in read_stays(tmp_path / "events") for stay in part}
    assert stays == set(expected.stays)


def test_the_same_resource_in_two_files_is_one_event(tmp_path: Path) -> None:
    twice = observation("heart_rate", 80, id="a")
    record, _ = recorded(folder_of(tmp_path / "ward", first=[twice], second=[patient(), twice]))
    assert record.events.value[record.events.concept == record.events.concepts.index("heart_rate")].tolist() == [80]
    assert record.refusals.total(Reason.DUPLICATE) == 1


@pytest.mark.parametrize("later", ["first", "second"], ids=["correction read first", "correction read last"])
def test_a_correction_in_another_file_holds(later: str, tmp_path: Path) -> None:
    earlier = "second" if later == "first" else "first"
    wrong = observation("heart_rate", 180, id="a", meta={"lastUpdated": at(1)})
    right = observation("heart_rate", 80, id="a", status="corrected", meta={"lastUpdated": at(0)})
    record, _ = recorded(folder_of(tmp_path / "ward", **{earlier: [wrong], later: [right]}))
    assert record.events.value.tolist() == [80]
    assert record.refusals.total(Reason.REPLACED) == 1


def test_a_drug_is_found_in_the_last_file_and_by_patients_of_every_partition(tmp_path: Path) -> None:
    orders = [
        gentamicin(of=f"p{i}", medicationCodeableConcept=None, medicationReference={"reference": "Medication/g"})
        for i in range(20)
    ]
    drug = {"resourceType": "Medication", "id": "g", "code": GENTAMICIN}
    source = folder_of(tmp_path / "ward", a_orders=orders, z_drugs=[drug])
    record, _ = recorded(source, memory_bytes=2_000)
    assert_same(record, in_one_go(source))
    assert len(record.events) == 2 * 20  # each was ordered, and was a draft the instant before
    assert record.refusals.total() == 0


def test_of_two_drugs_of_one_id_the_one_read_last_holds(tmp_path: Path) -> None:
    order = gentamicin(medicationCodeableConcept=None, medicationReference={"reference": "Medication/g"})
    other = {"resourceType": "Medication", "id": "g", "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]}}
    drug = other | {"code": GENTAMICIN}
    source = folder_of(tmp_path / "ward", a=[drug], b=[order], c=[other])
    record, _ = recorded(source)
    assert_same(record, in_one_go(source))
    assert len(record.events) == 0


def test_a_drug_that_is_nowhere_is_counted(tmp_path: Path) -> None:
    order = gentamicin(medicationCodeableConcept=None, medicationReference={"reference": "Medication/g"})
    record, _ = recorded(folder_of(tmp_path / "ward", a=[order]))
    assert record.refusals.total(Reason.REFERENCE_UNRESOLVED) == 1


def test_a_report_in_another_file_gives_its_results_their_time(tmp_path: Path) -> None:
    result = observation("creatinine", 1.1, id="c", effectiveDateTime=None)
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": at(3),
        "result": [{"reference": "Observation/c"}],
    }
    source = folder_of(tmp_path / "ward", a=[result], b=[report])
    record, _ = recorded(source)
    assert_same(record, in_one_go(source))
    assert record.events.time.tolist() == [int(NOW.timestamp() * 1e6) - 3 * 3_600_000_000]


def test_an_empty_file_is_no_fault_and_no_events_are_a_target_too(tmp_path: Path) -> None:
    written = extracted(folder_of(tmp_path / "ward", nothing=[]), tmp_path / "events")
    assert (written.resources, written.events, written.faults) == (0, 0, ())
    assert len(read_events(tmp_path / "events")) == 0


def test_a_manifest_says_what_was_read_and_what_was_not(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", records=[patient(), observation("heart_rate", 80)])
    (source / "notes.txt").write_text("no FHIR", encoding="utf-8")
    written = extracted(source, tmp_path / "events")
    assert read_manifest(tmp_path / "events") == written
    assert (written.resources, written.patients, written.events) == (2, 1, 3)
    assert written.concepts == ("age", "heart_rate", "sex")
    assert [(file.name, file.ignored is None) for file in written.input] == [
        ("records.ndjson", True),
        ("notes.txt", False),
    ]


def test_a_target_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "ward", records=[patient()])
    (tmp_path / "events").mkdir()
    with pytest.raises(DatasetError, match="expected a path where nothing is yet"):
        extracted(source, tmp_path / "events")
    assert list((tmp_path / "events").iterdir()) == []


def test_an_extraction_that_ends_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path / "ward", records=[patient()])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extracted(source, tmp_path / "events")
    assert [path.name for path in tmp_path.iterdir()] == ["ward"]


def test_a_folder_without_its_manifest_is_refused(tmp_path: Path) -> None:
    """As a machine that fell between the parts and the manifest would leave it, under whatever name."""
    extracted(folder_of(tmp_path / "ward", records=[patient()]), tmp_path / "events")
    (tmp_path / "events" / MANIFEST).unlink()
    for read in (read_events, read_parts, read_stays):
        with pytest.raises(
            NotWholeError, match=r"without it the extraction did not end\. Remove the folder and extract"
        ):
            read(tmp_path / "events")


@pytest.mark.parametrize("kind", ["events", "stays"])
@pytest.mark.parametrize(("cut", "expected"), [(True, "expected .* bytes"), (False, "not there")])
def test_a_part_that_is_cut_short_or_missing_is_named(kind: str, expected: str, tmp_path: Path, *, cut: bool) -> None:
    extracted(folder_of(tmp_path / "ward", records=[patient()]), tmp_path / "events")
    part = tmp_path / "events" / kind / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    if not cut:
        part.unlink()
    with pytest.raises(NotWholeError, match=rf"part-00000\.parquet: .*{expected}"):
        read_parts(tmp_path / "events")


def test_progress_counts_the_bytes_of_the_files_up_to_all_of_them(cohort: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    extract(
        cohort,
        tmp_path / "events",
        crew=Processes(1),
        options=Options(),
        keep_going=False,
        progress=lambda *step: told.append(step),
    )
    read = [(done, total) for step, done, total in told if step == READING]
    size = sum(file.stat().st_size for file in cohort.iterdir())
    assert read[-1] == (size, size)
    assert read == sorted(read)


def test_a_worker_with_other_rules_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spill").mkdir()
    other = job.Job(
        spill=tmp_path / "spill", target=tmp_path, partitions=1, segment_bytes=1, version="R4", rules="0.0.1"
    )
    with pytest.raises(job.JobError, match=r"Expected a worker with Bedside 0\.0\.1"):
        other.check()
    assert load_interpreter().concepts  # the rules name the vocabulary


@pytest.mark.parametrize(
    ("plain", "memory", "expected"),
    [(0, 1 << 30, 1), (1 << 29, 1 << 30, 1), ((1 << 29) + 1, 1 << 30, 2), (1 << 40, 1 << 32, 512)],
    ids=["nothing", "fits", "just does not", "a terabyte in 4 GiB"],
)
def test_partitions_follow_from_input_and_memory(plain: int, memory: int, expected: int) -> None:
    assert job.partitions_for(plain, memory) == expected


@pytest.mark.parametrize(("text", "expected"), [("64M", 1 << 26), ("4G", 1 << 32), ("2GiB", 1 << 31), ("512 m", None)])
def test_memory_is_said_with_its_unit(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(job.JobError, match="Expected an amount of memory from 64M on"):
            job.memory_bytes(text)
    else:
        assert job.memory_bytes(text) == expected
