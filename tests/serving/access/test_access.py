"""FHIR access: what is read, what is not, and how everything that goes wrong ends."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from features.reading.scan.searchset import text_of
from serving.access import Limits
from tests.features.client.fake_server import FakeServer, Reply, json
from tests.fhir_builders import EMPTY, OUTCOME, observation, patient, searchset, vitals
from tests.serving.access.hospital import (
    PATIENT,
    TOKEN,
    access_by,
    call_of,
    completed,
    policy_of,
    raw,
    told,
    whole,
    without,
)

Change = Callable[[FakeServer, FakeServer], None]


def test_a_whole_prefetch_is_used_as_it_is_and_nothing_is_asked(fake: FakeServer) -> None:
    found = completed(fake.base, whole())
    assert [bytes(text_of(one)) for one in found.resources()] == [bytes(raw(value)) for value in whole().values()]
    assert (fake.asked, found.read) == ([], frozenset())


@pytest.mark.parametrize("slash", ["", "/"], ids=["base", "base with a slash at its end"])
def test_only_what_is_missing_is_read(slash: str, fake: FakeServer) -> None:
    found = completed(fake.base + slash, without("observations"), policy=policy_of(fake.base))
    (asked,) = fake.asked
    assert asked.path == "/fhir/Observation"
    assert asked.query == {
        "patient": [PATIENT],
        "code": ["http://loinc.org|8867-4"],
        "_sort": ["-date"],
        "_count": ["1000"],
    }
    assert found.pages["observations"] == (raw(searchset(*vitals(of=PATIENT))),)
    assert found.read == {"observations"}


def test_a_request_says_what_it_wants_and_who_sent_it(fake: FakeServer) -> None:
    completed(fake.base, without("patient"))
    (asked,) = fake.asked
    host = fake.base.split("/")[2]
    assert asked.headers == {
        "host": host,
        "accept": "application/fhir+json",
        "accept-encoding": "gzip",
        "prefer": "handling=strict",
        "user-agent": "bedside",
        "authorization": f"Bearer {TOKEN}",
    }


def test_nothing_prefetched_is_all_read(fake: FakeServer) -> None:
    found = completed(fake.base, {})
    assert sorted(asked.path for asked in fake.asked) == [
        "/fhir/Condition",
        "/fhir/Observation",
        f"/fhir/Patient/{PATIENT}",
    ]
    assert len(found.resources()) == 3


def test_no_such_data_is_not_asked_for_again(fake: FakeServer) -> None:
    """X-24: null means that the client has none."""
    found = completed(fake.base, whole() | {"conditions": None})
    assert (found.pages["conditions"], fake.asked) == ((), [])


@pytest.mark.parametrize("value", [OUTCOME, {"resourceType": "Bundle", "type": "history"}, "text"], ids=str)
def test_what_the_client_could_not_read_is_not_read_behind_its_back(value: Any, fake: FakeServer) -> None:
    """X-24: and as there will be no answer, nothing else is read either."""
    found = completed(fake.base, without("observations") | {"conditions": value})
    assert told(found) == {
        "conditions": "SENT_OUTCOME" if value == OUTCOME else "SENT_INVALID",
        "observations": "NOT_ASKED",
    }
    assert fake.asked == []


def test_of_half_a_result_the_other_half_is_read(fake: FakeServer) -> None:
    """X-11: with the token, from the link that the client sent."""
    fake.on("/fhir/page/2", json(searchset(observation("heart_rate", 81, of=PATIENT), next_url="3")))
    fake.on("/fhir/page/3", json(EMPTY))
    first = searchset(*vitals(of=PATIENT), next_url=f"{fake.base}/page/2")
    found = completed(fake.base, whole() | {"observations": first})
    assert [asked.path for asked in fake.asked] == ["/fhir/page/2", "/fhir/page/3"]
    assert {asked.headers["authorization"] for asked in fake.asked} == {f"Bearer {TOKEN}"}
    assert len(found.pages["observations"]) == 3
    assert bytes(text_of(found.pages["observations"][0])) == bytes(raw(first))


def test_a_page_that_goes_back_far_enough_is_the_last_one(fake: FakeServer) -> None:
    """X-09: neither a prefetched page's next nor a read page's next is asked for."""
    paged = searchset(*vitals(of=PATIENT), next_url=f"{fake.base}/page/2")
    fake.on("/fhir/Observation", json(paged))
    assert completed(fake.base, whole() | {"observations": paged}, enough=lambda *_: True).read == frozenset()
    assert len(completed(fake.base, without("observations"), enough=lambda *_: True).pages["observations"]) == 1
    assert [asked.path for asked in fake.asked] == ["/fhir/Observation"]


def test_an_empty_result_is_a_result(fake: FakeServer) -> None:
    """X-05."""
    assert completed(fake.base, without("conditions")).pages["conditions"] == (raw(EMPTY),)


def test_letters_beyond_ascii_are_ordinary(fake: FakeServer) -> None:
    named = patient(PATIENT) | {"name": [{"family": "Müller-Lüdenscheidt"}]}
    fake.on(f"/fhir/Patient/{PATIENT}", json(named))
    assert completed(fake.base, without("patient")).pages["patient"] == (raw(named),)


def test_remarks_of_the_server_in_a_result_do_no_harm(fake: FakeServer) -> None:
    """X-18."""
    remark = searchset() | {"entry": [{"resource": OUTCOME, "search": {"mode": "outcome"}}]}
    fake.on("/fhir/Condition", json(remark))
    assert completed(fake.base, without("conditions")).resources()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_server_itself_are_followed_with_the_token(status: int, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", Reply(status=status, headers={"Location": "/moved/Condition?patient=x"}))
    fake.on("/moved/Condition", json(EMPTY))
    assert completed(fake.base, without("conditions")).resources()
    assert fake.at("/moved/Condition")[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("lacks", ["server", "token", "policy"])
def test_without_access_what_is_missing_stays_missing(lacks: str, fake: FakeServer) -> None:
    """X-23: a server alone is what the sandbox sends; without a policy nothing may be read for the client."""
    base = None if lacks == "server" else fake.base
    request = call_of(base, without("observations"), token=lacks != "token")
    found = completed(None, {}, request=request, policy=None if lacks == "policy" else "usual")
    assert told(found) == {"observations": "NO_ACCESS"}
    assert fake.asked == []


def _next_link(to: FakeServer, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", json(searchset(next_url=f"{to.base}/Condition")))


def _redirect(to: FakeServer, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", Reply(status=307, headers={"Location": f"{to.base}/Condition"}))


def _redirected_next(to: FakeServer, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", json(searchset(next_url=f"{fake.base}/page")))
    fake.on("/fhir/page", Reply(status=302, headers={"Location": f"{to.base}/Condition"}))


LEADING_AWAY = {"X-12: a next link": _next_link, "X-12: a redirect": _redirect, "X-12: both": _redirected_next}


@pytest.mark.parametrize("lead", LEADING_AWAY.values(), ids=LEADING_AWAY)
def test_nothing_goes_to_another_origin(lead: Change, fake: FakeServer, elsewhere: FakeServer) -> None:
    lead(elsewhere, fake)
    found = completed(fake.base, without("conditions"), policy=policy_of(fake.base, elsewhere.base))
    assert told(found) == {"conditions": "OTHER_ORIGIN"}
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "link",
    [
        "https://127.0.0.1/fhir/Condition",
        "//other.example/Condition",
        "http://user:secret@127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "http://[",
        "http://127.0.0.1:99999/x",
        "javascript:x",
        "/fhir/Condition?page=" + "9" * 70_000,
        "/fhir/Condition?page=\x01",
    ],
    ids=lambda link: ascii(link[:40]),
)
def test_a_prefetched_next_link_to_elsewhere_is_not_followed(link: str, fake: FakeServer) -> None:
    """X-12: the client's own word for it is not enough."""
    found = completed(fake.base, whole() | {"conditions": searchset(next_url=link)})
    assert told(found) == {"conditions": "OTHER_ORIGIN"}
    assert fake.asked == []


@pytest.mark.parametrize("scheme", ["file:///etc/passwd", "ftp://127.0.0.1/fhir", "gopher://127.0.0.1/fhir"])
def test_other_schemes_are_not_followed(scheme: str, fake: FakeServer) -> None:
    """X-35."""
    found = completed(scheme, without("conditions"), policy=policy_of(fake.base))
    assert told(found) == {"conditions": "NOT_LISTED"}


def test_a_server_that_is_not_listed_is_not_asked(fake: FakeServer, elsewhere: FakeServer) -> None:
    found = completed(elsewhere.base, without("conditions"), policy=policy_of(fake.base))
    assert told(found) == {"conditions": "NOT_LISTED"}
    assert elsewhere.asked == []


def test_a_type_outside_the_agreed_scopes_is_not_asked_for(fake: FakeServer) -> None:
    policy = policy_of(fake.base, scopes=frozenset({"Patient", "Observation"}))
    found = completed(fake.base, {}, policy=policy)
    assert told(found) == {"conditions": "SCOPE"}
    assert fake.at("/fhir/Condition") == []


def test_a_token_for_another_patient_is_not_used(fake: FakeServer) -> None:
    request = call_of(fake.base, without("conditions"))
    request = msgspec.structs.replace(request, fhir_authorization=access_by("p2"))
    assert told(completed(fake.base, {}, request=request)) == {"conditions": "OTHER_PATIENT"}
    assert fake.asked == []


def test_a_page_relative_to_where_it_was_redirected_is_found(fake: FakeServer) -> None:
    fake.on("/fhir/Condition", Reply(status=302, headers={"Location": "/r4/Condition"}))
    fake.on("/r4/Condition", json(searchset(next_url="page/2")))
    fake.on("/r4/page/2", json(EMPTY))
    assert len(completed(fake.base, without("conditions")).pages["conditions"]) == 2


DEPENDENT = {
    "encounter": "Encounter/{{context.encounterId}}",
    "practitioners": "Practitioner?_id={{%encounter.participant.individual.resolve().ofType(Practitioner).id}}",
}
VISIT = {
    "resourceType": "Encounter",
    "id": "e1",
    "participant": [
        {"individual": {"reference": "Practitioner/a"}},
        {"individual": {"reference": "RelatedPerson/b"}},
        {"individual": {"reference": "Practitioner/c"}},
    ],
}


@pytest.mark.parametrize("sent", [{}, {"encounter": VISIT}], ids=["neither was sent", "the first was sent"])
def test_a_template_that_needs_another_key_waits_for_it(sent: dict[str, Any], fake: FakeServer) -> None:
    fake.on("/fhir/Encounter/e1", json(VISIT))
    fake.on("/fhir/Practitioner", json(EMPTY))
    request = call_of(fake.base, sent, encounterId="e1")
    found = completed(fake.base, {}, templates=DEPENDENT, request=request)
    assert len(found.resources()) == 2
    assert fake.at("/fhir/Practitioner")[0].query == {"_id": ["a,c"]}


def test_what_depends_on_a_failed_key_fails_with_it(fake: FakeServer) -> None:
    request = call_of(fake.base, {}, encounterId="e1")
    found = completed(fake.base, {}, templates=DEPENDENT, request=request)
    assert told(found) == {"encounter": "NOT_FOUND", "practitioners": "DEPENDS"}


def test_a_key_that_cannot_be_decoded_helps_no_other(fake: FakeServer) -> None:
    """What is skipped unread may hold a number beyond all measure."""
    fake.on("/fhir/Encounter/e1", Reply(body=b'{"resourceType":"Encounter","id":"e1","length":{"value":1e999}}'))
    request = call_of(fake.base, {}, encounterId="e1")
    found = completed(fake.base, {}, templates=DEPENDENT, request=request)
    assert told(found) == {"practitioners": "DEPENDS"}


@pytest.mark.parametrize("visit", [None, VISIT | {"participant": []}], ids=["no such data", "nobody took part"])
def test_where_there_is_nothing_to_ask_for_nothing_is_there(visit: Any, fake: FakeServer) -> None:
    request = call_of(fake.base, {"encounter": visit}, encounterId="e1")
    found = completed(fake.base, {}, templates=DEPENDENT, request=request)
    assert (found.pages["practitioners"], found.failures, fake.asked) == ((), {}, [])


def test_a_template_without_its_context_cannot_be_read(fake: FakeServer) -> None:
    found = completed(fake.base, {}, templates=DEPENDENT)
    assert told(found) == {"encounter": "NO_CONTEXT", "practitioners": "DEPENDS"}


@pytest.mark.parametrize("patient_id", ["..", "a b", "a?b", "ä"])
def test_an_id_that_could_lead_elsewhere_on_the_server_is_not_asked_for(patient_id: str, fake: FakeServer) -> None:
    request = call_of(fake.base, without("patient"), patientId=patient_id)
    assert told(completed(fake.base, {}, request=request)) == {"patient": "NO_VALUE"}
    assert fake.asked == []


def test_more_keys_than_may_be_read_at_once_are_read_in_turn(fake: FakeServer) -> None:
    templates = {f"k{number}": f"Condition?patient={{{{context.patientId}}}}&n={number}" for number in range(9)}
    found = completed(fake.base, {}, templates=templates, limits=Limits(keys_at_once=2, requests_of_server=1))
    assert (len(fake.asked), len(found.resources())) == (9, 9)
