"""Prefetch: what came under a key, and which templates may be advertised."""

import json

import msgspec
import pytest

from cds_hooks.errors import InvalidAnswer
from cds_hooks.prefetch import (
    PrefetchStatus,
    PrefetchValue,
    check_prefetch,
    classify,
    fill_template,
    validate_template,
)

_NEXT = [{"relation": "self", "url": "https://ehr.example/a"}, {"relation": "next", "url": "https://ehr.example/b"}]
_MATCH = {"resource": {"resourceType": "Observation"}, "search": {"mode": "match"}}
_OUTCOME_ENTRY = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
_INCLUDED = {"resource": {"resourceType": "Patient"}, "search": {"mode": "include"}}
_UNMARKED = {"resource": {"resourceType": "Observation"}}


def _searchset(*entries: object, **fields: object) -> dict[str, object]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": list(entries), **fields}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


STATES: dict[str, tuple[object, PrefetchStatus, int, str | None]] = {
    "null": (None, PrefetchStatus.NULL, 0, None),
    "outcome": ({"resourceType": "OperationOutcome", "issue": []}, PrefetchStatus.OUTCOME, 0, None),
    "patient": ({"resourceType": "Patient", "link": [{"other": {}}]}, PrefetchStatus.RESOURCE, 0, None),
    "encounter": ({"resourceType": "Encounter", "type": [{"text": "x"}]}, PrefetchStatus.RESOURCE, 0, None),
    "list-resource": ({"resourceType": "List", "entry": [{"item": {}}]}, PrefetchStatus.RESOURCE, 0, None),
    "empty-searchset": (_searchset(), PrefetchStatus.SEARCHSET, 0, None),
    "searchset-without-entry": ({"resourceType": "Bundle", "type": "searchset"}, PrefetchStatus.SEARCHSET, 0, None),
    "matches": (_searchset(_MATCH, _UNMARKED), PrefetchStatus.SEARCHSET, 2, None),
    "others-do-not-match": (_searchset(_MATCH, _INCLUDED, _OUTCOME_ENTRY), PrefetchStatus.SEARCHSET, 1, None),
    "outcome-only": (_searchset(_OUTCOME_ENTRY), PrefetchStatus.SEARCHSET, 0, None),
    "paged": (_searchset(_MATCH, link=_NEXT), PrefetchStatus.SEARCHSET, 1, "https://ehr.example/b"),
    "last-page": (_searchset(_MATCH, link=_NEXT[:1]), PrefetchStatus.SEARCHSET, 1, None),
    "bundle-without-type": ({"resourceType": "Bundle", "entry": [_MATCH]}, PrefetchStatus.SEARCHSET, 1, None),
    "transaction": ({"resourceType": "Bundle", "type": "transaction"}, PrefetchStatus.INVALID, 0, None),
    "entry-as-object": ({"resourceType": "Bundle", "entry": {}}, PrefetchStatus.INVALID, 0, None),
    "link-as-text": (_searchset(link="next"), PrefetchStatus.INVALID, 0, None),
    "no-resource-type": ({"id": "1"}, PrefetchStatus.INVALID, 0, None),
    "empty-resource-type": ({"resourceType": ""}, PrefetchStatus.INVALID, 0, None),
    "empty-object": ({}, PrefetchStatus.INVALID, 0, None),
    "array": ([], PrefetchStatus.INVALID, 0, None),
    "text": ("Patient", PrefetchStatus.INVALID, 0, None),
    "number": (7, PrefetchStatus.INVALID, 0, None),
    "false": (False, PrefetchStatus.INVALID, 0, None),
}


@pytest.mark.parametrize(("value", "status", "matches", "next_url"), STATES.values(), ids=STATES.keys())
def test_each_state_of_a_key_is_told_apart(
    value: object, status: PrefetchStatus, matches: int, next_url: str | None
) -> None:
    told = classify(_raw(value))
    assert (told.status, told.matches, told.next_url) == (status, matches, next_url)


def test_a_key_that_was_not_sent_is_absent_and_not_null() -> None:
    assert classify(None) == PrefetchValue(status=PrefetchStatus.ABSENT)


def test_a_value_nested_too_deeply_is_invalid() -> None:
    deep = b'{"resourceType":"Bundle","x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert classify(msgspec.Raw(deep)).status is PrefetchStatus.INVALID


def test_a_report_tells_usable_absent_failed_paged_and_unknown_keys() -> None:
    templates = dict.fromkeys(["patient", "weights", "heights", "allergies", "labs"], "Patient/1")
    report = check_prefetch(
        templates,
        {
            "patient": _raw({"resourceType": "Patient"}),
            "weights": _raw(_searchset(_MATCH, link=_NEXT)),
            "heights": _raw(None),
            "allergies": _raw({"resourceType": "OperationOutcome"}),
            "extra": _raw(_searchset()),
        },
    )
    assert report.usable == ("patient", "weights", "heights")
    assert report.absent == ("labs",)
    assert report.failed == ("allergies",)
    assert report.paged == ("weights",)
    assert report.unknown == ("extra",)


TEMPLATES: dict[str, tuple[str, str, bool]] = {
    "read": ("Patient/{{context.patientId}}", "patient-view", True),
    "read-by-user": ("Practitioner/{{userPractitionerId}}", "patient-view", True),
    "fixed-read": ("Questionnaire/intake-1", "patient-view", True),
    "search": ("Observation?patient={{context.patientId}}&_sort=-date", "patient-view", True),
    "search-by-code": (
        "Observation?patient={{context.patientId}}&code=http://loinc.org|8867-4,http://loinc.org|9279-1",
        "patient-view",
        True,
    ),
    "search-by-date": ("Observation?patient={{context.patientId}}&date=ge2026-01-01", "patient-view", True),
    "own-hook": ("Location/{{context.wardId}}", "org.example.ward-round", True),
    "absolute": ("https://ehr.example/Patient/{{context.patientId}}", "patient-view", False),
    "leading-slash": ("/Patient/{{context.patientId}}", "patient-view", False),
    "operation": ("Patient/{{context.patientId}}/$everything", "patient-view", False),
    "history": ("Patient/{{context.patientId}}/_history", "patient-view", False),
    "type-only": ("Patient", "patient-view", False),
    "empty": ("", "patient-view", False),
    "space": ("Observation?patient={{context.patientId}}&code=a b", "patient-view", False),
    "unclosed-token": ("Patient/{{context.patientId", "patient-view", False),
    "bare-field": ("Patient/{{patientId}}", "patient-view", False),
    "percent-context": ("Encounter/{{%context.encounterId}}", "patient-view", False),
    "field-of-another-hook": ("Organization/{{context.performer}}", "patient-view", False),
    "no-token-field": ("Observation?x={{context.draftOrders}}", "order-sign", False),
    "fhirpath": ("Encounter?x={{context.draftOrders.entry.resource.id}}", "order-sign", False),
    "today": ("Observation?date=ge{{today()-90days}}", "patient-view", False),
    "own-hook-fhirpath": ("Location/{{context.ward.id}}", "org.example.ward-round", False),
}


@pytest.mark.parametrize(("template", "hook", "good"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_is_a_read_or_a_search_with_tokens_that_the_hook_allows(
    template: str, hook: str, *, good: bool
) -> None:
    if good:
        validate_template(template, hook)
    else:
        with pytest.raises(InvalidAnswer, match="Prefetch template"):
            validate_template(template, hook)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Patient/{{context.patientId}}", "Patient/p%2F1%262"),
        ("Encounter/{{context.encounterId}}", None),
        ("Practitioner/{{userPractitionerId}}", "Practitioner/dr-1"),
        ("Patient/{{userPatientId}}", None),
        ("Observation?a={{context.patientId}}&b={{context.patientId}}", "Observation?a=p%2F1%262&b=p%2F1%262"),
        ("Questionnaire/intake", "Questionnaire/intake"),
    ],
)
def test_tokens_are_filled_percent_encoded_or_the_query_is_not_to_be_run(template: str, expected: str | None) -> None:
    context = {"userId": "Practitioner/dr-1", "patientId": "p/1&2"}
    assert fill_template(template, context) == expected


def test_a_value_that_looks_like_a_token_is_not_filled_again() -> None:
    context = {"userId": "Practitioner/{{context.patientId}}", "patientId": "p1"}
    assert fill_template("Practitioner/{{userPractitionerId}}", context) == (
        "Practitioner/%7B%7Bcontext.patientId%7D%7D"
    )


def test_a_user_without_an_id_fills_no_token() -> None:
    assert fill_template("Practitioner/{{userPractitionerId}}", {"userId": "Practitioner"}) is None
    assert fill_template("Practitioner/{{userPractitionerId}}", {}) is None
