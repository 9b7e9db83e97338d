"""Times: what a FHIR date, dateTime or instant means in UTC, and what is none."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.times import microseconds, parse, to_datetime


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-11-24T12:00:00Z", utc(2026, 11, 24, 12), id="UTC"),
        pytest.param("2026-11-24T12:00:00+01:00", utc(2026, 11, 24, 11), id="winter time in Berlin"),
        pytest.param("2026-07-24T12:00:00+02:00", utc(2026, 7, 24, 10), id="summer time in Berlin"),
        pytest.param("2026-11-24T12:00:00-05:00", utc(2026, 11, 24, 17), id="west of Greenwich"),
        pytest.param("2026-11-24T12:00:00+05:45", utc(2026, 11, 24, 6, 15), id="Kathmandu"),
        pytest.param("2026-11-24T12:00:00-03:30", utc(2026, 11, 24, 15, 30), id="Newfoundland"),
        pytest.param("2026-11-24T12:00:00-00:00", utc(2026, 11, 24, 12), id="minus zero"),
        pytest.param("2026-11-24T23:30:00-14:00", utc(2026, 11, 25, 13, 30), id="the largest offset, next day"),
        pytest.param("2026-11-24T12:00:00.5Z", utc(2026, 11, 24, 12, 0, 0, 500_000), id="a tenth of a second"),
        pytest.param("2026-11-24T12:00:00.123Z", utc(2026, 11, 24, 12, 0, 0, 123_000), id="milliseconds"),
        pytest.param("2026-11-24T12:00:00.123456+01:00", utc(2026, 11, 24, 11, 0, 0, 123_456), id="microseconds"),
        pytest.param("2026-11-24T12:00:00.1234569Z", utc(2026, 11, 24, 12, 0, 0, 123_456), id="a seventh digit is cut"),
        pytest.param("2026-11-24T12:00Z", utc(2026, 11, 24, 12), id="no seconds, as in STU3"),
        pytest.param("2024-02-29T23:59:59Z", utc(2024, 2, 29, 23, 59, 59), id="leap day"),
        pytest.param("1923-05-01T00:00:00Z", utc(1923, 5, 1), id="before 1970"),
        pytest.param("1969-12-31T23:59:59.999999Z", utc(1969, 12, 31, 23, 59, 59, 999_999), id="just before 1970"),
    ],
)
def test_an_instant(text: str, expected: datetime) -> None:
    span = parse(text)
    assert span.is_instant
    assert to_datetime(span.first) == expected


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        pytest.param("2026-11-24", utc(2026, 11, 24), utc(2026, 11, 25), id="a day"),
        pytest.param("2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1), id="a leap day"),
        pytest.param("2026-12-31", utc(2026, 12, 31), utc(2027, 1, 1), id="the last day of a year"),
        pytest.param("2026-11", utc(2026, 11, 1), utc(2026, 12, 1), id="a month"),
        pytest.param("2026-02", utc(2026, 2, 1), utc(2026, 3, 1), id="February"),
        pytest.param("2024-02", utc(2024, 2, 1), utc(2024, 3, 1), id="February of a leap year"),
        pytest.param("2026-12", utc(2026, 12, 1), utc(2027, 1, 1), id="December"),
        pytest.param("2026", utc(2026, 1, 1), utc(2027, 1, 1), id="a year"),
        pytest.param("2024", utc(2024, 1, 1), utc(2025, 1, 1), id="a leap year"),
        pytest.param("1900", utc(1900, 1, 1), utc(1901, 1, 1), id="no leap year"),
        pytest.param("0001", utc(1, 1, 1), utc(2, 1, 1), id="the first year"),
    ],
)
def test_a_partial_date_is_an_interval(text: str, first: datetime, after: datetime) -> None:
    span = parse(text)
    assert not span.is_instant
    assert to_datetime(span.first) == first
    assert to_datetime(span.last) == after - timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12", "9999"])
def test_the_end_of_all_dates_stands_for_no_end_and_is_no_error(text: str) -> None:
    assert to_datetime(parse(text).last) == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("26", id="a short year"),
        pytest.param("0000", id="year 0"),
        pytest.param("2026-13", id="month 13"),
        pytest.param("2026-1", id="a short month"),
        pytest.param("2026-00-10", id="month 0"),
        pytest.param("2026-02-29", id="no leap day that year"),
        pytest.param("2026-11-31", id="November the 31st"),
        pytest.param("2026-11- 4", id="a space in a date"),
        pytest.param("20261124", id="a date without hyphens"),
        pytest.param("2026-W48", id="a week"),
        pytest.param("2026-W48-2", id="a day of a week"),
        pytest.param("2026-328", id="a day of a year"),
        pytest.param("24.11.2026", id="a German date"),
        pytest.param("11/24/2026", id="an American date"),
        pytest.param("yesterday", id="a word"),
        pytest.param("٢٠٢٦", id="a year in other digits"),
        pytest.param("2026-11-24T12:00:00", id="a time without an offset"),
        pytest.param("2026-11-24T12:00:00.123", id="a fraction without an offset"),
        pytest.param("2026-11-24T", id="a T and nothing"),
        pytest.param("2026-11-24TZ", id="an offset and no time"),
        pytest.param("2026-11-24T12Z", id="an hour alone"),
        pytest.param("2026-11-24 12:00:00Z", id="a space for the T"),
        pytest.param("2026-11-24t12:00:00Z", id="a small t"),
        pytest.param("2026-11-24T12:00:00z", id="a small z"),
        pytest.param("2026-11-24T24:00:00Z", id="hour 24"),
        pytest.param("2026-11-24T12:60:00Z", id="minute 60"),
        pytest.param("2026-12-31T23:59:60Z", id="a leap second, which no clock here knows"),
        pytest.param("2026-11-24T12:00:00+0100", id="an offset without its colon"),
        pytest.param("2026-11-24T12:00:00+01", id="an offset of hours"),
        pytest.param("2026-11-24T12:00:00+14:01", id="an offset that no place has"),
        pytest.param("2026-11-24T12:00:00+24:00", id="an offset of a day"),
        pytest.param("2026-11-24T12:00:00+01:00+01:00", id="two offsets"),
        pytest.param("2026-11-24T12:00:00+01:00Z", id="an offset and UTC"),
        pytest.param("2026-11-24T12:00:00Z junk", id="something behind"),
        pytest.param(" 2026-11-24T12:00:00Z", id="something before"),
        pytest.param("9999-12-31T23:59:59-14:00", id="beyond year 9999 in UTC"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before year 1 in UTC"),
    ],
)
def test_what_is_no_fhir_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is Python's own for some
        parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        span = parse(text)
    except ValueError:
        return
    assert span.first <= span.last


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=OFFSETS))  # noqa: DTZ001
def test_every_time_survives_being_written_and_parsed(instant: datetime) -> None:
    assert to_datetime(parse(instant.isoformat()).first) == instant
    assert microseconds(instant) == parse(instant.isoformat()).first
