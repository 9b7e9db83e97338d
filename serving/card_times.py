"""Times as a card tells them: how long before its index time, and at what time of day in the site's zone."""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from features.events import MICROSECONDS_PER_HOUR
from features.times import EPOCH, to_datetime
from serving.words import CardWords, Sentence

ANOTHER_YEAR = timedelta(days=300)  # from there on a day without its year could be taken for this year's

# The unit in which an age is told, its length in hours, and below how many hours it serves.
AGES = (
    ("minutes", 1 / 60, 2.0),
    ("hours", 1.0, 48.0),
    ("days", 24.0, 60 * 24.0),
    ("months_ago", 730.5, 24 * 730.5),
    ("years_ago", 8_766.0, math.inf),
)
HALF_A_MINUTE = 30_000_000  # microseconds; what would round to "0 min ago"
TWO_DIGITS = tuple(f"{number:02}" for number in range(60))  # twenty times as fast as strftime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeWords:
    """How an age is told below a number of hours.

    Attributes:
        below_hours: up to where.
        length_hours: of the unit in which it is counted.
        ago: a sentence of the count: "12 min ago".
        ago_at: a sentence of the count and the time of day: "12 min ago (10:18)".
    """

    below_hours: float
    length_hours: float
    ago: Sentence
    ago_at: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWords:
    """A language's words for times, made once.

    Attributes:
        ages: from the shortest to the longest.
        months: short names.
        at: a sentence of the time of day.
        day: a sentence of the day and the month's name.
        full_date: a sentence of the day, the month's name and the year.
    """

    ages: tuple[AgeWords, ...]
    months: tuple[str, ...]
    at: Sentence
    day: Sentence
    full_date: Sentence

    def date_of(self, day: date) -> str:
        """Day, month and year."""
        return self.full_date(day.day, self.months[day.month - 1], day.year)


def time_words(words: CardWords) -> TimeWords:
    """The words for times of a language."""
    return TimeWords(
        ages=tuple(_age_words(words, unit, length, below) for unit, length, below in AGES),
        months=tuple(words.table["months"]),
        at=words.sentence("at", "time"),
        day=words.sentence("day", "day", "month"),
        full_date=words.sentence("date", "day", "month", "year"),
    )


def _age_words(words: CardWords, unit: str, length_hours: float, below_hours: float) -> AgeWords:
    ago = words.say("ago", age=words.say(unit, count="{0}"))
    ago_at = words.say("ago_at", ago=ago, time="{1}")
    return AgeWords(below_hours=below_hours, length_hours=length_hours, ago=ago.format, ago_at=ago_at.format)


class CardTimes:
    """The times of one card, in UTC microseconds, put into words; made anew for each, for they are the patient's."""

    __slots__ = ("_at", "_epoch", "_today", "_today_number", "_words", "_zone")

    def __init__(self, words: TimeWords, *, at: int, zone: tzinfo) -> None:
        self._words, self._at, self._zone = words, at, zone
        self._epoch = EPOCH.replace(tzinfo=zone)  # as `fromutc` wants it: UTC's clock, labelled with the zone
        self._today = self._local(at)
        self._today_number = self._today.toordinal()

    def ago(self, time: int) -> str:
        """How long before the index time something was: "12 min ago", "3 days ago"."""
        age, count = self._age(time)
        return age.ago(count)

    def when(self, time: int) -> str:
        """How long ago and at what time; the time alone where it was within the last minute."""
        clock = self.clock(time)
        if abs(self._at - time) <= HALF_A_MINUTE:
            return self._words.at(clock)
        age, count = self._age(time)
        return age.ago_at(count, clock)

    def clock(self, time: int) -> str:
        """The time of day of the index time's day, with the day of another day, the day alone of another year."""
        moment = self._local(time)
        if moment.toordinal() == self._today_number:
            return _time_of_day(moment)
        if self._today - moment < ANOTHER_YEAR:
            day = self._words.day(moment.day, self._words.months[moment.month - 1])
            return f"{day} {_time_of_day(moment)}"
        return self._words.date_of(moment)

    def index_time(self) -> str:
        """Day, month, year, time of day and zone of the index time."""
        today = self._today
        return f"{self._words.date_of(today)} {_time_of_day(today)} {today.tzname() or ''}"

    def years_since(self, birth: int) -> int:
        """Full years by the calendar, as everyone counts them; a birth date is a day in UTC."""
        born, today = to_datetime(birth), self._today
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))

    def _age(self, time: int) -> tuple[AgeWords, int]:
        """The unit that serves, and how many of it."""
        hours = (self._at - time) / MICROSECONDS_PER_HOUR
        for age in self._words.ages:  # the last serves any
            if hours < age.below_hours:
                break
        return age, round(hours / age.length_hours)

    def _local(self, time: int) -> datetime:
        # The same as to_datetime(time).astimezone(zone), in half the time. By position: days, seconds, microseconds.
        return self._zone.fromutc(self._epoch + timedelta(0, 0, time))


def _time_of_day(moment: datetime) -> str:
    return f"{TWO_DIGITS[moment.hour]}:{TWO_DIGITS[moment.minute]}"
