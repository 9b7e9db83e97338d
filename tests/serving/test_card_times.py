"""Times on a card: how long ago and at what time of day, as short as it stays clear, in the site's zone."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.times import microseconds, to_datetime
from models.words import Language
from serving.card_times import CardTimes, time_words
from serving.words import load_card_words
from tests.fhir_builders import NOW

AT = microseconds(NOW)
HOUR = 3_600_000_000
BERLIN = ZoneInfo("Europe/Berlin")


def times(language: Language = "en", *, at: int = AT, zone: tzinfo = BERLIN) -> CardTimes:
    return CardTimes(time_words(load_card_words()[language]), at=at, zone=zone)


@pytest.mark.parametrize(
    ("before", "english", "german"),
    [
        (timedelta(0), "at 10:30", "um 10:30"),
        (timedelta(seconds=29), "at 10:29", "um 10:29"),
        (timedelta(minutes=1), "1 min ago (10:29)", "vor 1 min (10:29)"),
        (timedelta(minutes=119), "119 min ago (08:31)", "vor 119 min (08:31)"),
        (timedelta(hours=2), "2 h ago (08:30)", "vor 2 h (08:30)"),
        (timedelta(hours=11), "11 h ago (13 Mar 23:30)", "vor 11 h (13. März 23:30)"),
        (timedelta(hours=47), "47 h ago (12 Mar 11:30)", "vor 47 h (12. März 11:30)"),
        (timedelta(days=2), "2 days ago (12 Mar 10:30)", "vor 2 Tagen (12. März 10:30)"),
        (timedelta(days=59), "59 days ago (14 Jan 10:30)", "vor 59 Tagen (14. Jan. 10:30)"),
        (timedelta(days=61), "2 months ago (12 Jan 10:30)", "vor 2 Monaten (12. Jan. 10:30)"),
        (timedelta(days=365), "12 months ago (14 Mar 2025)", "vor 12 Monaten (14. März 2025)"),
        (timedelta(days=365 * 12 + 3), "12 years ago (14 Mar 2014)", "vor 12 Jahren (14. März 2014)"),
    ],
)
def test_a_time_is_told_as_short_as_it_stays_clear(before: timedelta, english: str, german: str) -> None:
    time = microseconds(NOW - before)
    assert (times("en").when(time), times("de").when(time)) == (english, german)


def test_the_day_is_the_one_of_the_site_and_not_of_utc() -> None:
    """23:30 UTC belongs to the next day in Berlin, in which 00:30 UTC lies too."""
    late = microseconds(NOW.replace(hour=23))
    assert times(at=late + HOUR).clock(late) == "00:30"
    assert times(at=late + HOUR, zone=UTC).clock(late) == "14 Mar 23:30"


@pytest.mark.parametrize(
    ("before", "clock"),
    [
        pytest.param(timedelta(hours=1), "01:30", id="before the hour that came twice"),
        pytest.param(timedelta(0), "02:30", id="the first 02:30"),
        pytest.param(timedelta(hours=-1), "02:30", id="the second 02:30"),
        pytest.param(timedelta(hours=-2), "03:30", id="after it"),
    ],
)
def test_the_clock_of_the_site_is_told_on_the_night_when_it_is_set_back(before: timedelta, clock: str) -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert times(at=microseconds(first + timedelta(hours=3))).clock(microseconds(first - before)) == clock


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        pytest.param(BERLIN, "14 Mar 2026 10:30 CET", id="a zone of the map"),
        pytest.param(UTC, "14 Mar 2026 09:30 UTC", id="UTC"),
        pytest.param(timezone(timedelta(hours=-5)), "14 Mar 2026 04:30 UTC-05:00", id="an offset"),
    ],
)
def test_the_index_time_is_told_with_its_zone(zone: tzinfo, expected: str) -> None:
    assert times(zone=zone).index_time() == expected


@given(
    time=st.integers(AT - 60 * 366 * 24 * HOUR, AT + 366 * 24 * HOUR),
    zone=st.sampled_from((UTC, BERLIN, ZoneInfo("America/St_Johns"), timezone(timedelta(hours=14)))),
)
def test_the_clock_is_the_one_of_the_calendar_in_any_zone(time: int, zone: tzinfo) -> None:
    assert times(at=time, zone=zone).clock(time) == f"{to_datetime(time).astimezone(zone):%H:%M}"
