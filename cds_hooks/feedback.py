"""Feedback: what the clinician did with a card, decoded and checked.

Source: CDS Hooks 2.0.1, Feedback, with the logical model's invariants cds-fb-1 to cds-fb-3.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from cds_hooks.errors import (
    BodyTooLarge,
    InvalidField,
    MalformedBody,
    MissingField,
    TooManyEntries,
    translate_decode_error,
)

ENTRY_LIMIT = 1_000
"""Entries of one body. Each is written to the account in one transaction with the others, for which calls wait."""

Outcome = Literal["accepted", "overridden"]

BODY_LIMIT_BYTES = 1024 * 1024
"""All of it is kept, in an account from which nothing is removed: whoever may send feedback could fill the disk."""

_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class ReasonCoding(msgspec.Struct, frozen=True, kw_only=True):
    """The override reason that was chosen; its display is optional here."""

    code: _NonEmpty
    system: _NonEmpty
    display: str | None = None


class FeedbackReason(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a card was overridden: a coded reason, the user's own words, or both (cds-fb-3)."""

    reason: ReasonCoding | None = None
    user_comment: str | None = None


class AcceptedSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """The uuid of a suggestion that was taken."""

    id: _NonEmpty


class FeedbackEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The outcome of one card, named by its uuid. `outcome_timestamp` is in UTC once decoded."""

    card: _NonEmpty
    outcome: Outcome
    outcome_timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    accepted_suggestions: tuple[AcceptedSuggestion, ...] = ()
    override_reason: FeedbackReason | None = None


class _Feedback(msgspec.Struct, frozen=True):
    feedback: tuple[FeedbackEntry, ...]


_DECODER = msgspec.json.Decoder(_Feedback)


def decode_feedback(body: bytes) -> tuple[FeedbackEntry, ...]:
    """Decode and check one feedback body; entries stay in order, repetitions stay in.

    Raises:
        MalformedBody: not strict JSON in UTF-8, or no JSON object.
        MissingField: card, outcome, outcomeTimestamp or acceptedSuggestions (of accepted) is missing.
        InvalidField: a known field has the wrong type or form.
        BodyTooLarge: it has more than BODY_LIMIT_BYTES.
        TooManyEntries: there are more than ENTRY_LIMIT.

    """
    if not body:
        raise MalformedBody("Expected a JSON object as the body; the body is empty.")
    if len(body) > BODY_LIMIT_BYTES:
        raise BodyTooLarge(f"Expected at most {BODY_LIMIT_BYTES} bytes of feedback in one body; more came.")
    try:
        entries = _DECODER.decode(body).feedback
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise translate_decode_error(error) from None
    if len(entries) > ENTRY_LIMIT:
        raise TooManyEntries(
            f"Expected at most {ENTRY_LIMIT} entries of feedback in one body; more came. Send the rest in another.",
            location="feedback",
        )
    return tuple(_checked(entry, position) for position, entry in enumerate(entries))


def _checked(entry: FeedbackEntry, position: int) -> FeedbackEntry:
    where = f"feedback[{position}]"
    if entry.outcome == "accepted" and not entry.accepted_suggestions:
        raise MissingField(
            f"Expected at least one acceptedSuggestions in {where}, which is accepted (cds-fb-2); none came.",
            location=f"{where}.acceptedSuggestions",
        )
    reason = entry.override_reason
    if reason is not None and reason.reason is None and not reason.user_comment:
        raise InvalidField(
            f"Expected reason or userComment in {where}.overrideReason (cds-fb-3); neither came.",
            location=f"{where}.overrideReason",
        )
    _check_text(entry, where)
    try:
        return msgspec.structs.replace(entry, outcome_timestamp=entry.outcome_timestamp.astimezone(UTC))
    except OverflowError:  # year 1 or 9999 with an offset that leaves the calendar
        raise InvalidField(
            f"Expected a date and time between the years 1 and 9999 in {where}.outcomeTimestamp.",
            location=f"{where}.outcomeTimestamp",
        ) from None


def _check_text(entry: FeedbackEntry, where: str) -> None:
    """No text may hold NUL: it is legal in JSON, but no database need take it."""
    reason = entry.override_reason or FeedbackReason()
    coding = reason.reason or ReasonCoding(code="", system="")
    texts: dict[str, str | None] = {
        "card": entry.card,
        "overrideReason.userComment": reason.user_comment,
        "overrideReason.reason.code": coding.code,
        "overrideReason.reason.system": coding.system,
        "overrideReason.reason.display": coding.display,
        **{f"acceptedSuggestions[{i}].id": one.id for i, one in enumerate(entry.accepted_suggestions)},
    }
    for name, text in texts.items():
        if text is not None and "\0" in text:
            raise InvalidField(
                f"Expected text without the character U+0000 in {where}.{name}.", location=f"{where}.{name}"
            )
