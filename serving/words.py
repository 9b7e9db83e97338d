"""The words that cards of all models share, and how numbers and times are put into them, in one language each."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from features.events import MICROSECONDS_PER_HOUR
from features.times import to_datetime
from models.words import LANGUAGES, Language

LONGEST_LIST = 6  # names; a clinician reads no more
MINUS = "−"
ANOTHER_YEAR = timedelta(days=300)  # from there on a day without its year could be taken for this year's

# The unit in which an age is told, its length in hours, and below how many hours it serves.
AGES = (
    ("minutes", 1 / 60, 2.0),
    ("hours", 1.0, 48.0),
    ("days", 24.0, 60 * 24.0),
    ("months_ago", 730.5, 24 * 730.5),
    ("years_ago", 8_766.0, math.inf),
)


class Frequency(NamedTuple):
    """So many of so many patients, and the key of the sentence that tells it."""

    key: Literal["frequency", "frequency_below", "frequency_above"]
    patients: int
    of: int


@dataclass(frozen=True, slots=True)
class CardWords:
    """One language's table of serving/words.toml."""

    language: Language
    table: Mapping[str, Any]

    def say(self, key: str, **parts: object) -> str:
        """A sentence with its parts filled in."""
        sentence: str = self.table[key]
        return sentence.format(**parts)

    def word(self, table: str, key: str) -> str:
        """One of a table of words; the key itself where the table lacks it."""
        words: Mapping[str, str] = self.table[table]
        return words.get(key, key)

    def number(self, value: float, decimals: int) -> str:
        """A number with that many decimals and the language's decimal mark; a true minus sign."""
        text = f"{value:.{decimals}f}"
        if float(text) == 0:
            text = text.removeprefix("-")
        return text.replace("-", MINUS).replace(".", self.table["decimal_mark"])

    def signed(self, value: float, decimals: int) -> str | None:
        """A change with its sign; None where it vanishes in rounding."""
        if float(f"{value:.{decimals}f}") == 0:
            return None
        text = self.number(value, decimals)
        return text if text.startswith(MINUS) else f"+{text}"

    def percent(self, probability: float) -> str:
        """A probability in percent, never with more digits than two."""
        if probability < 0.001:  # noqa: PLR2004
            return f"< {self.number(0.1, 1)} %"
        if probability > 0.99:  # noqa: PLR2004
            return "> 99 %"
        decimals = 1 if probability < 0.0095 else 0  # noqa: PLR2004
        return f"{self.number(100 * probability, decimals)} %"

    def frequency(self, probability: float) -> Frequency:
        """A probability as so many of a hundred or, where it is small, of a thousand."""
        if probability < 0.001:  # noqa: PLR2004
            return Frequency("frequency_below", 1, 1000)
        if probability > 0.99:  # noqa: PLR2004
            return Frequency("frequency_above", 99, 100)
        if probability < 0.0095:  # noqa: PLR2004
            return Frequency("frequency", round(1000 * probability), 1000)
        return Frequency("frequency", round(100 * probability), 100)

    def thousands(self, count: int) -> str:
        """A whole number as it is written."""
        return f"{count:,}".replace(",", self.table["thousands_mark"])

    def compared(self, probability: float, base_rate: float, comparison: str) -> str:
        """A probability against the base rate; a ratio never has more than two digits."""
        ratio = probability / base_rate
        if 0.8 <= ratio < 1.25:  # noqa: PLR2004
            return self.say("about_average", comparison=comparison)
        if ratio < 0.1:  # noqa: PLR2004
            return self.say("times_average", ratio=f"< {self.number(0.1, 1)}", comparison=comparison)
        decimals = 0 if ratio >= 1.95 else 1  # noqa: PLR2004
        two_digits = float(f"{ratio:.2g}")
        return self.say("times_average", ratio=self.number(two_digits, decimals), comparison=comparison)

    def ago(self, time: int, at: int) -> str:
        """How long before `at` something was: "12 min ago", "3 days ago"."""
        hours = (at - time) / MICROSECONDS_PER_HOUR
        unit, count = next((unit, hours / length) for unit, length, below in AGES if hours < below)
        return self.say("ago", age=self.say(unit, count=round(count)))

    def when(self, time: int, at: int, zone: tzinfo) -> str:
        """How long ago and at what time; the time alone where it was within the last minute."""
        clock = self.clock(time, at, zone)
        if round(60 * (at - time) / MICROSECONDS_PER_HOUR) == 0:
            return self.say("at", time=clock)
        return self.say("ago_at", ago=self.ago(time, at), time=clock)

    def clock(self, time: int, at: int, zone: tzinfo) -> str:
        """The time of day of `at`'s day, with the day of another day, the day alone of another year."""
        moment, today = to_datetime(time).astimezone(zone), to_datetime(at).astimezone(zone)
        if moment.date() == today.date():
            return f"{moment:%H:%M}"
        if today - moment < ANOTHER_YEAR:
            return f"{self.day(moment)} {moment:%H:%M}"
        return self.date(moment)

    def day(self, moment: datetime) -> str:
        """Day and month."""
        return self.say("day", day=moment.day, month=self.table["months"][moment.month - 1])

    def date(self, moment: datetime) -> str:
        """Day, month and year."""
        return self.say("date", day=moment.day, month=self.table["months"][moment.month - 1], year=moment.year)

    def names(self, names: Sequence[str], *, most: int = LONGEST_LIST, separator: str = ", ") -> str:
        """A list of names, cut after a few."""
        shown = separator.join(names[:most])
        more = len(names) - most
        return self.say("and_more", names=shown, count=more) if more > 0 else shown


@cache
def load_card_words() -> Mapping[Language, CardWords]:
    """Read serving/words.toml.

    Raises:
        ValueError: the languages differ in their keys.
    """
    tables = tomllib.loads(resources.files("serving").joinpath("words.toml").read_text(encoding="utf-8"))
    keys = {language: _keys(tables[language]) for language in LANGUAGES}
    if keys["en"] != keys["de"]:
        raise ValueError(f"serving/words.toml: only one language has {sorted(keys['en'] ^ keys['de'])}.")
    return {language: CardWords(language, tables[language]) for language in LANGUAGES}


def _keys(table: Mapping[str, Any]) -> set[str]:
    nested = {f"{key}.{inner}" for key, value in table.items() if isinstance(value, dict) for inner in value}
    return set(table) | nested
