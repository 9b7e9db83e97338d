"""Feedback: which outcomes are taken, and how they read afterwards."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cds_hooks.errors import InvalidField, InvalidRequest, MalformedBody, MissingField
from cds_hooks.feedback import AcceptedSuggestion, FeedbackEntry, FeedbackReason, ReasonCoding, decode_feedback
from tests.cds_hooks.samples import ABSENT, changed, encoded

ACCEPTED: dict[str, Any] = {
    "card": "c-1",
    "outcome": "accepted",
    "acceptedSuggestions": [{"id": "s-1"}],
    "outcomeTimestamp": "2026-01-15T10:11:12Z",
}
OVERRIDDEN: dict[str, Any] = {"card": "c-2", "outcome": "overridden", "outcomeTimestamp": "2026-01-15T10:11:12Z"}
_AT = datetime(2026, 1, 15, 10, 11, 12, tzinfo=UTC)


def _decoded(*entries: object) -> tuple[FeedbackEntry, ...]:
    return decode_feedback(encoded({"feedback": list(entries)}))


def test_an_accepted_suggestion_is_taken() -> None:
    assert _decoded(ACCEPTED) == (
        FeedbackEntry(
            card="c-1",
            outcome="accepted",
            outcome_timestamp=_AT,
            accepted_suggestions=(AcceptedSuggestion(id="s-1"),),
        ),
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            {"reason": {"code": "x", "system": "https://e.example"}, "userComment": "known"},
            FeedbackReason(reason=ReasonCoding(code="x", system="https://e.example"), user_comment="known"),
        ),
        (
            {"reason": {"code": "x", "system": "https://e.example", "display": "Known"}},
            FeedbackReason(reason=ReasonCoding(code="x", system="https://e.example", display="Known")),
        ),
        ({"userComment": "known"}, FeedbackReason(user_comment="known")),
    ],
    ids=["reason-and-comment", "reason-with-display", "comment-alone"],
)
def test_an_overridden_card_is_taken_with_its_reason(reason: dict[str, object], expected: FeedbackReason) -> None:
    (entry,) = _decoded({**OVERRIDDEN, "overrideReason": reason})
    assert entry.override_reason == expected


def test_an_overridden_card_is_taken_without_a_reason() -> None:
    (entry,) = _decoded(OVERRIDDEN)
    assert entry.override_reason is None


def test_several_entries_and_repetitions_stay_in_order() -> None:
    assert [entry.card for entry in _decoded(ACCEPTED, OVERRIDDEN, ACCEPTED)] == ["c-1", "c-2", "c-1"]


def test_an_empty_list_is_taken_as_the_logical_model_allows() -> None:
    assert _decoded() == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15T10:11:12Z", _AT),
        ("2026-01-15t10:11:12z", _AT),
        ("2026-01-15T12:11:12+02:00", _AT),
        ("2026-01-15T10:11:12.5Z", _AT.replace(microsecond=500_000)),
        ("2026-01-15T10:11:12", None),
        ("2026-01-15", None),
        ("15.01.2026 10:11", None),
        ("2026-13-15T10:11:12Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (1768471872, None),
        (None, None),
    ],
    ids=str,
)
def test_a_timestamp_is_rfc_3339_and_becomes_utc(text: object, expected: datetime | None) -> None:
    entry = {**OVERRIDDEN, "outcomeTimestamp": text}
    if expected is not None:
        assert _decoded(entry)[0].outcome_timestamp == expected
        assert _decoded(entry)[0].outcome_timestamp.tzinfo is UTC
    else:
        with pytest.raises(InvalidField) as caught:
            _decoded(entry)
        assert caught.value.location is not None
        assert caught.value.location.endswith("outcomeTimestamp")


@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp", "acceptedSuggestions"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(MissingField) as caught:
        _decoded(changed(ACCEPTED, **{field: ABSENT}))
    assert caught.value.location is not None
    assert caught.value.location.endswith(field)


@pytest.mark.parametrize(
    "entry",
    [
        {**ACCEPTED, "outcome": "ignored"},
        {**ACCEPTED, "outcome": ""},
        {**ACCEPTED, "acceptedSuggestions": []},
        {**ACCEPTED, "acceptedSuggestions": [{}]},
        {**ACCEPTED, "acceptedSuggestions": ["s-1"]},
        {**ACCEPTED, "card": ""},
        {**ACCEPTED, "card": 7},
        {**OVERRIDDEN, "overrideReason": {}},
        {**OVERRIDDEN, "overrideReason": {"userComment": ""}},
        {**OVERRIDDEN, "overrideReason": {"reason": {"code": "x"}}},
        {**OVERRIDDEN, "overrideReason": "known"},
        "c-1",
        None,
    ],
    ids=repr,
)
def test_an_entry_that_breaks_a_rule_is_refused(entry: object) -> None:
    with pytest.raises(InvalidRequest):
        _decoded(OVERRIDDEN, entry)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{\xff}", b'{"feedback":' + b"[" * 50_000], ids=len)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_feedback(body)


def test_an_empty_body_says_so() -> None:
    with pytest.raises(MalformedBody, match="the body is empty"):
        decode_feedback(b"")


def test_the_outcome_that_came_is_not_repeated() -> None:
    with pytest.raises(InvalidField) as caught:
        _decoded({**ACCEPTED, "outcome": "CANARY"})
    assert "CANARY" not in caught.value.message


def test_a_very_long_comment_is_taken_whole() -> None:
    comment = "👩‍⚕️ü" * 20_000
    (entry,) = _decoded({**OVERRIDDEN, "overrideReason": {"userComment": comment}})
    assert entry.override_reason == FeedbackReason(user_comment=comment)
