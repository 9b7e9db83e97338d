"""What goes wrong at a FHIR server: each ends as missing data that says why, and tells nothing else."""

import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import TypeVar

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.errors import MissingData
from cds_hooks.outcome import encode_outcome
from cds_hooks.request import OBJECT_LIMIT
from cds_hooks.security.network import Destination
from cds_hooks.security.urls import read_url
from features.reading.scan.searchset import Searchset
from serving.access import Limits, Reason
from serving.access.answers import Answer, followed, page_of, resource_of
from serving.access.connections import request_to
from serving.access.reasons import NotObtained
from tests.features.client.fake_server import FakeServer, Reply, Script, json
from tests.fhir_builders import EMPTY, OUTCOME, observation, patient, searchset
from tests.serving.access.hospital import LOOPBACK, PATIENT, TOKEN, call_of, completed, told, whole, without

Result = TypeVar("Result")

HTML = Reply(body=b"<!DOCTYPE html><p>Log in", headers={"Content-Type": "text/html"})
ANSWERS: dict[str, tuple[Script, str]] = {
    "X-13: token expired": (json(OUTCOME, status=401), "UNAUTHORIZED"),
    "X-13: scope too small": (json(OUTCOME, status=403), "FORBIDDEN"),
    "X-15: not found": (json(OUTCOME, status=404), "NOT_FOUND"),
    "gone": (json(OUTCOME, status=410), "GONE"),
    "X-14: asked too often": (json(OUTCOME, status=429, Retry_After="1"), "TOO_MANY"),
    "X-14: failed": (json(OUTCOME, status=500), "SERVER_ERROR"),
    "X-14: not available": (Reply(status=503), "SERVER_ERROR"),
    "a proxy's failure": (Reply(status=502, body=HTML.body), "SERVER_ERROR"),
    "a parameter it does not know": (json(OUTCOME, status=400), "REFUSED"),
    "a status that is no success of a search": (Reply(status=204), "REFUSED"),
    "a redirect to nowhere": (Reply(status=302), "REFUSED"),
    "X-17: a log-in page": (HTML, "HTML"),
    "X-17: a page that says it is JSON": (Reply(body=b"<html>"), "HTML"),
    "X-17: nothing": (Reply(), "NOT_FHIR"),
    "X-17: JSON that breaks off": (Reply(body=b'{"resourceType":"Bundle","entry":['), "NOT_FHIR"),
    "X-17: no object": (Reply(body=b"[]"), "NOT_FHIR"),
    "X-17: null": (Reply(body=b"null"), "NOT_FHIR"),
    "X-17: nested beyond all measure": (Reply(body=b'{"resourceType":"Bundle","entry":' + b"[" * 50_000), "NOT_FHIR"),
    "X-17: no UTF-8": (Reply(body=b'{"resourceType":"Bundle","type":"searchset","x":"\xff"}'), "NOT_FHIR"),
    "X-17: a history": (json({"resourceType": "Bundle", "type": "history"}), "NOT_FHIR"),
    "empty entries beyond all measure": (
        Reply(body=b'{"resourceType":"Bundle","entry":[%s{}]}' % (b"{}," * OBJECT_LIMIT)),
        "ENTRIES",
    ),
    "empty links beyond all measure": (
        Reply(body=b'{"resourceType":"Bundle","link":[%s{}]}' % (b"{}," * OBJECT_LIMIT)),
        "ENTRIES",
    ),
    "an OperationOutcome with 200": (json(OUTCOME), "OUTCOME"),
    "a resource in place of a searchset": (json(patient()), "OTHER_RESOURCE"),
    "a body that breaks off": (Reply(body=b'{"resourceType":"Bundle"}', cut=9), "BROKEN"),
    "a compression that was not asked for": (json(EMPTY, Content_Encoding="br"), "NOT_FHIR"),
    "what says it is compressed and is not": (json(EMPTY, Content_Encoding="gzip"), "BROKEN"),
    "an endless redirect": (Reply(status=302, headers={"Location": "/fhir/Observation"}), "REDIRECTS"),
    "X-21: a page that is its own next": (
        lambda asked: json(searchset(next_url=f"/fhir/Observation?patient={asked.query['patient'][0]}")),
        "ENDLESS",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_whatever_the_server_sends_in_place_of_data_ends_as_missing_data(
    answer: Script, reason: str, fake: FakeServer
) -> None:
    fake.on("/fhir/Observation", answer)
    found = completed(fake.base, without("observations", "conditions"))
    assert told(found) == {"observations": reason}
    assert found.read == {"conditions"}
    with pytest.raises(MissingData, match=r"unusable: observations \(not sent; "):
        found.resources()


RESOURCES: dict[str, tuple[Script, str]] = {
    "X-15: no such patient": (json(OUTCOME, status=404), "NOT_FOUND"),
    "another patient": (json(patient("p2")), "OTHER_RESOURCE"),
    "a patient without an id": (json(patient(PATIENT, id=None)), "OTHER_RESOURCE"),
    "an id that is no text": (json(patient(PATIENT) | {"id": 7}), "OTHER_RESOURCE"),
    "another resource of that id": (json({"resourceType": "Person", "id": PATIENT}), "OTHER_RESOURCE"),
    "a searchset": (json(searchset(patient(PATIENT))), "OTHER_RESOURCE"),
    "an OperationOutcome": (json(OUTCOME), "OUTCOME"),
}


@pytest.mark.parametrize(("answer", "reason"), RESOURCES.values(), ids=RESOURCES)
def test_a_read_gives_the_resource_that_was_asked_for_or_nothing(answer: Script, reason: str, fake: FakeServer) -> None:
    fake.on(f"/fhir/Patient/{PATIENT}", answer)
    assert told(completed(fake.base, without("patient"))) == {"patient": reason}


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    """X-19."""
    found = completed("http://127.0.0.1:9/fhir", without("conditions"))
    assert told(found) == {"conditions": "UNREACHABLE"}


def _pages(fake: FakeServer, entries: int) -> None:
    number = count(2)
    found = [observation("heart_rate", 80, of=PATIENT)] * entries
    fake.on("/fhir/Condition", lambda _: json(searchset(*found, next_url=f"/fhir/Condition?page={next(number)}")))


BOUNDS: Mapping[str, tuple[Limits, int, str, int]] = {
    "pages": (Limits(pages=4), 1, "PAGES", 4),
    "entries": (Limits(entries=25), 10, "ENTRIES", 3),
    "bytes": (Limits(bytes_of_call=10_000), 10, "BYTES", 4),
    "bytes of the process": (Limits(bytes_of_process=10_000), 10, "BUSY", 4),
}


@pytest.mark.parametrize(("limits", "entries", "reason", "asked"), BOUNDS.values(), ids=BOUNDS)
def test_a_result_without_an_end_is_read_to_a_bound(
    limits: Limits, entries: int, reason: str, asked: int, fake: FakeServer
) -> None:
    """X-21."""
    _pages(fake, entries)
    assert told(completed(fake.base, without("conditions"), limits=limits)) == {"conditions": reason}
    assert len(fake.asked) == asked


def test_the_first_page_counts_where_the_client_sent_it(fake: FakeServer) -> None:
    _pages(fake, 1)
    first = searchset(next_url="/fhir/Condition?page=1")
    completed(fake.base, whole() | {"conditions": first}, limits=Limits(pages=4))
    assert len(fake.asked) == 3


def test_a_page_that_nests_too_deep_to_be_looked_into_is_no_page(fake: FakeServer) -> None:
    def too_deep(_: str, __: msgspec.Raw | Searchset) -> bool:
        raise RecursionError

    fake.on("/fhir/Observation", json(searchset(next_url="/fhir/page/2")))
    assert told(completed(fake.base, without("observations"), enough=too_deep)) == {"observations": "NOT_FHIR"}


SECRETS = (TOKEN, PATIENT, "127.0.0.1", "8867-4")


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_said_of_a_failure_names_the_key_and_neither_token_nor_patient(
    answer: Script, reason: str, fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    fake.on("/fhir/Observation", answer)
    request = call_of(fake.base, without("observations"))
    with caplog.at_level(logging.DEBUG):
        found = completed(fake.base, {}, request=request)
    with pytest.raises(MissingData) as raised:
        found.resources()
    outcome = encode_outcome(raised.value).decode()
    assert '"prefetch.observations"' in outcome
    assert "observations (not sent; " in outcome
    logged = " ".join(
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if "access" in record.name
    )
    assert reason in logged
    for secret in SECRETS:
        assert secret not in outcome + repr(found) + repr(request) + logged
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)
    everything = " ".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert TOKEN not in everything
    assert PATIENT not in everything


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceType", "type", "entry", "link", "relation", "url", "resource", "id", "search"])
            | st.text(max_size=3),
            inner | st.sampled_from(["Bundle", "searchset", "Patient", "OperationOutcome", "next", "p1"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)
BODIES = st.binary(max_size=60) | JSON.map(msgspec.json.encode)


def outcome_of(do: Callable[[], Result]) -> Result | Reason:
    try:
        return do()
    except NotObtained as error:
        return error.reason


@settings(deadline=None)
@given(BODIES, st.sampled_from([200, 201, 204, 400, 401, 404, 500, 599]))
def test_whatever_bytes_come_they_are_a_page_or_a_reason(body: bytes, status: int) -> None:
    answer = Answer(url="http://127.0.0.1/x", status=status, headers={}, body=body)
    for found in (outcome_of(lambda: page_of(answer)), outcome_of(lambda: resource_of(answer, "Patient", "p1"))):
        assert isinstance(found, Reason) or (status, bytes(found.raw)) == (200, body)


LINKS = st.text(max_size=30) | st.builds(
    "".join,
    st.lists(
        st.sampled_from(["http", "s", ":", "//", "/", "[", "]", "@", "127.0.0.1", "?", "#", "%", "\\", " ", "x"]),
        max_size=8,
    ),
)


@given(LINKS)
def test_whatever_a_link_says_it_leads_to_the_same_server_or_nowhere(link: str) -> None:
    base = "http://127.0.0.1:8123/fhir"
    to = Destination(url=read_url(base), addresses=LOOPBACK)

    def request() -> httpx.Request:
        return request_to(to, LOOPBACK[0], followed(link, seen_at=f"{base}/page", base=base), TOKEN, Limits())

    found = outcome_of(request)
    if isinstance(found, Reason):
        assert found is Reason.OTHER_ORIGIN
    else:
        assert (found.url.scheme, found.url.host, found.url.port) == ("http", "127.0.0.1", 8123)
        assert found.headers["host"] == "127.0.0.1:8123"
