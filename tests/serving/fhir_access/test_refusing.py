"""What cannot be read: a 412 that names the keys and why, whatever the FHIR server does."""

# ruff: noqa: N802 - a test that holds a requirement carries its id

import asyncio
from collections.abc import Callable, Mapping

import httpx
import pytest

from serving.access import Limits
from tests.conformance.client import refused
from tests.features.client.fake_server import FakeServer, Reply, Script, json
from tests.fhir_builders import EMPTY, OUTCOME, Json, prefetch, request, searchset
from tests.hosts import Host
from tests.serving.access.hospital import raw
from tests.serving.access.slow_servers import slow_servers
from tests.serving.fhir_access.server import Server, with_access, without

LEADS: Mapping[str, Callable[[str], Script]] = {
    "a next link": lambda other: json(searchset(next_url=f"{other}/Condition?page=2")),
    "a redirect": lambda other: Reply(status=302, headers={"Location": f"{other}/Condition"}),
    "a redirect that keeps the method": lambda other: Reply(status=307, headers={"Location": f"{other}/Condition"}),
    "a next link without a scheme": lambda other: json(
        searchset(next_url=other.removeprefix("http:") + "/Condition?page=2")
    ),
}


@pytest.mark.parametrize("lead", LEADS.values(), ids=LEADS)
def test_X_12_what_leads_to_another_origin_gets_neither_token_nor_request(
    lead: Callable[[str], Script], server: Server, fake: FakeServer, elsewhere: FakeServer
) -> None:
    fake.on("/fhir/Condition", lead(elsewhere.base))
    issue = refused(server.post(with_access(fake.base, prefetch=without("conditions"))), 412)
    assert issue["expression"] == ["prefetch.conditions"]
    assert "a link or redirect leads to another server" in issue["diagnostics"]
    assert elsewhere.asked == []


def test_X_12_a_prefetched_next_link_to_another_origin_is_not_followed(
    server: Server, fake: FakeServer, elsewhere: FakeServer
) -> None:
    half = searchset(next_url=f"{elsewhere.base}/Condition?page=2")
    issue = refused(server.post(with_access(fake.base, prefetch=prefetch(conditions=half))), 412)
    assert "conditions (got a page with a next link; a link or redirect leads to" in issue["diagnostics"]
    assert fake.asked == elsewhere.asked == []


FAULTS: Mapping[str, tuple[Script, str]] = {
    "token expired": (json(OUTCOME, status=401), "the FHIR server refused the access token (401)"),
    "scope too small": (json(OUTCOME, status=403), "the access token does not suffice (403)"),
    "not found": (json(OUTCOME, status=404), "the FHIR server has no such resource or search (404)"),
    "asked too often": (json(OUTCOME, status=429, Retry_After="1"), "the FHIR server was asked too often (429)"),
    "failed": (json(OUTCOME, status=500), "the FHIR server failed (5xx)"),
    "not available": (Reply(status=503), "the FHIR server failed (5xx)"),
    "a log-in page": (
        Reply(body=b"<!DOCTYPE html><p>Log in", headers={"Content-Type": "text/html"}),
        "the FHIR server sent an HTML page",
    ),
    "broken JSON": (Reply(body=b'{"resourceType":"Bundle","entry":['), "the FHIR server sent no FHIR JSON"),
    "an answer that breaks off": (Reply(body=bytes(raw(EMPTY)), cut=9), "the FHIR server's answer broke off"),
    "an OperationOutcome": (json(OUTCOME), "the FHIR server sent an OperationOutcome"),
}


@pytest.mark.parametrize(("answer", "told"), FAULTS.values(), ids=FAULTS)
def test_X_13_X_14_X_15_X_17_what_cannot_be_read_is_a_412_that_names_the_key_and_why(
    answer: Script, told: str, server: Server, fake: FakeServer
) -> None:
    fake.on("/fhir/Observation", answer)
    issue = refused(server.post(with_access(fake.base, prefetch=without("observations"))), 412)
    assert (issue["code"], issue["expression"]) == ("incomplete", ["prefetch.observations"])
    assert f"unusable: observations (not sent; {told})" in issue["diagnostics"]
    entry = server.host.last_call()
    assert (entry.http_status, entry.fhir_requests) == (412, 1)


def test_X_01_X_15_every_key_that_could_not_be_read_is_named(server: Server, fake: FakeServer) -> None:
    fake.on("/fhir/Observation", json(OUTCOME, status=403))
    fake.on("/fhir/Patient/p1", json(OUTCOME, status=404))
    issue = refused(server.post(with_access(fake.base, prefetch=None)), 412)
    assert "patient (not sent; the FHIR server has no such resource or search (404))" in issue["diagnostics"]
    assert "observations (not sent; the access token does not suffice (403))" in issue["diagnostics"]
    assert "conditions" not in issue["diagnostics"]


def test_X_16_a_server_that_does_not_answer_in_time_is_a_412(host: Host) -> None:
    async def run() -> httpx.Response:
        async with slow_servers(1) as (slow,):
            response = await Server(host, (slow.base,)).answer(
                with_access(slow.base, prefetch=without("conditions")), Limits(total_seconds=0.3)
            )
            assert slow.asked == 1
            return response

    issue = refused(asyncio.run(run()), 412)
    assert "conditions (not sent; the FHIR server did not answer in time)" in issue["diagnostics"]


def test_X_19_a_server_that_is_not_there_is_a_412(host: Host) -> None:
    gone = "http://127.0.0.1:9/fhir"
    issue = refused(Server(host, (gone,)).post(with_access(gone, prefetch=without("conditions"))), 412)
    assert "conditions (not sent; the FHIR server could not be reached" in issue["diagnostics"]


@pytest.mark.parametrize(
    ("following", "told"),
    [
        (lambda n: f"/fhir/Condition?page={n}", "the result has more pages than are read"),
        (lambda _: "/fhir/Condition?page=2", "the pages do not end: one names an earlier one as the next"),
    ],
    ids=["ever new", "in a circle"],
)
def test_X_21_pages_without_an_end_are_bounded(
    following: Callable[[int], str], told: str, server: Server, fake: FakeServer
) -> None:
    fake.on("/fhir/Condition", lambda _: json(searchset(next_url=following(len(fake.asked) + 1))))
    body = with_access(fake.base, prefetch=without("conditions"))
    assert told in refused(server.post(body, Limits(pages=5)), 412)["diagnostics"]
    assert len(fake.asked) <= 5


LACKS: Mapping[str, Callable[[str], Json]] = {
    "no server": lambda _: request(prefetch=without("conditions")),
    "no token": lambda base: request(fhirServer=base, prefetch=without("conditions")),
}


@pytest.mark.parametrize("lacks", LACKS.values(), ids=LACKS)
def test_X_06_without_server_and_token_what_is_missing_is_a_412(
    lacks: Callable[[str], Json], server: Server, fake: FakeServer
) -> None:
    issue = refused(server.post(lacks(fake.base)), 412)
    assert "unusable: conditions (not sent)." in issue["diagnostics"]
    assert fake.asked == []
