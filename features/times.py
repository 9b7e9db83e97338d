"""FHIR dates and times as UTC microseconds; a partial date is an interval, never a guessed instant."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
YEAR, MONTH, DAY = len("2026"), len("2026-11"), len("2026-11-24")


class Span(NamedTuple):
    """First and last microsecond that a FHIR date or time can mean; the same for a full instant."""

    first: int
    last: int

    @property
    def is_instant(self) -> bool:
        """Whether a time of day and an offset were given."""
        return self.first == self.last


def microseconds(instant: datetime) -> int:
    """UTC microseconds since 1970 of an aware datetime."""
    return (instant - EPOCH) // MICROSECOND


def to_datetime(time: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=time)


def parse(text: str) -> Span:
    """Parse a FHIR date, dateTime or instant (FHIR R4, datatypes, 2.24.0.1).

    A date without a time covers its whole day, month or year in UTC.

    Raises:
        ValueError: it is none of these, or has a time without an offset, which FHIR does not allow.
    """
    if len(text) <= DAY:
        return _parse_date(text)
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("Expected an offset (Z or +01:00) behind the time of day.")
    time = microseconds(instant)
    return Span(time, time)


def _parse_date(text: str) -> Span:
    if len(text) == DAY:
        first = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        after = first + timedelta(days=1)
    elif len(text) == MONTH:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        after = (first + timedelta(days=31)).replace(day=1)
    elif len(text) == YEAR:
        first = datetime.strptime(text, "%Y").replace(tzinfo=UTC)
        after = first.replace(year=first.year + 1)
    else:
        raise ValueError("Expected a FHIR date: YYYY, YYYY-MM or YYYY-MM-DD.")
    return Span(microseconds(first), microseconds(after) - 1)
