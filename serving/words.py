"""The words that cards of all models share, and how numbers and times are put into them, in one language each."""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from importlib import resources
from typing import Any

from features.events import MICROSECONDS_PER_HOUR
from features.times import to_datetime
from models.words import LANGUAGES, Language

LONGEST_LIST = 6  # names; a clinician reads no more
MINUS = "−"


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

    def percent(self, probability: float) -> str:
        """A probability in percent, never with more digits than two."""
        if probability < 0.001:  # noqa: PLR2004
            return f"< {self.number(0.1, 1)} %"
        if probability > 0.99:  # noqa: PLR2004
            return "> 99 %"
        decimals = 1 if probability < 0.0095 else 0  # noqa: PLR2004
        return f"{self.number(100 * probability, decimals)} %"

    def frequency(self, probability: float, **parts: object) -> str:
        """A probability as so many of a hundred or, where it is small, of a thousand patients."""
        if probability < 0.001:  # noqa: PLR2004
            return self.say("frequency_below", count=1, of=self.thousand, **parts)
        if probability > 0.99:  # noqa: PLR2004
            return self.say("frequency_above", count=99, of=100, **parts)
        if probability < 0.0095:  # noqa: PLR2004
            return self.say("frequency", count=round(1000 * probability), of=self.thousand, **parts)
        return self.say("frequency", count=round(100 * probability), of=100, **parts)

    @property
    def thousand(self) -> str:
        """1000, as it is written."""
        return "1,000" if self.language == "en" else "1000"

    def compared(self, probability: float, base_rate: float, comparison: str) -> str:
        """A probability against the base rate; a ratio never has more than two digits."""
        ratio = probability / base_rate
        if 0.8 <= ratio < 1.25:  # noqa: PLR2004
            return self.say("about_average", comparison=comparison)
        if ratio < 0.1:  # noqa: PLR2004
            return self.say("times_average", ratio=f"< {self.number(0.1, 1)}", comparison=comparison)
        decimals = 0 if ratio >= 1.95 else 1  # noqa: PLR2004
        return self.say("times_average", ratio=self.number(ratio, decimals), comparison=comparison)

    def age(self, time: int, at: int) -> str:
        """How long before `at` something was, in minutes, hours or days."""
        hours = (at - time) / MICROSECONDS_PER_HOUR
        if hours < 2:  # noqa: PLR2004
            return self.say("minutes", count=round(60 * hours))
        if hours < 48:  # noqa: PLR2004
            return self.say("hours", count=round(hours))
        return self.say("days", count=round(hours / 24))

    def clock(self, time: int, at: int, zone: tzinfo) -> str:
        """The time of day, with the day where it is not the day of `at`."""
        moment, today = to_datetime(time).astimezone(zone), to_datetime(at).astimezone(zone)
        text = f"{moment:%H:%M}"
        return text if moment.date() == today.date() else f"{self.day(moment)} {text}"

    def day(self, moment: datetime) -> str:
        """Day and month."""
        return self.say("day", day=moment.day, month=self.table["months"][moment.month - 1])

    def date(self, moment: datetime) -> str:
        """Day, month and year."""
        return self.say("date", day=moment.day, month=self.table["months"][moment.month - 1], year=moment.year)

    def names(self, names: Sequence[str]) -> str:
        """A list of names, cut after a few."""
        shown = ", ".join(names[:LONGEST_LIST])
        more = len(names) - LONGEST_LIST
        return self.say("and_more", names=shown, count=more) if more > 0 else shown

    def of_hundred(self, share: float | None) -> str:
        """A share as a whole number of a hundred; a dash where it is not known."""
        return "–" if share is None or math.isnan(share) else f"{round(100 * share)}"


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
