"""Search: every page is given, in order, or an error says why not, without a word of what was searched for."""

import logging

import pytest

from features.client.errors import (
    AuthorizationError,
    ClientError,
    NotFhirError,
    OtherOriginError,
    RefusedError,
    UnavailableError,
)
from features.client.search import LONGEST_URL, search, split
from features.client.transport import Transport
from features.client.urls import query
from features.files.sources import read_pages
from features.refusals import Refusals
from tests.features.client.fake_server import FakeServer, Reply, Time, json

CANARY = "4711-anna-beispiel"
PARAMETERS = [("patient", CANARY), ("_count", "2")]
PATH = "/fhir/Observation"


def page(*ids: str, after: str | None = None, entries: tuple[object, ...] = (), **more: object) -> object:
    """A searchset of patients."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "self", "url": "x"}] + ([{"relation": "next", "url": after}] if after else []),
        "entry": [{"resource": {"resourceType": "Patient", "id": one}} for one in ids] + list(entries),
        **more,
    }


def ids_of(transport: Transport) -> list[str | None]:
    pages = search(transport, "Observation", PARAMETERS)
    return [one.id for one in read_pages((one.body for one in pages), Refusals())]


def test_pages_are_followed_to_the_last(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, json(page("a", "b", after=f"{fake.base}?page=2", total=5)))
    fake.on("/fhir", json(page("c", after="?page=3")), json(page(after="?page=4")), json(page("e")))
    pages = list(search(transport, "Observation", PARAMETERS))
    assert [(one.number, one.matches, one.total) for one in pages] == [
        (1, 2, 5),
        (2, 1, None),
        (3, 0, None),
        (4, 1, None),
    ]
    assert fake.asked[0].query == {"patient": [CANARY], "_count": ["2"]}
    assert fake.asked[0].headers["accept"] == "application/fhir+json"
    assert fake.asked[0].headers["prefer"] == "handling=strict"
    assert [one.query.get("page") for one in fake.asked[1:]] == [["2"], ["3"], ["4"]]


def test_included_resources_and_remarks_are_counted_apart(fake: FakeServer, transport: Transport) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "diagnostics": f"no {CANARY}\x1b[2J"}],
    }
    entries = (
        {"resource": {"resourceType": "Patient", "id": "i"}, "search": {"mode": "include"}},
        {"resource": outcome, "search": {"mode": "outcome"}},
        {"resource": {"resourceType": "OperationOutcome", "issue": [{"code": "informational"}]}},
        {"resource": {"resourceType": "Patient", "id": "m"}, "search": {"mode": "match"}},
    )
    fake.on(PATH, json(page("a", entries=entries)))
    (one,) = search(transport, "Observation", PARAMETERS)
    assert (one.matches, one.included, one.outcomes) == (2, 1, 2)
    assert one.remarks == ("no … [2J", "informational")


def test_a_next_page_on_another_origin_is_not_asked_for(
    fake: FakeServer, elsewhere: FakeServer, transport: Transport
) -> None:
    fake.on(PATH, json(page("a", after=f"{elsewhere.base}?page=2")))
    with pytest.raises(OtherOriginError, match=r"expected a link to http://127\.0\.0\.1:"):
        ids_of(transport)
    assert elsewhere.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_on_the_same_origin_only(
    status: int, fake: FakeServer, elsewhere: FakeServer, transport: Transport
) -> None:
    fake.on(PATH, Reply(status=status, headers={"Location": "/fhir/moved"}))
    fake.on("/fhir/moved", json(page("a")))
    assert ids_of(transport) == ["a"]
    fake.on("/fhir/moved", Reply(status=status, headers={"Location": f"{elsewhere.base}/Observation"}))
    with pytest.raises(OtherOriginError):
        ids_of(transport)
    assert elsewhere.asked == []


def test_redirects_without_an_end_are_an_error(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, Reply(status=302, headers={"Location": PATH}))
    with pytest.raises(UnavailableError, match="redirected more than 5 times"):
        ids_of(transport)


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        pytest.param([Reply(status=429, headers={"Retry-After": "7"})], [7], id="429 with Retry-After"),
        pytest.param([Reply(status=429, headers={"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"})], [60], id="a date"),
        pytest.param([Reply(status=503), Reply(status=503)], [1, 2], id="503 twice"),
        pytest.param([Reply(status=500), Reply(status=502), Reply(status=504)], [1, 2, 4], id="three others"),
        pytest.param([Reply(body=b"{" * 99, cut=20)], [1], id="a page that breaks off"),
        pytest.param([Reply(headers={"Content-Encoding": "gzip"}, body=b"no gzip")], [1], id="a page that is damaged"),
    ],
)
def test_what_passes_is_asked_for_again(
    faults: list[Reply], waits: list[float], fake: FakeServer, transport: Transport, time: Time
) -> None:
    fake.on(PATH, *faults, json(page("a")))
    assert ids_of(transport) == ["a"]
    assert time.waits == waits


def test_a_server_that_is_not_there_is_asked_as_often_as_allowed(transport: Transport, time: Time) -> None:
    transport.base = "http://127.0.0.1:9/fhir"  # the discard port: nobody listens
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/fhir/Observation.* after 4 tries") as caught:
        ids_of(transport)
    assert time.waits == [1, 2, 4]
    assert CANARY not in str(caught.value)


OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "diagnostics": f"Unknown patient {CANARY}.\n" + "x" * 999}],
}


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        pytest.param(json(OUTCOME, status=400), RefusedError, r"It says: Unknown patient …\. x+…\.", id="400"),
        pytest.param(json(OUTCOME, status=401), AuthorizationError, "registration and scope", id="401"),
        pytest.param(json({}, status=403), AuthorizationError, "ask for the scope", id="403"),
        pytest.param(json({}, status=404), RefusedError, "check the base URL", id="404"),
        pytest.param(json({}, status=410), RefusedError, "pages and exports expire. Begin anew", id="410"),
        pytest.param(json({}, status=418), RefusedError, "HTTP 418", id="a status of no kind"),
        pytest.param(
            Reply(body=b"<!DOCTYPE html><p>Log in", headers={"Content-Type": "text/html"}),
            NotFhirError, "got an HTML page", id="a login page",
        ),
        pytest.param(Reply(status=404, body=b"<html>"), NotFhirError, "got an HTML page", id="a page for 404"),
        pytest.param(Reply(body=b'{"resourceType": "Bundle", "entry": ['), NotFhirError, "as page 1", id="broken JSON"),
        pytest.param(json({"resourceType": "Patient", "id": CANARY}), NotFhirError, "expected a FHIR B", id="another"),
        pytest.param(Reply(body=b"[" * 100_000), NotFhirError, "expected a FHIR Bundle", id="nested too deep"),
    ],
)  # fmt: skip
def test_other_answers_are_errors_that_say_what_to_do(
    reply: Reply, kind: type[ClientError], text: str, fake: FakeServer, transport: Transport, time: Time
) -> None:
    fake.on(PATH, reply)
    with pytest.raises(kind, match=text) as caught:
        ids_of(transport)
    message = str(caught.value)
    assert message.startswith(f"{fake.base}/Observation?patient=…&_count=…: ")
    assert CANARY not in message
    assert len(message) < 500
    assert time.waits == []


def test_the_last_fault_is_in_the_error(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, json(OUTCOME, status=503))
    with pytest.raises(UnavailableError, match=r"HTTP 503\. It says: Unknown patient") as caught:
        ids_of(transport)
    assert caught.value.status == 503
    assert CANARY not in str(caught.value)


def test_pages_that_go_round_in_circles_are_an_error(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, json(page("a", after=f"{fake.base}?page=2")))
    fake.on("/fhir", json(page("b", after="?page=2")))
    with pytest.raises(NotFhirError, match="no end is in sight"):
        ids_of(transport)


def test_more_pages_than_allowed_are_an_error_and_no_end_in_silence(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, json(page("a", after=f"{fake.base}?page=2")))
    fake.on("/fhir", json(page("b")))
    assert len(list(search(transport, "Observation", PARAMETERS, max_pages=2))) == 2
    with pytest.raises(RefusedError, match="expected at most 1 pages"):
        list(search(transport, "Observation", PARAMETERS, max_pages=1))


def test_a_search_too_long_for_a_url_is_made_in_parts(fake: FakeServer, transport: Transport) -> None:
    codes = [f"http://loinc.org|{number}-0" for number in range(10_000, 10_200)]
    fake.on(PATH, json(page("a")))
    pages = list(search(transport, "Observation", [("patient", CANARY), ("code", ",".join(codes))]))
    assert [one.number for one in pages] == list(range(1, len(pages) + 1))
    asked = [one.query["code"][0] for one in fake.asked]
    assert len(asked) > 1
    assert ",".join(asked).split(",") == codes
    assert all(one.query["patient"] == [CANARY] for one in fake.asked)
    assert all(
        len(f"{fake.base}/Observation?{query([('patient', CANARY), ('code', one)])}") <= LONGEST_URL for one in asked
    )


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        pytest.param([("code", "aaaa,bbbb,cccc")], ["code=aaaa", "code=bbbb,cccc"], id="a list"),
        pytest.param([("code", "aaa\\,aaa,bbb")], ["code=aaa%5C,aaa", "code=bbb"], id="a comma within a value"),
        pytest.param([("_id", "aaaaaaaa,bbbb")], ["_id=aaaaaaaa", "_id=bbbb"], id="ids"),
        pytest.param([("code", "a,b")], ["code=a,b"], id="short enough"),
    ],
)
def test_lists_of_alternatives_are_halved_until_they_fit(parameters: list[tuple[str, str]], parts: list[str]) -> None:
    assert [query(part) for part in split(parameters, longest=15)] == parts


@pytest.mark.parametrize("name", ["_sort", "_include", "code:not", "code:not-in"])
def test_lists_that_are_no_alternatives_are_not_halved(name: str) -> None:
    with pytest.raises(RefusedError, match="no list of alternatives"):
        list(split([(name, "aaaaaaaaaa,bbbbbbbbbb")], longest=15))


def test_no_log_line_names_a_patient(fake: FakeServer, transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    fake.on(PATH, Reply(status=503), json(page("a")))
    with caplog.at_level(logging.DEBUG):
        assert ids_of(transport) == ["a"]
    assert CANARY not in caplog.text
