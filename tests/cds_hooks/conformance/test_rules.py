"""The rules on answers and templates, one by one: what breaks which, and that our types refuse the same."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.conformance.answers import response_findings
from cds_hooks.conformance.conduct import conduct_findings
from cds_hooks.conformance.discovery import Service
from cds_hooks.conformance.exchange import Answer, Ask, Fault, plain
from cds_hooks.conformance.finding import Finding, Verdict, conclude, met, not_applicable, not_met, unseen
from cds_hooks.conformance.templates import template_findings
from cds_hooks.requirements import load_requirements
from cds_hooks.response import decode_response

CODING = {"code": "a", "system": "https://e.example"}
TASK = {"resourceType": "Task", "status": "requested"}
CARD: dict[str, Any] = {
    "uuid": "c-1",
    "summary": "Weight changed",
    "detail": "By **10 %**.",
    "indicator": "warning",
    "source": {
        "label": "A",
        "url": "https://e.example",
        "icon": "https://e.example/icon.png",
        "topic": CODING,
    },
    "suggestions": [
        {
            "label": "Ask",
            "uuid": "s-1",
            "isRecommended": True,
            "actions": [
                {"type": "create", "description": "A task", "resource": TASK},
                {"type": "delete", "description": "No task", "resourceId": "Task/1"},
            ],
        }
    ],
    "selectionBehavior": "at-most-one",
    "overrideReasons": [{**CODING, "display": "A"}],
    "links": [{"label": "A", "url": "https://e.example", "type": "smart", "appContext": "x", "autolaunchable": True}],
    "extension": {"org.example.a": {"b": 1}},
}
RESPONSE: dict[str, Any] = {"cards": [CARD], "extension": {"org.example.a": 1}}
ABSENT = "(absent)"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good response with one element replaced, or taken away."""
    document: dict[str, Any] = json.loads(json.dumps(RESPONSE))
    *parents, name = path.split(".")
    target: Any = document
    for parent in parents:
        target = target[int(parent)] if parent.isdigit() else target[parent]
    if value == ABSENT:
        del target[name]
    else:
        target[name] = value
    return document


def broken(findings: Iterable[Finding]) -> set[str]:
    return {finding.id for finding in findings if finding.verdict is Verdict.NOT_MET}


def of_response(document: object) -> set[str]:
    return broken(response_findings(document, patient_ids=frozenset({"patient-1", "1"}), where="here"))


def of_conduct(document: object) -> set[str]:
    answer = Answer(
        ask=Ask(name="call", method="POST", path="/cds-services/a"),
        status=200,
        headers={"content-type": "application/json"},
        body=json.dumps(document).encode(),
    )
    return broken(conduct_findings([answer]))


C = "cards.0"
RULES = [
    ("cards", 7, {"C-01"}),
    ("cards", [7], {"C-01"}),
    (f"{C}.summary", "x" * 140, {"C-02"}),
    (f"{C}.summary", "👩" * 70, {"C-02"}),
    (f"{C}.summary", ABSENT, {"C-02"}),
    (f"{C}.summary", "one\ntwo", {"C-20"}),
    (f"{C}.summary", "Risk nan %", {"C-22"}),
    (f"{C}.detail", "By {{weight}}.", {"C-22"}),
    (f"{C}.detail", "By <b>10</b>", {"C-20"}),
    (f"{C}.detail", "See <https://e.example>.", set()),
    (f"{C}.detail", 7, {"C-09"}),
    (f"{C}.indicator", "hard-stop", {"C-03"}),
    (f"{C}.indicator", [], {"C-03"}),
    (f"{C}.source", ABSENT, {"C-04"}),
    (f"{C}.source.label", "", {"C-04"}),
    (f"{C}.source.url", "/facts", {"C-05"}),
    (f"{C}.source.icon", "icon.png", {"C-05"}),
    (f"{C}.source.url", "https://e.example/Patient/patient-1", {"C-15", "C-23"}),
    (f"{C}.source.topic", {"code": "a"}, {"C-07"}),
    (f"{C}.uuid", ABSENT, {"C-24"}),
    (f"{C}.uuid", 7, {"C-08"}),
    ("cards", [CARD, CARD], {"C-08"}),
    (f"{C}.selectionBehavior", ABSENT, {"C-10"}),
    (f"{C}.selectionBehavior", "all", {"C-10"}),
    (f"{C}.suggestions", ABSENT, {"C-10"}),
    (f"{C}.suggestions", 7, {"S-01"}),
    (f"{C}.suggestions", [CARD["suggestions"][0], {"label": "B", "isRecommended": True}], {"C-11"}),
    (f"{C}.suggestions", [CARD["suggestions"][0], {"label": "B", "uuid": "s-1"}], {"S-02"}),
    (f"{C}.overrideReasons.0.display", ABSENT, {"C-12"}),
    (f"{C}.overrideReasons.0.system", ABSENT, {"C-07"}),
    (f"{C}.overrideReasons", {}, {"C-12"}),
    (f"{C}.colour", "red", {"C-16"}),
    (f"{C}.suggestions.0.label", "", {"S-01"}),
    (f"{C}.suggestions.0.uuid", 7, {"S-02"}),
    (f"{C}.suggestions.0.isRecommended", "yes", {"S-03"}),
    (f"{C}.suggestions.0.actions", [], {"S-04"}),
    (f"{C}.suggestions.0.actionSelectionBehavior", "any", {"S-10"}),
    (f"{C}.suggestions.0.actions.0.type", "replace", {"S-05"}),
    (f"{C}.suggestions.0.actions.0.description", ABSENT, {"S-06"}),
    (f"{C}.suggestions.0.actions.0.resource", ABSENT, {"S-07"}),
    (f"{C}.suggestions.0.actions.0.resource", "{}", {"S-07", "J-05"}),
    (f"{C}.suggestions.0.actions.0.resource", {"status": "draft"}, {"J-05"}),
    (f"{C}.suggestions.0.actions.1.resourceId", ABSENT, {"S-09"}),
    (f"{C}.suggestions.0.actions.1.resourceId", "1", {"S-09"}),
    (f"{C}.links", {}, {"L-01"}),
    (f"{C}.links.0.label", ABSENT, {"L-01"}),
    (f"{C}.links.0.url", "javascript:alert(1)", {"L-02"}),
    (f"{C}.links.0.url", "http://[", {"L-02"}),
    (f"{C}.links.0.type", "absolute", {"L-04"}),
    (f"{C}.links.0.type", "other", {"L-03", "L-04"}),
    (f"{C}.links.0.autolaunchable", "yes", {"L-05"}),
    (f"{C}.extension", [1], {"E-01"}),
    (f"{C}.extension", {"crd": 1}, {"E-02"}),
    ("extension", 7, {"E-01"}),
    ("systemActions", [{"type": "delete", "resourceId": "Task/1"}], {"Y-02"}),
    ("systemActions", [], {"Y-01", "Y-02"}),
]
NAMES = [f"{path} {value!a}"[:60] for path, value, _ in RULES]
# What our types take from others, though the rules warn of it: advice, or a rule on what we send.
ADVICE = {"C-15", "C-16", "C-20", "C-22", "C-23", "C-24", "S-10", "Y-02"}


def test_a_good_response_breaks_nothing() -> None:
    assert of_response(RESPONSE) == set()
    assert of_conduct(RESPONSE) == set()
    decode_response(json.dumps(RESPONSE).encode())


@pytest.mark.parametrize(("path", "value", "expected"), RULES, ids=NAMES)
def test_each_breach_is_named_by_its_id_and_nothing_else_is(path: str, value: Any, expected: set[str]) -> None:
    assert of_response(changed(path, value)) == expected


@pytest.mark.parametrize(("path", "value", "expected"), RULES, ids=NAMES)
def test_our_types_refuse_what_the_rules_refuse(path: str, value: Any, expected: set[str]) -> None:
    body = json.dumps(changed(path, value)).encode()
    if expected <= ADVICE or value == []:
        return  # an empty array is read as an absent one; none is ever sent
    with pytest.raises(msgspec.ValidationError):
        decode_response(body)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["label", "type", "url"]), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted({path for path, _, _ in RULES})), _anything)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_our_types_refuse_is_named_by_some_rule(path: str, value: Any) -> None:
    """The two were written apart; whatever an answer holds, they must not disagree in silence."""
    document = changed(path, value)
    try:
        decode_response(json.dumps(document).encode())
    except msgspec.ValidationError:
        assert of_response(document) | of_conduct(document)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"cards": None}, {"J-02", "J-04"}),
        ({"cards": [{"summary": ""}]}, {"J-03", "J-04"}),
        ({"cards": [], "systemActions": []}, {"J-03", "J-04"}),
        ({"cards": [], "extension": {"services": []}}, {"J-03", "J-04"}),
        ({"cards": [{"resource": {"resourceType": "Task", "code": None}}]}, set()),
        ({"cards": [float("nan")]}, {"J-06"}),
    ],
    ids=["null", "empty-text", "empty-array", "empty-elsewhere", "null-in-a-resource", "NaN"],
)
def test_nothing_null_nothing_empty_and_no_nan(document: object, expected: set[str]) -> None:
    assert of_conduct(document) == expected


@pytest.mark.parametrize(
    ("templates", "version", "expected"),
    [
        ({"a": "Patient/{{context.patientId}}"}, "", set()),
        ({"a": "Observation?patient={{context.patientId}}&date=ge2026-01-01&_count=5&_sort=-date"}, "", set()),
        ({"a": "Practitioner/{{userPractitionerId}}"}, "", set()),
        ({"a": "/Patient/1"}, "", {"P-01"}),
        ({"a": "Patient/1/$everything"}, "", {"P-01"}),
        ({"a": "Patient"}, "", {"P-01"}),
        ({"a": "Patient/{{patientId}}"}, "", {"P-02", "P-03"}),
        ({"a": "Patient/{{context.patientId; drop}}"}, "", {"P-02", "P-05"}),
        ({"a": "Patient/{{context.draftOrders}}"}, "", {"P-04"}),
        ({"a": "Condition?date=gt{{today() - 2 days}}"}, "2.0.1", {"P-05"}),
        ({"a": "Condition?date=gt{{today() - 2 days}}"}, "3.0.0", set()),
        ({"a": "Condition?code:text=x"}, "", {"P-06"}),
        ({"a": "Condition?subject.name=x"}, "", {"P-06"}),
        ({"a": "Condition?date=sa2026"}, "", {"P-06"}),
        ({"a": "Condition?_include=x"}, "", {"P-06"}),
        ({"b": "Patient/{{%a.id}}", "a": "Patient/{{context.patientId}}"}, "3.0.0", {"P-07"}),
        ({"a": "Patient/{{context.patientId}}", "b": "Group/{{%a.id}}"}, "3.0.0", set()),
        ({"a": "Patient/{{context.performer.resolve().ofType(patient).id}}"}, "3.0.0", {"P-08"}),
        ({"a": "Patient/{{context.performer.resolve().ofType(Patient).id}}"}, "3.0.0", set()),
    ],
    ids=str,
)
def test_each_way_to_write_a_template_badly_is_named(
    templates: dict[str, str], version: str, expected: set[str]
) -> None:
    service = Service(id="a", hook="order-sign", templates=templates, version=version)
    assert broken(template_findings(service)) == expected


def test_one_breach_outweighs_all_that_was_kept_and_one_sight_what_was_not_seen() -> None:
    requirements = {"R-01": load_requirements()["R-01"]}

    def concluded(*findings: Finding) -> tuple[str, str]:
        (result,) = conclude(requirements, findings)
        return result.verdict.value, result.evidence

    kept, missed = met("R-01", "a"), unseen("R-01", "b")
    assert concluded(kept, not_met("R-01", "c"), not_met("R-01", "d")) == ("not met", "c (and 1 more)")
    assert concluded(missed, kept) == ("met", "a")
    assert concluded(not_applicable("R-01", "e"), missed) == ("could not be seen", "b")
    assert concluded() == ("could not be seen", "the check did not get so far")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('File "/srv/app/main.py", line 7', True),
        ("at org.example.Main.call(Main.java:7)", True),
        ("    at call (/app/node_modules/express/index.js:7:3)", True),
        ("Expected context.patientId, got a number.", False),
        ("Nothing lives at /cds-services/usr/home.", False),
    ],
)
def test_what_a_server_tells_of_its_inside_is_found(text: str, *, expected: bool) -> None:
    ask = Ask(name="call", method="POST", path="/cds-services/a")
    answer = Answer(ask=ask, status=400, headers={"content-type": "text/plain"}, body=text.encode())
    assert ("H-02" in broken(conduct_findings([answer]))) is expected


def test_a_check_that_ran_out_of_time_blames_nobody() -> None:
    ask = Ask(name="call", method="POST", path="/cds-services/a")
    assert broken(conduct_findings([Answer(ask=ask, fault=Fault.OVER)])) == set()


def test_foreign_text_is_printed_on_one_line_without_control_characters() -> None:
    assert plain("a\x1b[31m\nb") == "a�[31m�b"
    assert plain("x" * 200) == "x" * 120 + "…"
