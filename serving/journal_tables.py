"""The journal's tables, and how an entry becomes a row of them and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
)

from serving.journal_entries import CallEntry, CardEntry, Entry, FeedbackEntry, RefusalEntry

Row = dict[str, Any]
EntryT = TypeVar("EntryT", CallEntry, CardEntry, FeedbackEntry, RefusalEntry)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ASKED_CARD = "asked_card_uuid"

METADATA = MetaData()


def _sequence() -> Column[int]:
    # SQLite numbers rows by itself only for the type INTEGER, which is 64 bits wide there.
    big = BigInteger().with_variant(Integer(), "sqlite")
    return Column("sequence", big, primary_key=True, autoincrement=True)


# Instants are whole microseconds since 1970-01-01 UTC: they sort, they are exact, and no driver shifts them.
CALLS = Table(
    "calls",
    METADATA,
    _sequence(),
    Column("call_id", String(36), nullable=False, unique=True),
    Column("received_at", BigInteger, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("response_body", LargeBinary, nullable=False),
    Column("hook", Text),
    Column("hook_instance", Text),
    Column("locale", Text),
    Column("mode", Text),
    Column("error_code", Text),
    Column("model_version", Text),
    Column("bundle_fingerprint", String(64)),
    Column("index_time", BigInteger),
    Column("as_of_policy", Text),
    Column("patient_pseudonym", String(64)),
    Column("feature_vector", LargeBinary),
    Column("missing_features", Text, nullable=False),
    Column("refusals", Text, nullable=False),
    Column("logit", Double),
    Column("probability", Double),
    Column("base_value", Double),
    Column("contributions", LargeBinary),
    Column("evidence", Text),
    Column("client", Text),
    Column("tenant", Text),
    Column("fhir_requests", Integer),
    Column("fhir_duration_us", BigInteger),
    Index("calls_by_patient", "service_id", "patient_pseudonym"),
    Index("calls_by_time", "received_at", "service_id", "status"),
)
CARDS = Table(
    "cards",
    METADATA,
    _sequence(),
    Column("card_uuid", Text, nullable=False, unique=True),
    Column("call_id", String(36), ForeignKey("calls.call_id"), nullable=False),
    Column("indicator", Text, nullable=False),
    Column("suppressed", Text),
    Index("cards_by_call", "call_id"),
)
# No foreign key: feedback for a card that is not ours is kept and flagged, never dropped.
FEEDBACK = Table(
    "feedback",
    METADATA,
    _sequence(),
    Column("card_uuid", Text, nullable=False),
    Column("known_card", Boolean, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("outcome_timestamp", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("override_reason_code", Text),
    Column("override_reason_system", Text),
    Column("override_reason_display", Text),
    Column("user_comment", Text),
    Column("accepted_suggestion_ids", Text, nullable=False),
    Column("client", Text),
    Column("tenant", Text),
    Index("feedback_by_card", "card_uuid"),
)
REFUSALS = Table(
    "refusals",
    METADATA,
    _sequence(),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("at", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("service_id", Text),
    Column("client", Text),
    Index("refusals_by_time", "last_at"),
)


def _insert_feedback() -> Insert:
    # Whether the card is known is decided by the database in the same statement, so that no gap lies between.
    is_known = select(CARDS.c.sequence).where(CARDS.c.card_uuid == bindparam(_ASKED_CARD, type_=Text)).exists()
    named: dict[str, Any] = {field.name: bindparam(field.name) for field in fields(FeedbackEntry)}
    return insert(FEEDBACK).values({**named, "known_card": is_known})


# In the order in which a group is written: a card after its call, feedback after its card.
INSERTS: Mapping[type[Entry], Insert] = {
    CallEntry: insert(CALLS),
    CardEntry: insert(CARDS),
    FeedbackEntry: _insert_feedback(),
    RefusalEntry: insert(REFUSALS),
}


def to_microseconds(instant: datetime) -> int:
    """An aware instant as whole microseconds since 1970-01-01 UTC, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def _from_microseconds(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _to_names(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


_Converter = Callable[[Any], Any]
# Column: (to the database, back). Every other column is stored as it is.
_CONVERTERS: Mapping[str, tuple[_Converter, _Converter]] = {
    "call_id": (str, UUID),
    "received_at": (to_microseconds, _from_microseconds),
    "first_at": (to_microseconds, _from_microseconds),
    "last_at": (to_microseconds, _from_microseconds),
    "index_time": (to_microseconds, _from_microseconds),
    "outcome_timestamp": (to_microseconds, _from_microseconds),
    "missing_features": (_to_json, _to_names),
    "accepted_suggestion_ids": (_to_json, _to_names),
    "refusals": (_to_json, msgspec.json.decode),
    "evidence": (_to_json, msgspec.json.decode),
    "logit": (float, float),  # a driver refuses numpy's float32
    "probability": (float, float),
    "base_value": (float, float),
}
_COLUMNS: Mapping[type[Entry], tuple[tuple[str, _Converter | None, _Converter | None], ...]] = {
    kind: tuple((field.name, *_CONVERTERS.get(field.name, (None, None))) for field in fields(kind)) for kind in INSERTS
}


def to_row(entry: Entry) -> Row:
    """The parameters of the entry's insert.

    Raises:
        TypeError: ``evidence`` is no JSON value.
    """
    row = {}
    for name, store, _ in _COLUMNS[type(entry)]:
        value = getattr(entry, name)
        row[name] = value if store is None or value is None else store(value)
    if isinstance(entry, FeedbackEntry):
        row[_ASKED_CARD] = entry.card_uuid
    return row


def from_row(kind: type[EntryT], row: RowMapping) -> EntryT:
    """The entry that a row holds; columns that the entry does not name are left aside."""
    values = {}
    for name, _, load in _COLUMNS[kind]:
        value = row[name]
        values[name] = value if load is None or value is None else load(value)
    return kind(**values)
