"""A call whose prefetch is not complete: what lacks is read, and the card is that of a complete one."""

# ruff: noqa: N802 - a test that holds a requirement carries its id

from pathlib import Path

import pytest

from serving.assess import ServedModel
from tests.features.client.fake_server import FakeServer, json
from tests.fhir_builders import OUTCOME, Json, at, kidney_disease, observation, prefetch, searchset
from tests.hosts import open_host
from tests.serving.access.hospital import TOKEN
from tests.serving.fhir_access.server import Server, with_access, without


def test_X_06_X_08_a_call_without_any_prefetch_gets_the_card_of_one_with_all_of_it(
    server: Server, fake: FakeServer
) -> None:
    whole = server.card(with_access(fake.base))
    assert fake.asked == []
    assert server.host.last_call().fhir_requests is None
    read = server.card(with_access(fake.base, prefetch=None))
    assert (read.summary, read.detail) == (whole.summary, whole.detail)
    assert sorted(one.path for one in fake.asked) == [
        "/fhir/Condition",
        "/fhir/MedicationAdministration",
        "/fhir/MedicationRequest",
        "/fhir/MedicationStatement",
        "/fhir/Observation",
        "/fhir/Patient/p1",
    ]
    entry = server.host.last_call()
    assert entry.fhir_requests == len(fake.asked)
    assert entry.fhir_duration_us is not None
    assert 0 < entry.fhir_duration_us < entry.duration_us


def test_X_08_X_09_only_the_advertised_query_of_what_is_missing_is_asked(server: Server, fake: FakeServer) -> None:
    server.card(with_access(fake.base, prefetch=without("conditions")))
    (asked,) = fake.asked
    assert (asked.path, asked.query) == ("/fhir/Condition", {"patient": ["p1"], "_count": ["1000"]})


def test_X_07_X_28_every_request_bears_the_token_and_asks_for_fhir_json(server: Server, fake: FakeServer) -> None:
    server.card(with_access(fake.base, prefetch=None))
    assert {one.headers["authorization"] for one in fake.asked} == {f"Bearer {TOKEN}"}
    assert {one.headers["accept"] for one in fake.asked} == {"application/fhir+json"}


def test_X_10_the_pages_of_a_result_are_read_to_the_last(server: Server, fake: FakeServer) -> None:
    first = json(searchset(next_url=f"{fake.base}/Condition?page=2"))
    fake.on("/fhir/Condition", first, json(searchset(kidney_disease())))
    told = server.card(with_access(fake.base, prefetch=without("conditions")))
    assert "Chronic kidney disease" in str(told.detail)
    assert [one.query.get("page") for one in fake.asked] == [None, ["2"]]


def test_X_11_of_half_a_prefetched_result_the_other_half_is_read(server: Server, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", json(searchset(kidney_disease())))
    half = searchset(next_url=f"{fake.base}/Condition?page=2")
    told = server.card(with_access(fake.base, prefetch=prefetch(conditions=half)))
    assert "Chronic kidney disease" in str(told.detail)
    assert [(one.query["page"], one.headers["authorization"]) for one in fake.asked] == [(["2"], f"Bearer {TOKEN}")]


@pytest.mark.parametrize(("value", "status"), [(None, 200), (OUTCOME, 412)], ids=["null", "OperationOutcome"])
def test_X_24_null_and_an_outcome_are_not_asked_for_again(
    value: Json | None, status: int, server: Server, fake: FakeServer
) -> None:
    assert server.post(with_access(fake.base, prefetch=prefetch(conditions=value))).status_code == status
    assert fake.asked == []


def test_a_first_page_that_goes_back_far_enough_is_the_last(server: Server, fake: FakeServer) -> None:
    old = observation("heart_rate", 70, 80)
    page = searchset(
        observation("temperature", 36.8, 1), observation("heart_rate", 80, 2), observation("creatinine", 1, 60), old
    )
    fake.on(
        "/fhir/Observation", json(page | {"link": [{"relation": "next", "url": f"{fake.base}/Observation?page=2"}]})
    )
    assert server.card(with_access(fake.base, prefetch=without("observations"))).summary.startswith("Risk of trouble")
    assert len(fake.asked) == 1


def test_where_the_index_time_is_yet_to_be_found_all_pages_are_read(
    linear: ServedModel, fake: FakeServer, tmp_path: Path
) -> None:
    """Of a patient of long ago every page is beyond the window that ends now: none of them says it is the last."""
    first = (observation("heart_rate", 80, 9_000), observation("temperature", 36.8, 9_001))
    second = (observation("creatinine", 1, 9_002),)
    pages = json(searchset(*first, next_url=f"{fake.base}/Observation?page=2")), json(searchset(*second))
    fake.on("/fhir/Observation", *pages)
    with open_host(tmp_path, linear, as_of="latest-observation") as host:
        card = Server(host, (fake.base,)).card(with_access(fake.base, prefetch=without("observations")))
        entry = host.last_call()
    assert card.summary.startswith("Risk of trouble")
    assert entry.index_time is not None
    assert entry.index_time.isoformat() == at(9_000)
    assert len(fake.asked) == 2
