"""Downloads: whole files in the folder, whatever breaks on the way; an interrupted export goes on where it stood."""

import gzip
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from features.client.bulk import ExportProgress
from features.client.errors import ClientError, OtherOriginError, UnavailableError
from features.client.transport import Transport
from features.client.urls import origin_of
from features.files.sources import SourceError, find_files
from tests.features.client.fake_server import FakeServer, Reply, json
from tests.features.client.hospital import (
    KICK_OFF,
    OTHERS,
    PATIENTS,
    STATUS,
    Tokens,
    ids_in,
    manifest,
    ranged,
    ranges,
    run,
    whole,
)


def test_a_download_that_breaks_off_goes_on_by_range(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    hospital.on(
        "/fhir/files/1",
        ranged(PATIENTS, cut=300_000),
        Reply(status=503),
        ranged(PATIENTS, cut=200_000),
        ranged(PATIENTS),
    )
    run(transport, folder)
    assert whole(folder)
    assert ranges(hospital) == [None, "bytes=300000-", "bytes=300000-", "bytes=500000-"]


def test_many_breaks_are_endured_as_long_as_there_is_progress(
    hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on("/fhir/files/1", *[ranged(PATIENTS, cut=60_000)] * 9, ranged(PATIENTS))
    run(transport, folder)
    assert whole(folder)
    assert len(ranges(hospital)) == 10


def test_without_progress_patience_ends_and_the_next_run_goes_on(
    hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on("/fhir/files/1", ranged(PATIENTS, cut=300_000), Reply(status=503))
    with pytest.raises(UnavailableError):
        run(transport, folder)
    assert (folder / "Patient.0001.ndjson.part").stat().st_size == 300_000
    assert not (folder / "Patient.0001.ndjson").exists()
    hospital.on("/fhir/files/1", ranged(PATIENTS))
    run(transport, folder)
    assert whole(folder)
    assert ranges(hospital)[-1] == "bytes=300000-"


def test_a_range_that_ends_early_is_gone_on_with(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    size = f"/{len(PATIENTS)}"
    early = Reply(status=206, headers={"Content-Range": f"bytes 300000-399999{size}"}, body=PATIENTS[300_000:400_000])
    hospital.on("/fhir/files/1", ranged(PATIENTS, cut=300_000), early, ranged(PATIENTS))
    run(transport, folder)
    assert whole(folder)
    assert ranges(hospital) == [None, "bytes=300000-", "bytes=400000-"]


@pytest.mark.parametrize(
    ("second", "asked"),
    [
        pytest.param([ranged(PATIENTS, etag='"v2"')], ["bytes=300000-"], id="another version of the file"),
        pytest.param([Reply(body=PATIENTS)], ["bytes=300000-"], id="a server without ranges"),
        pytest.param([Reply(status=206, headers={"Content-Range": f"bytes 7-{len(PATIENTS) - 1}/{len(PATIENTS)}"},
                            body=PATIENTS[7:]), ranged(PATIENTS)], ["bytes=300000-", None], id="another range"),
        pytest.param([Reply(status=206, headers={"Content-Range": "bytes 300000-300001/300002"}, body=b"xx"),
                      ranged(PATIENTS)], ["bytes=300000-", None], id="a range of another size"),
        pytest.param([Reply(status=416), ranged(PATIENTS)], ["bytes=300000-", None], id="no such range"),
    ],
)  # fmt: skip
def test_what_cannot_be_gone_on_with_is_fetched_from_its_start(
    second: list[Any], asked: list[str | None], hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on("/fhir/files/1", ranged(PATIENTS, cut=300_000), *second)
    run(transport, folder)
    assert whole(folder)
    assert ranges(hospital) == [None, *asked]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        pytest.param({}, None, id="nothing to know it by"),
        pytest.param({"ETag": 'W/"v1"'}, None, id="a weak ETag"),
        pytest.param({"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}, "bytes=300000-", id="a date"),
    ],
)
def test_a_file_is_gone_on_with_only_if_it_can_be_known_again(
    headers: dict[str, str], asked: str | None, hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    first = Reply(headers=headers, body=PATIENTS, cut=300_000)
    hospital.on("/fhir/files/1", first, Reply(body=PATIENTS))
    run(transport, folder)
    assert whole(folder)
    assert ranges(hospital) == [None, asked]


def test_a_file_whose_last_byte_came_before_the_break_is_whole(
    hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on("/fhir/files/1", ranged(PATIENTS, cut=300_000), Reply(status=503))
    with pytest.raises(UnavailableError):
        run(transport, folder)
    (folder / "Patient.0001.ndjson.part").write_bytes(PATIENTS)
    hospital.on("/fhir/files/1", ranged(PATIENTS))
    run(transport, folder)
    assert whole(folder)


def test_files_compressed_for_the_way_stay_so(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    packed = gzip.compress(PATIENTS)
    hospital.on("/fhir/files/1", ranged(packed, cut=20_000, encoding="gzip"), ranged(packed, encoding="gzip"))
    report = run(transport, folder)
    assert report.files[0] == folder / "Patient.0001.ndjson.gz"
    assert report.miscounted == ("Resource.0002.ndjson",)
    assert ranges(hospital) == [None, "bytes=20000-"]
    assert whole(folder)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(Reply(headers={"Content-Type": "text/html"}, body=b"<html>"), "an HTML page", id="a login page"),
        pytest.param(
            Reply(headers={"Content-Encoding": "br"}, body=b"x"), "got another encoding", id="another encoding"
        ),
        pytest.param(Reply(status=403), "ask for the scope", id="refused"),
        pytest.param(Reply(status=410), "expire. Begin anew", id="expired"),
    ],
)
def test_what_is_no_file_of_an_export_is_an_error_and_never_looks_whole(
    reply: Reply, text: str, hospital: FakeServer, transport: Transport, folder: Path
) -> None:
    hospital.on("/fhir/files/1", reply)
    with pytest.raises(ClientError, match=text):
        run(transport, folder)
    assert not (folder / "Patient.0001.ndjson").exists()


def test_files_elsewhere_are_fetched_only_if_that_is_allowed_and_without_a_token(
    hospital: FakeServer, elsewhere: FakeServer, transport: Transport, folder: Path
) -> None:
    listed = {"output": [{"type": "Patient", "url": f"{elsewhere.base}/1"}], "error": [], "deleted": []}
    elsewhere.on("/fhir/1", Reply(body=OTHERS))
    origins = [origin_of(elsewhere.base)]
    hospital.on(STATUS, json(manifest(hospital, **listed)))
    with pytest.raises(OtherOriginError):  # the server wants a token there
        run(transport.authorized(Tokens()), folder, other_origins=origins)
    hospital.on(STATUS, json(manifest(hospital, requiresAccessToken=False, **listed)))
    with pytest.raises(OtherOriginError):
        run(transport.authorized(Tokens()), folder)
    assert elsewhere.asked == []
    run(transport.authorized(Tokens()), folder, other_origins=origins)
    assert list(ids_in(folder)) == ["x"]
    assert [one.headers.get("authorization") for one in elsewhere.asked] == [None]
    assert {one.headers.get("authorization") for one in hospital.asked} == {"Bearer secret"}


@pytest.mark.parametrize(("wanted", "sent"), [(True, "Bearer secret"), (False, None)], ids=["wanted", "not wanted"])
def test_files_are_asked_for_with_a_token_if_the_server_wants_one(
    wanted: bool,  # noqa: FBT001
    sent: str | None,
    hospital: FakeServer,
    transport: Transport,
    folder: Path,
) -> None:
    hospital.on(STATUS, json(manifest(hospital, requiresAccessToken=wanted)))
    run(transport.authorized(Tokens()), folder)
    assert [one.headers.get("authorization") for one in hospital.at("/fhir/files/1")] == [sent]


def test_an_interrupted_export_goes_on_where_it_stood(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    def interrupt(progress: ExportProgress) -> None:
        if progress.files_done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(transport, folder, on_progress=interrupt)
    with pytest.raises(SourceError, match="is not finished"):
        find_files(folder)
    before = len(hospital.asked)
    run(transport, folder)
    assert [one.path for one in hospital.asked[before:]] == [*(f"/fhir/files/{n}" for n in (2, 3, 4)), STATUS]
    assert whole(folder)


PROGRAM = """
import sys
from pathlib import Path
from features.client.manifest import ExportRequest
from features.client.server import open_server
with open_server(sys.argv[1]) as server:
    server.export(ExportRequest(), Path(sys.argv[2]))
"""


def test_a_killed_export_goes_on_where_it_stood(hospital: FakeServer, transport: Transport, folder: Path) -> None:
    """A process is killed while a file is on its way; another one goes on."""
    killed = threading.Event()
    half = Reply(headers={"ETag": '"v1"'}, body=PATIENTS, cut=400_000, hold=killed)
    hospital.on("/fhir/files/1", half, ranged(PATIENTS))
    part = folder / "Patient.0001.ndjson.part"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, hospital.base, str(folder)]) as process:
        deadline = monotonic() + 30
        while not (part.exists() and part.stat().st_size > 300_000) and monotonic() < deadline:
            sleep(0.01)  # until the bytes that were sent are written
        process.send_signal(signal.SIGKILL)
    killed.set()
    size = part.stat().st_size
    run(transport, folder)
    assert ranges(hospital) == [None, f"bytes={size}-"]
    assert len(hospital.at(KICK_OFF)) == 1
    assert whole(folder)
