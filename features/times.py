"""FHIR dates and times as UTC microseconds; a partial date is an interval, never a guessed instant."""

import re
from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS_PER_DAY = 86_400
YEAR, MONTH, DAY = len("2026"), len("2026-11"), len("2026-11-24")
OFFSET = len("+01:00")
EPOCH_CLOCK = datetime(1970, 1, 1)  # noqa: DTZ001 - the same without a zone
ZONE = re.compile(r"Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)")
DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


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
    since = instant - EPOCH
    return (since.days * SECONDS_PER_DAY + since.seconds) * 1_000_000 + since.microseconds


def to_datetime(time: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=time)


EARLIEST = microseconds(datetime(1, 1, 1, tzinfo=UTC))
LATEST = microseconds(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))


def parse(text: str) -> Span:
    """Parse a FHIR date, dateTime or instant (FHIR R4, datatypes, 2.24.0.1).

    A date without a time covers its whole day, month or year in UTC. A time without seconds is taken as FHIR STU3
    allowed it; more than six digits of a second are cut off.

    Raises:
        ValueError: it is none of these, has a time without an offset, which FHIR does not allow, or lies outside the
            years 1 to 9999 in UTC.
    """
    if len(text) <= DAY:
        return _parse_date(text)
    # What else Python reads as ISO 8601 (week dates, other separators, bare hours) is no FHIR.
    if text[4:14:3] != "--T:":
        raise ValueError("Expected a FHIR dateTime: YYYY-MM-DDThh:mm:ss with an offset.")
    length = 1 if text[-1] == "Z" else OFFSET
    clock = datetime.fromisoformat(text[:-length])
    if clock.tzinfo is not None:
        raise ValueError("Expected one offset behind the time of day.")
    # Naive arithmetic and a remembered offset: three times as fast as an aware datetime, and as exact.
    since = clock - EPOCH_CLOCK
    seconds = since.days * SECONDS_PER_DAY + since.seconds - offset_seconds(text[-length:])
    time = seconds * 1_000_000 + since.microseconds
    if not EARLIEST <= time <= LATEST:
        raise ValueError("Expected a time in the years 1 to 9999, in UTC.")
    return Span(time, time)


@lru_cache(maxsize=64)
def offset_seconds(text: str) -> int:
    """The seconds by which an offset, `Z` or `+01:00`, is ahead of UTC.

    Raises:
        ValueError: it is none.
    """
    if ZONE.fullmatch(text) is None:
        raise ValueError("Expected an offset (Z or +01:00) behind the time of day.")
    if text == "Z":
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[4:]) * 60
    return -seconds if text[0] == "-" else seconds


def _parse_date(text: str) -> Span:
    if DATE.fullmatch(text) is None:
        raise ValueError("Expected a FHIR date: YYYY, YYYY-MM or YYYY-MM-DD.")
    completed = text + "-01-01"[len(text) - YEAR :]
    first = date.fromisoformat(completed)
    if len(text) == DAY:
        days = 1
    elif len(text) == MONTH:
        days = monthrange(first.year, first.month)[1]
    else:
        days = 366 if isleap(first.year) else 365
    begin = (first.toordinal() - EPOCH.toordinal()) * SECONDS_PER_DAY * 1_000_000
    return Span(begin, begin + days * SECONDS_PER_DAY * 1_000_000 - 1)
