"""Reading the journal: for the pages, for monitoring, for the alert budget, and for replay."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, Select, distinct, func, select
from sqlalchemy.exc import SQLAlchemyError

from serving.journal_entries import CallEntry, CardEntry, FeedbackEntry, FeedbackRecord, RefusalEntry, ServiceCounts
from serving.journal_errors import failed_read
from serving.journal_tables import CALLS, CARDS, FEEDBACK, REFUSALS, from_row, to_microseconds

_STATUS_COUNT = {"error": "errors", "insufficient-data": "insufficient_data", "not-triggered": "not_triggered"}


class JournalReads:
    """The reading side. Synchronous, from any thread; readers never wait for the writer (write-ahead log).

    Each method raises JournalUnavailable where the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self, *, limit: int = 100, service_id: str | None = None) -> tuple[CallEntry, ...]:
        """The last calls, newest first: of one service, or of all."""
        query = select(CALLS).order_by(CALLS.c.sequence.desc()).limit(limit)
        if service_id is not None:
            query = query.where(CALLS.c.service_id == service_id)
        return tuple(from_row(CallEntry, row) for row in self._entries(query))

    def call(self, call_id: UUID) -> CallEntry | None:
        """The call with this id."""
        rows = self._entries(select(CALLS).where(CALLS.c.call_id == str(call_id)))
        return next((from_row(CallEntry, row) for row in rows), None)

    def cards_of(self, call_id: UUID) -> tuple[CardEntry, ...]:
        """The cards of a call, suppressed ones too, in the order in which they were recorded."""
        query = select(CARDS).where(CARDS.c.call_id == str(call_id)).order_by(CARDS.c.sequence)
        return tuple(from_row(CardEntry, row) for row in self._entries(query))

    def feedback_for(self, card_uuid: str) -> tuple[FeedbackRecord, ...]:
        """All feedback for a card, oldest first, with the call, model and version that the card came from."""
        tied = FEEDBACK.outerjoin(CARDS, CARDS.c.card_uuid == FEEDBACK.c.card_uuid)
        tied = tied.outerjoin(CALLS, CALLS.c.call_id == CARDS.c.call_id)
        query = (
            select(FEEDBACK, CALLS.c.call_id, CALLS.c.model_version, CALLS.c.bundle_fingerprint)
            .select_from(tied)
            .where(FEEDBACK.c.card_uuid == card_uuid)
            .order_by(FEEDBACK.c.sequence)
        )
        return tuple(_feedback_record(row) for row in self._entries(query))

    def refusals(self, *, limit: int = 100) -> tuple[RefusalEntry, ...]:
        """What was refused before any service saw it, newest first."""
        query = select(REFUSALS).order_by(REFUSALS.c.sequence.desc()).limit(limit)
        return tuple(from_row(RefusalEntry, row) for row in self._entries(query))

    def last_shown(self, *, service_id: str, patient_pseudonym: str) -> CallEntry | None:
        """The newest call that showed a card on this patient: what an alert budget compares with."""
        shown = select(CARDS.c.sequence).where(CARDS.c.call_id == CALLS.c.call_id, CARDS.c.suppressed.is_(None))
        query = (
            select(CALLS)
            .where(
                CALLS.c.service_id == service_id,
                CALLS.c.patient_pseudonym == patient_pseudonym,
                shown.exists(),
            )
            .order_by(CALLS.c.sequence.desc())
            .limit(1)
        )
        return next((from_row(CallEntry, row) for row in self._entries(query)), None)

    def counts(self, *, since: datetime | None = None) -> tuple[ServiceCounts, ...]:
        """Counts per service, sorted by service id, of what was received at or after ``since``."""
        counted: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        for service_id, status, count in self._counts(_count_calls(since)):
            counted[service_id]["calls"] += count
            if status in _STATUS_COUNT:
                counted[service_id][_STATUS_COUNT[status]] += count
        for service_id, shown, count in self._counts(_count_cards(since)):
            counted[service_id]["cards_shown" if shown else "cards_suppressed"] += count
        for service_id, known_card, outcome, count in self._counts(_count_feedback(since)):
            counted[service_id][outcome if known_card else "feedback_unknown_card"] += count
        return tuple(ServiceCounts(service_id=service_id, **counted[service_id]) for service_id in sorted(counted))

    def _entries(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._reading() as connection:
            return connection.execute(query).mappings().all()

    def _counts(self, query: Select[Any]) -> Sequence[tuple[Any, ...]]:
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise failed_read(error) from error


def _feedback_record(row: RowMapping) -> FeedbackRecord:
    call_id = row["call_id"]
    return FeedbackRecord(
        entry=from_row(FeedbackEntry, row),
        known_card=row["known_card"],
        call_id=None if call_id is None else UUID(call_id),
        model_version=row["model_version"],
        bundle_fingerprint=row["bundle_fingerprint"],
    )


def _count_calls(since: datetime | None) -> Select[Any]:
    query = select(CALLS.c.service_id, CALLS.c.status, func.count()).group_by(CALLS.c.service_id, CALLS.c.status)
    return query if since is None else query.where(CALLS.c.received_at >= to_microseconds(since))


def _count_cards(since: datetime | None) -> Select[Any]:
    shown = CARDS.c.suppressed.is_(None)
    query = select(CALLS.c.service_id, shown, func.count()).select_from(CARDS.join(CALLS))
    query = query.group_by(CALLS.c.service_id, shown)
    return query if since is None else query.where(CALLS.c.received_at >= to_microseconds(since))


def _count_feedback(since: datetime | None) -> Select[Any]:
    keys = (FEEDBACK.c.service_id, FEEDBACK.c.known_card, FEEDBACK.c.outcome)
    query = select(*keys, func.count(distinct(FEEDBACK.c.card_uuid))).group_by(*keys)
    return query if since is None else query.where(FEEDBACK.c.received_at >= to_microseconds(since))
