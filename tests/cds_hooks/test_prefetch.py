"""Prefetch: what came under a key."""

import json

import msgspec
import pytest

from cds_hooks.prefetch import PrefetchStatus, PrefetchValue, check_prefetch, classify

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
