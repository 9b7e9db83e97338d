"""The words that cards of all models share, and how numbers are put into them, in one language each."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, TypeAlias

from models.words import LANGUAGES, Language

LONGEST_LIST = 6  # names; a clinician reads no more
MINUS = "−"
Sentence: TypeAlias = Callable[..., str]
"""A sentence as a function of its parts, by position."""


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
    decimal_mark: str = field(init=False, repr=False, compare=False)
    times_average: Sentence = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decimal_mark", self.table["decimal_mark"])
        object.__setattr__(self, "times_average", self.sentence("times_average", "ratio", "comparison"))

    def say(self, key: str, **parts: object) -> str:
        """A sentence with its parts filled in."""
        sentence: str = self.table[key]
        return sentence.format(**parts)

    def sentence(self, key: str, *parts: str, **filled: str) -> Sentence:
        """A sentence to be said often: its parts are named once and given by position, four times as fast as `say`.

        Args:
            key: of the sentence.
            parts: names of the parts that vary, in the order in which they will be given.
            filled: the other parts.

        Raises:
            KeyError: the sentence has a part that is in neither.
        """
        places = {part: f"{{{number}}}" for number, part in enumerate(parts)}
        literal = {part: text.replace("{", "{{").replace("}", "}}") for part, text in filled.items()}
        return self.say(key, **places, **literal).format

    def word(self, table: str, key: str) -> str:
        """One of a table of words; the key itself where the table lacks it."""
        words: Mapping[str, str] = self.table[table]
        return words.get(key, key)

    def number(self, value: float, decimals: int) -> str:
        """A number with that many decimals and the language's decimal mark; a true minus sign."""
        return _fixed(value, decimals).replace("-", MINUS).replace(".", self.decimal_mark)

    def signed(self, value: float, decimals: int) -> str | None:
        """A change with its sign; None where it vanishes in rounding."""
        text = _fixed(value, decimals)
        if float(text) == 0:
            return None
        sign = "+" if value > 0 else ""
        return sign + text.replace("-", MINUS).replace(".", self.decimal_mark)

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
            return self.times_average(f"< {self.number(0.1, 1)}", comparison)
        decimals = 0 if ratio >= 1.95 else 1  # noqa: PLR2004
        two_digits = float(f"{ratio:.2g}")
        return self.times_average(self.number(two_digits, decimals), comparison)

    def names(self, names: Sequence[str], *, most: int = LONGEST_LIST, separator: str = ", ") -> str:
        """A list of names, cut after a few."""
        shown = separator.join(names[:most])
        more = len(names) - most
        return self.say("and_more", names=shown, count=more) if more > 0 else shown


def _fixed(value: float, decimals: int) -> str:
    """With that many decimals as Python writes them; a zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if text[0] == "-" and float(text) == 0 else text


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
