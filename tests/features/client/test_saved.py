"""Saved searches: every page is in the folder once, however often the run was interrupted."""

from pathlib import Path

import pytest

from features.client.errors import ClientError, ExportError, RefusedError, UnavailableError
from features.client.saved import SaveProgress, SaveReport, Search, save_searches
from features.client.transport import Transport
from features.files.sources import SourceError, find_files, read_ndjson
from features.refusals import Refusals
from tests.features.client.fake_server import FakeServer, Reply, json
from tests.features.client.test_search import page

SEARCHES = (Search(resource_type="Patient"), Search(resource_type="Observation", parameters=[("_count", "2")]))


@pytest.fixture
def paged(fake: FakeServer) -> FakeServer:
    """A server with a page of one type and three of another."""
    warning = {"resource": {"resourceType": "OperationOutcome", "issue": [{"diagnostics": "slow"}]}}
    fake.on("/fhir/Patient", json(page("p")))
    fake.on("/fhir/Observation", json(page("a", "b", after="/fhir/page/2", entries=(warning,))))
    fake.on("/fhir/page/2", json(page("c", after="/fhir/page/3")))
    fake.on("/fhir/page/3", json(page("d", "e")))
    return fake


def ids_in(folder: Path) -> list[str | None]:
    return [
        one.id
        for file in find_files(folder).files
        for one in read_ndjson(file, Refusals(), on_broken=lambda _: pytest.fail("broken"))
    ]


ALL = ["a", "b", None, "c", "d", "e", "p"]


def test_searches_become_a_folder_of_ndjson_and_a_report(paged: FakeServer, transport: Transport, folder: Path) -> None:
    seen = list[SaveProgress]()
    report = save_searches(transport, SEARCHES, folder, on_progress=seen.append)
    assert report == SaveReport(
        folder=folder,
        files=(folder / "Patient.0001.ndjson", folder / "Observation.0002.ndjson"),
        pages=4,
        matches=6,
        included=0,
        outcomes=1,
        remarks=("slow",),
    )
    assert ids_in(folder) == ALL
    assert [(one.files_done, one.pages) for one in seen] == [(0, 1), (1, 1), (1, 2), (1, 3)]
    before = len(paged.asked)
    assert save_searches(transport, SEARCHES, folder) == report
    assert len(paged.asked) == before


def test_a_run_that_is_interrupted_twice_goes_on_at_its_page(
    paged: FakeServer, transport: Transport, folder: Path
) -> None:
    for number in (2, 3):
        paged.on(f"/fhir/page/{number}", Reply(status=503))
        with pytest.raises(UnavailableError):
            save_searches(transport, SEARCHES, folder)
        with pytest.raises(SourceError, match="is not finished"):
            find_files(folder)
        with (folder / "Observation.0002.ndjson.part").open("ab") as part:
            part.write(b'{"half a li')  # killed while it wrote
        paged.on("/fhir/page/2", json(page("c", after="/fhir/page/3")))
    paged.on("/fhir/page/3", json(page("d", "e")))
    before = len(paged.asked)
    report = save_searches(transport, SEARCHES, folder)
    assert [one.path for one in paged.asked[before:]] == ["/fhir/page/3"]
    assert (report.pages, report.matches, ids_in(folder)) == (4, 6, ALL)


def test_a_run_killed_before_its_first_note_begins_anew(paged: FakeServer, transport: Transport, folder: Path) -> None:
    paged.on("/fhir/Patient", Reply(status=503))
    with pytest.raises(UnavailableError):
        save_searches(transport, SEARCHES, folder)
    assert (folder / "Patient.0001.ndjson.part").exists()
    paged.on("/fhir/Patient", json(page("p")))
    save_searches(transport, SEARCHES, folder)
    assert ids_in(folder) == ALL


@pytest.mark.parametrize("status", [404, 410])
def test_where_the_server_forgot_the_page_its_search_begins_anew(
    status: int, paged: FakeServer, transport: Transport, folder: Path
) -> None:
    paged.on("/fhir/page/2", Reply(status=503))
    with pytest.raises(UnavailableError):
        save_searches(transport, SEARCHES, folder)
    paged.on("/fhir/page/2", Reply(status=status), json(page("c", after="/fhir/page/3")))
    report = save_searches(transport, SEARCHES, folder)
    assert (report.pages, report.matches, ids_in(folder)) == (4, 6, ALL)


def test_a_search_that_is_refused_from_the_start_is_an_error(transport: Transport, folder: Path) -> None:
    with pytest.raises(RefusedError, match="HTTP 404"):
        save_searches(transport, SEARCHES, folder)


@pytest.mark.usefixtures("paged")
def test_a_folder_of_other_searches_is_refused(transport: Transport, folder: Path) -> None:
    save_searches(transport, SEARCHES, folder)
    with pytest.raises(ExportError, match="holds another export"):
        save_searches(transport, SEARCHES[:1], folder)


@pytest.mark.usefixtures("paged")
def test_more_pages_than_allowed_are_an_error(transport: Transport, folder: Path) -> None:
    with pytest.raises(ClientError, match="expected at most 2 pages"):
        save_searches(transport, SEARCHES, folder, max_pages=2)
    assert save_searches(transport, SEARCHES, folder, max_pages=3).pages == 4
