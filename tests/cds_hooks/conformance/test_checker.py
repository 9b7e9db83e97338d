"""The checker: a good server breaks nothing, and each way of breaking a server is named by its id."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cds_hooks.conformance.client import Limits, TargetError
from cds_hooks.conformance.finding import Verdict
from cds_hooks.conformance.samples import JWT
from cds_hooks.requirements import load_requirements
from tests.cds_hooks.conformance.broken_server import (
    NO_CARDS,
    OUTCOME,
    Asked,
    Change,
    Json,
    Reply,
    broken_ids,
    checked,
    fails,
    instead,
    on_card,
    on_discovery,
    takes,
)

_HTML = b"<html><body>Something went wrong</body></html>"
_TRACE = b'Traceback (most recent call last):\n  File "/srv/app/main.py", line 7, in call\n'


def test_a_good_server_breaks_nothing() -> None:
    assert broken_ids(checked()) == set()


def test_every_requirement_has_one_result_and_what_can_be_seen_is_looked_at() -> None:
    """What is unseen says why, in the words of the table or of the check."""
    requirements = load_requirements()
    results = {result.id: result for result in checked().results}
    assert list(results) == list(requirements)
    assert all(result.evidence for result in results.values())
    for requirement in requirements.values():
        if requirement.unseen is not None:
            assert results[requirement.id].verdict is Verdict.UNSEEN
            assert results[requirement.id].evidence == requirement.unseen
        else:
            assert results[requirement.id].evidence != "the check did not get so far"


def _other_order() -> Change:
    calls = 0

    def change(asked: Asked, reply: Reply) -> Reply:
        nonlocal calls
        if asked.is_discovery:
            calls += 1
        return replace(reply, body=reply.body + b" " * calls) if asked.is_discovery else reply

    return change


def _moody() -> Change:
    calls = 0

    def edit(card: Json) -> None:
        nonlocal calls
        calls += 1
        card["summary"] = f"Weight changed, {calls}"

    return on_card(edit)


def _prefetch(asked: Asked) -> Json:
    found = asked.document.get("prefetch", {})
    return found if isinstance(found, dict) else {}


def _context(asked: Asked) -> Json:
    found = asked.document.get("context", {})
    return found if isinstance(found, dict) else {}


def _deep(asked: Asked) -> bool:
    return asked.body.count(b"[") > 40_000 or asked.body.count(b"{") > 40_000


def _other_type(asked: Asked) -> bool:
    return asked.headers.get("content-type") != "application/json"


def _with_cors(**headers: str) -> Change:
    def change(asked: Asked, reply: Reply) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reflected = {name: asked.headers.get("origin", "") if value == "@" else value for name, value in named.items()}
        return replace(reply, headers={**reply.headers, **reflected})

    return change


def _without_cors(asked: Asked, reply: Reply) -> Reply:
    if asked.method != "OPTIONS":
        return reply
    return replace(reply, headers={name: value for name, value in reply.headers.items() if "access" not in name})


def _echo(asked: Asked, reply: Reply) -> Reply:
    return replace(reply, body=reply.body + b" " + asked.body[:2000]) if reply.status == 400 else reply


def _feedback(asked: Asked) -> bool:
    return asked.path.endswith("/feedback") and asked.method == "POST"


def _entry(asked: Asked) -> Json:
    entries = asked.document.get("feedback")
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}


def _both(first: Change, second: Change) -> Change:
    return lambda asked, reply: second(asked, first(asked, reply))


def _suggest(card: Json) -> None:
    card.update(suggestions=[{"label": "Weigh again", "uuid": "s-1"}], selectionBehavior="any")


# fmt: off
BROKEN: dict[str, tuple[Change, set[str]]] = {
    "discovery that changes": (_other_order(), {"D-13", "H-03"}),
    "discovery as text": (instead(lambda asked, _: asked.is_discovery, 200, content_type="text/plain"), {"J-01"}),
    "discovery without services": (
        instead(lambda asked, _: asked.is_discovery, 200, b'{"service": [1]}'), {"D-02"}),
    "no description": (on_discovery(lambda each: each.pop("description")), {"D-04"}),
    "no title": (on_discovery(lambda each: each.pop("title")), {"D-06"}),
    "a null in discovery": (on_discovery(lambda each: each.update(usageRequirements=None)), {"D-08", "J-02", "J-04"}),
    "an unknown property in discovery": (on_discovery(lambda each: each.update(colour="red")), {"D-17"}),
    "the version STU3": (on_discovery(lambda each: each.update(version="STU3")), {"D-09"}),
    "a hookVersion that never was": (on_discovery(lambda each: each.update(hookVersion="9.9")), {"D-10"}),
    "an absolute template": (
        on_discovery(lambda each: each["prefetch"].update(x="https://ehr.example/Patient/1")), {"P-01"}),
    "a token without context": (
        on_discovery(lambda each: each["prefetch"].update(x="Patient/{{patientId}}")), {"P-02", "P-03"}),
    "FHIRPath in a service of 2.0.1": (
        on_discovery(lambda each: each["prefetch"].update(x="Condition?onset-date=gt{{today() - 2 days}}")), {"P-05"}),
    "a modifier that few servers know": (
        on_discovery(lambda each: each["prefetch"].update(x="Condition?code:text=sepsis")), {"P-06"}),
    "a call without hook is taken": (takes(lambda asked: "hook" not in asked.document and b"hookI" in asked.body),
                                     {"R-04"}),
    "any hook is taken": (takes(lambda asked: asked.document.get("hook") == "order-sign"), {"R-05"}),
    "a call without hookInstance is taken": (
        takes(lambda asked: "hook" in asked.document and "hookInstance" not in asked.document), {"R-06"}),
    "any hookInstance is taken": (takes(lambda asked: asked.document.get("hookInstance") == "conform"), {"R-07"}),
    "a call without user is taken": (
        takes(lambda asked: "patientId" in _context(asked) and "userId" not in _context(asked)), {"R-10"}),
    "broken JSON is taken": (takes(lambda asked: asked.body == b"{"), {"R-13"}),
    "an array as body is taken": (takes(lambda asked: asked.body == b"[]"), {"R-14"}),
    "any Content-Type is taken": (takes(_other_type), {"R-15"}),
    "a charset is refused": (
        instead(lambda asked, _: "charset" in asked.headers.get("content-type", ""), 415), {"R-15"}),
    "a 500 on broken JSON": (fails(lambda asked: asked.body == b"{"), {"R-13", "H-06"}),
    "a 500 on deep nesting": (fails(_deep), {"R-18", "H-06"}),
    "a 500 on NaN": (fails(lambda asked: b"NaN" in asked.body), {"R-22", "H-06"}),
    "a 500 on half a surrogate pair": (fails(lambda asked: b"\\ud800" in asked.body), {"R-19", "H-06"}),
    "an extension is refused": (
        instead(lambda asked, _: asked.is_call and "extension" in asked.document, 400), {"R-02", "R-03"}),
    "patients as users are refused": (
        instead(lambda asked, _: b'"Patient/conform-user"' in asked.body, 400), {"R-27"}),
    "fhirServer without a token is a fault": (
        fails(lambda asked: "fhirAuthorization" not in asked.document
              and str(asked.document.get("fhirServer")).startswith("https")),
        {"X-23", "X-27", "H-06"}),
    "an incomplete prefetch is refused as malformed": (
        instead(lambda asked, reply: asked.is_call and reply.status == 412 and "weights" not in _prefetch(asked), 400),
        {"X-01", "X-02"}),
    "null in the prefetch is refused": (
        instead(lambda asked, _: _prefetch(asked).get("weights", 0) is None, 400), {"X-03"}),
    "a prefetched number is a fault": (fails(lambda asked: _prefetch(asked).get("weights") == 7),
                                       {"X-26", "H-06"}),
    "other guidance at every call": (_moody(), {"R-25", "R-26", "H-03"}),
    "a service that nobody lists answers": (
        instead(lambda asked, _: asked.path.endswith("no-such-service") and asked.method == "POST", 200, NO_CARDS),
        {"R-20"}),
    "GET calls a service": (
        instead(lambda asked, _: asked.method == "GET" and "weight-loss" in asked.path, 200, NO_CARDS), {"R-21"}),
    "an unknown JWT is refused": (
        instead(lambda asked, _: asked.headers.get("authorization") == f"Bearer {JWT}", 401, www_authenticate="Bearer"),
        {"A-18"}),
    "a card too long": (on_card(lambda card: card.update(summary="x" * 140)), {"C-02"}),
    "a card without uuid": (on_card(lambda card: card.pop("uuid")), {"C-24"}),
    "errors in HTML": (
        instead(lambda _, reply: reply.status >= 400, 400, _HTML, content_type="text/html"),
        {"H-01", "R-20", "B-12", "X-01", "X-02", "X-04", "R-21"}),
    "a stack trace in an error": (instead(lambda asked, _: asked.body == b"{", 400, _TRACE), {"H-01", "H-02"}),
    "the request in an error": (_echo, {"H-01", "X-22"}),
    "no CORS on preflights": (_without_cors, {"O-01", "O-02", "O-04"}),
    "credentials for everybody": (
        _with_cors(access_control_allow_origin="@", access_control_allow_credentials="true"), {"O-05"}),
    "preflights ask for a token": (instead(lambda asked, _: asked.method == "OPTIONS", 401),
                                   {"A-24", "O-01", "O-02", "O-04"}),
    "accepted feedback is refused": (
        _both(on_card(_suggest), instead(
            lambda asked, _: _feedback(asked) and _entry(asked).get("outcome") == "accepted", 400)), {"B-02"}),
    "a comment alone is refused": (
        instead(lambda asked, _: _feedback(asked) and list(_entry(asked).get("overrideReason", ())) == ["userComment"],
                422), {"B-11"}),
    "any outcome is taken": (
        instead(lambda asked, _: _feedback(asked) and _entry(asked).get("outcome") == "ignored", 200, b""), {"B-07"}),
    "any time is taken": (
        instead(lambda asked, _: _feedback(asked) and _entry(asked).get("outcomeTimestamp") == "yesterday", 200, b""),
        {"B-10"}),
}
# fmt: on


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_named_and_nothing_else(broken: str) -> None:
    change, expected = BROKEN[broken]
    assert broken_ids(checked(change)) == expected


def _asks_for_token(asked: Asked, reply: Reply) -> Reply:
    if asked.method == "OPTIONS" or asked.headers.get("authorization") == "Bearer good":
        return reply
    return Reply(status=401, headers={**reply.headers, "content-type": "application/fhir+json",
                                      "www-authenticate": "Bearer"}, body=OUTCOME)  # fmt: skip


def test_a_server_that_asks_for_a_token_is_checked_with_one() -> None:
    report = checked(_asks_for_token, authorization=lambda _: "good")
    verdicts = {result.id: result.verdict for result in report.results}
    assert broken_ids(report) == set()
    assert [verdicts[each] for each in ("A-04", "A-05", "A-12", "A-14", "A-15", "A-17", "A-19", "R-01")] == ["met"] * 8
    assert verdicts["A-18"] is Verdict.NOT_APPLICABLE


def test_without_a_token_it_is_said_that_nothing_could_be_seen() -> None:
    def only_calls(asked: Asked, reply: Reply) -> Reply:
        return reply if asked.is_discovery else _asks_for_token(asked, reply)

    report = checked(only_calls)
    results = {result.id: result for result in report.results}
    assert broken_ids(report) == {"A-14"}
    assert results["R-04"].verdict is Verdict.UNSEEN
    assert "--token-file" in results["R-04"].evidence


@pytest.mark.parametrize(
    ("token", "requirement_id"),
    [("Bearer eyJhbGciOiAibm9uZSI", "A-04"), ("Bearer eyJhbGciOiAiSFMyNTYi", "A-05"), ("Basic", "A-19")],
    ids=["none", "HS256", "Basic"],
)
def test_a_token_that_anybody_could_make_must_be_refused(token: str, requirement_id: str) -> None:
    def gullible(asked: Asked, reply: Reply) -> Reply:
        return reply if asked.headers.get("authorization", "").startswith(token) else _asks_for_token(asked, reply)

    assert broken_ids(checked(gullible, authorization=lambda _: "good")) == {requirement_id}


@pytest.mark.parametrize("padding", ["", "x" * 140])
def test_a_token_that_comes_back_is_a_breach_and_is_not_repeated_in_the_report(padding: str) -> None:
    def gossip(asked: Asked, reply: Reply) -> Reply:
        if not asked.is_call:
            return reply
        diagnostics = f"{padding}No {asked.headers.get('authorization')} here"
        issue = {"severity": "error", "code": "login", "diagnostics": diagnostics}
        body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
        return Reply(status=400, headers={**reply.headers, "content-type": "application/fhir+json"}, body=body)

    report = checked(gossip, authorization=lambda _: "token-of-the-site")
    assert {"R-01", "X-22"} <= broken_ids(report)
    evidence = {result.id: result.evidence for result in report.results}
    assert "No Bearer (token)" in evidence["R-01"]
    assert "token-of" not in str(evidence)


def test_a_server_that_takes_a_token_once_is_not_believed_to_look_at_requests() -> None:
    """Each further call is refused for its token: that says nothing of what else is wrong with it."""
    used: list[str] = []

    def once(asked: Asked, reply: Reply) -> Reply:
        if asked.is_call and asked.headers.get("authorization") == "Bearer good":
            used.append(asked.path)
            if len(used) > 3:
                return Reply(status=401, headers={"www-authenticate": "Bearer"}, body=OUTCOME)
        return _asks_for_token(asked, reply)

    verdicts = {result.id: result.verdict for result in checked(once, authorization=lambda _: "good").results}
    assert {verdicts[each] for each in ("R-04", "R-13", "R-18", "H-03")} == {Verdict.UNSEEN}


def test_a_server_that_takes_a_token_once_for_discovery_breaks_nothing_by_it() -> None:
    used: list[str] = []

    def once(asked: Asked, reply: Reply) -> Reply:
        if asked.is_discovery and asked.method == "GET" and asked.headers.get("authorization") == "Bearer good":
            used.append(asked.path)
            if len(used) > 1:
                return Reply(status=401, headers={"www-authenticate": "Bearer"}, body=OUTCOME)
        return _asks_for_token(asked, reply)

    report = checked(once, authorization=lambda _: "good")
    results = {result.id: result for result in report.results}
    assert not broken_ids(report) & {"D-13", "H-03"}
    assert "--key-file" in results["D-13"].evidence


def test_a_discovery_that_asks_for_a_token_is_no_breach() -> None:
    report = checked(_asks_for_token)
    results = {result.id: result for result in report.results}
    assert broken_ids(report) == set()
    assert "--token-file" in results["D-01"].evidence


def test_no_more_services_are_checked_than_the_limit_says() -> None:
    many = json.dumps({"services": [{"id": f"a{number}", "hook": "patient-view"} for number in range(5000)]}).encode()
    report = checked(instead(lambda asked, _: asked.is_discovery, 200, many), limits=Limits(services=2))
    assert (report.services, report.complete) == (("a0", "a1"), False)


@pytest.mark.parametrize("kilobytes", range(0, 33, 4))
def test_a_check_that_is_over_before_its_end_says_so_and_blames_nobody(kilobytes: int) -> None:
    report = checked(limits=Limits(total_bytes=1000 * kilobytes + 600))
    assert not report.complete
    assert broken_ids(report) == set()


def test_a_server_without_feedback_is_no_worse_for_it() -> None:
    report = checked(instead(lambda asked, _: asked.path.endswith("/feedback"), 404))
    verdicts = {result.id: result.verdict for result in report.results}
    assert broken_ids(report) == set()
    assert {verdicts[each] for each in ("B-01", "B-02", "B-13", "O-04")} == {Verdict.NOT_APPLICABLE}


def test_an_allow_list_of_origins_is_no_breach() -> None:
    chosen = _with_cors(access_control_allow_origin="https://ehr.example", vary="Origin")
    report = checked(chosen)
    verdicts = {result.id: result.verdict for result in report.results}
    assert broken_ids(report) == set()
    assert verdicts["O-01"] is Verdict.UNSEEN
    assert broken_ids(checked(chosen, origin="https://ehr.example")) == set()


def test_a_service_that_is_not_listed_is_told_with_those_that_are() -> None:
    with pytest.raises(TargetError, match=r"discovery lists \(weight-loss\), got 'sepsis'"):
        checked(service_id="sepsis")


@pytest.mark.parametrize("services", [[], [7], [{"id": "../a", "hook": "patient-view"}], [{"id": "a"}]], ids=repr)
def test_a_discovery_that_lists_nothing_that_can_be_called_is_checked_as_far_as_it_goes(services: Any) -> None:
    body = json.dumps({"services": services}).encode()
    report = checked(instead(lambda asked, _: asked.is_discovery, 200, body))
    assert report.services == ()
    assert "D-01" not in broken_ids(report)
