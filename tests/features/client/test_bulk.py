"""Bulk export: a server's records become a folder and a report, or an error says why not."""

import json as plain_json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.client.bulk import ExportProgress, export
from features.client.errors import ClientError, ExportError, NotFhirError
from features.client.manifest import ExportRequest
from features.client.report import ExportReport
from features.client.state import FINISHED_EXPORT
from features.client.transport import Transport
from features.files.sources import UNFINISHED_EXPORT, SourceError, find_files
from tests.features.client.fake_server import FakeServer, Reply, Time, json
from tests.features.client.hospital import GONE, KICK_OFF, OTHERS, PATIENTS, SAID, STATUS, manifest, run, whole


def test_an_export_becomes_a_folder_of_ndjson_and_a_report(
    hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    report = run(transport, folder)
    assert report == ExportReport(
        folder=folder,
        transaction_time="2024-05-01T00:00:00Z",
        files=(folder / "Patient.0001.ndjson", folder / "Resource.0002.ndjson"),
        bytes=len(PATIENTS) + len(OTHERS),
        outcomes={"error": 2, "warning": 1},
        deleted_files=1,
        miscounted=("Resource.0002.ndjson",),
        is_released=True,
    )
    assert whole(folder)
    assert {one.name for one in find_files(folder).ignored} == {FINISHED_EXPORT, "export-errors", "export-deleted"}
    assert (folder / "export-errors" / "OperationOutcome.0001.ndjson").read_bytes() == SAID
    assert (folder / "export-deleted" / "Bundle.0001.ndjson").read_bytes() == GONE
    assert [one.method for one in hospital.at(STATUS)] == ["GET", "DELETE"]
    assert (folder / FINISHED_EXPORT).stat().st_mode & 0o077 == 0


def test_the_kick_off_asks_as_the_standard_says(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    hospital.on("/fhir/Group/icu-1/$export", Reply(status=202, headers={"Content-Location": "/fhir/jobs/1"}))
    request = ExportRequest(
        level="group",
        group_id="icu-1",
        types=("Patient", "Observation"),
        since=datetime(2024, 5, 1, tzinfo=UTC),
        more=(("_typeFilter", "Observation?category=laboratory"),),
    )
    export(transport, request, folder)
    (asked,) = hospital.at("/fhir/Group/icu-1/$export")
    assert asked.headers["prefer"] == "respond-async"
    assert asked.headers["accept"] == "application/fhir+json"
    assert asked.query == {
        "_outputFormat": ["application/fhir+ndjson"],
        "_type": ["Patient,Observation"],
        "_since": ["2024-05-01T00:00:00+00:00"],
        "_typeFilter": ["Observation?category=laboratory"],
    }


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (ExportRequest(level="system"), "/$export"),
        (ExportRequest(level="patient"), "/Patient/$export"),
        (ExportRequest(level="group", group_id="a.1-B"), "/Group/a.1-B/$export"),
    ],
    ids=["system", "patient", "group"],
)
def test_each_level_has_its_operation(request_: ExportRequest, path: str) -> None:
    assert request_.url("https://f.example/r4") == (
        f"https://f.example/r4{path}?_outputFormat=application/fhir%2Bndjson"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "group"},
        {"group_id": "1"},
        {"level": "group", "group_id": "1/../x"},
        {"types": ("Patient", "a,b")},
        {"since": datetime(2024, 5, 1)},  # noqa: DTZ001 - that it has no zone is the point
    ],
    ids=["no group", "a group of all", "no id", "no type", "no zone"],
)
def test_an_export_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        ExportRequest(**wrong)


def test_the_server_is_asked_as_often_as_it_likes(
    hospital: FakeServer, transport: Transport, folder: Path, time: Time
) -> None:
    ready, seen = json(manifest(hospital)), list[ExportProgress]()
    hospital.on(
        STATUS,
        Reply(status=202, headers={"Retry-After": "90", "X-Progress": "10 %\x1b[31m"}),
        Reply(status=202, headers={"Retry-After": "Tue, 14 Nov 2023 22:15:50 GMT", "X-Progress": "50 %"}),
        Reply(status=429, headers={"Retry-After": "5"}),
        json({"resourceType": "OperationOutcome", "issue": [{"code": "transient"}]}, status=500),
        ready,
    )
    run(transport, folder, on_progress=seen.append)
    assert time.waits == [90, 60, 5, 4]
    assert [one.said for one in seen if one.phase == "waiting"] == ["10 % [31m", "50 %", ""]
    last = seen[-1]
    assert (last.phase, last.files_done, last.files) == ("downloading", 4, 4)
    assert last.bytes_done == sum(map(len, (PATIENTS, OTHERS, SAID, GONE)))
    sizes = [one.bytes_done for one in seen]
    assert sizes == sorted(sizes)


def test_waiting_has_an_end_and_the_next_run_goes_on(
    hospital: FakeServer, transport: Transport, folder: Path, time: Time
) -> None:
    hospital.on(STATUS, Reply(status=202, headers={"Retry-After": "50"}))
    with pytest.raises(ExportError, match=r"not ready after 100 s\. Run it again to go on"):
        run(transport, folder, longest_seconds=120)
    with pytest.raises(SourceError, match="is not finished"):
        find_files(folder)
    hospital.on(STATUS, json(manifest(hospital)))
    run(transport, folder)
    assert len(hospital.at(KICK_OFF)) == 1
    assert whole(folder)
    assert time.waits == [50, 50]


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        pytest.param(json({"resourceType": "OperationOutcome", "issue": [{"diagnostics": "disk full"}]}, status=500),
                     ExportError, "the export failed. It says: disk full. Run it again", id="failed"),
        pytest.param(json({}, status=404), ExportError, "no longer knows this export", id="expired"),
        pytest.param(json({}, status=400), ClientError, "HTTP 400", id="refused"),
        pytest.param(json({"output": []}), NotFhirError, "expected the manifest", id="no manifest"),
        pytest.param(
            json({"transactionTime": "", "requiresAccessToken": False, "output": [], "link": [{"relation": "next"}]}),
            NotFhirError, "got one in parts", id="a manifest in parts"),
    ],
)  # fmt: skip
def test_why_an_export_failed_is_said(
    reply: Reply, kind: type[ClientError], text: str, hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on(STATUS, reply)
    with pytest.raises(kind, match=text):
        run(transport, folder)
    assert [one.method for one in hospital.at(STATUS)] == ["GET"]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(json({}, status=404), "HTTP 404", id="no export there"),
        pytest.param(Reply(status=200), "HTTP 200", id="an answer at once"),
        pytest.param(Reply(status=202), "expected Content-Location", id="no place to ask"),
        pytest.param(Reply(status=202, headers={"Content-Location": "https://evil.example/1"}), "expected a link to",
                     id="another server to ask"),
        pytest.param(Reply(status=500), "It may have begun", id="perhaps begun"),
        pytest.param(Reply(status=202, body=b"12345", cut=1), "It may have begun", id="breaks off"),
    ],
)  # fmt: skip
def test_a_kick_off_that_fails_leaves_an_empty_folder_and_is_not_repeated(
    reply: Reply, text: str, hospital: FakeServer, transport: Transport, folder: Path, time: Time
) -> None:
    hospital.on(KICK_OFF, reply)
    with pytest.raises(ClientError, match=text):
        run(transport, folder)
    assert list(folder.iterdir()) == []
    assert len(hospital.at(KICK_OFF)) == 1
    assert time.waits == []


def test_a_kick_off_that_was_certainly_not_begun_is_repeated(
    hospital: FakeServer, transport: Transport, folder: Path, time: Time
) -> None:
    hospital.on(KICK_OFF, Reply(status=429), Reply(status=202, headers={"Content-Location": STATUS}))
    run(transport, folder)
    assert time.waits == [1]


def test_a_finished_export_is_not_fetched_again(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    report = run(transport, folder)
    before = len(hospital.asked)
    assert run(transport, folder) == report
    assert len(hospital.asked) == before


def test_a_server_that_does_not_take_note_is_told_again_the_next_time(
    hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on(STATUS, json(manifest(hospital)), Reply(status=501), Reply(status=503), Reply(status=204))
    assert [run(transport, folder).is_released for _ in range(3)] == [False, False, True]
    assert [one.method for one in hospital.at(STATUS)] == ["GET", "DELETE", "DELETE", "DELETE"]


def test_a_folder_with_other_files_is_refused(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    folder.mkdir()
    (folder / "Patient.ndjson").touch()
    with pytest.raises(ExportError, match="holds other files"):
        run(transport, folder)
    assert hospital.asked == []


@pytest.mark.usefixtures("hospital")
def test_a_folder_of_another_export_is_refused(transport: Transport, folder: Path) -> None:
    run(transport, folder)
    with pytest.raises(ExportError, match="holds another export"):
        export(transport, ExportRequest(types=("Patient",)), folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as the state"),
        (plain_json.dumps({"format": 2, "request": "r", "status_url": "s"}), "expected format 1, got 2"),
    ],
    ids=["broken", "of another version"],
)
def test_a_state_that_cannot_be_read_is_an_error(
    text: str, message: str, hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    folder.mkdir()
    (folder / UNFINISHED_EXPORT).write_text(text)
    with pytest.raises(ExportError, match=message):
        run(transport, folder)
    assert hospital.asked == []


@pytest.mark.usefixtures("hospital")
def test_a_file_that_was_removed_from_a_finished_export_is_missed(transport: Transport, folder: Path) -> None:
    run(transport, folder)
    (folder / "Patient.0001.ndjson").unlink()
    with pytest.raises(ExportError, match=r"1 files of the export are missing, such as Patient\.0001\.ndjson"):
        run(transport, folder)
