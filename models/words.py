"""A model's words: what its card says in each language, read from the model's words.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, TypeAlias

Language: TypeAlias = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")


class WordsError(ValueError):
    """A words.toml lacks something or says something unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Reviewed sentences on a concept, by where its value lies against the reference range.

    `other` stands where a value is neither high nor low, or where that side has no sentence of its own. A sentence
    that would only repeat the concept's name is left out.
    """

    other: str | None = None
    high: str | None = None
    low: str | None = None

    def __post_init__(self) -> None:
        if not (self.other or self.high or self.low):
            raise TypeError("a phrase needs one of other, high and low")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWords:
    """What a card says in one language.

    Attributes:
        title: the service's title.
        outcome: the outcome as a summary begins it ("Sepsis risk").
        horizon: "in the next 6 h".
        event: the outcome within a sentence about patients ("develop sepsis").
        event_one: the same about one patient ("develops sepsis"); None where the language makes no difference.
        comparison: what the base rate is the average of ("the average in intensive care").
        caveat: what the number does not say and where it does not hold; stands behind "Limits:".
        names: names of derived features that are no concept.
        phrases: by concept.
        version: of the phrase list, with the date of its review.
    """

    title: str
    outcome: str
    horizon: str
    event: str
    comparison: str
    caveat: str
    names: Mapping[str, str]
    phrases: Mapping[str, Phrase]
    version: str
    event_one: str | None = None


def load_words(package: str) -> dict[Language, ModelWords]:
    """Read models/<package>/words.toml, which may extend the words of another model.

    Raises:
        WordsError: there is no such file, a language or a field is missing, or there is one that is not known.
    """
    tables = _tables(package)
    version = tables.pop("version", None)
    if set(tables) != set(LANGUAGES) or not isinstance(version, str):
        raise WordsError(f"{package}/words.toml: expected a version and the tables {LANGUAGES}, got {sorted(tables)}.")
    try:
        return {language: _model_words(tables[language], version) for language in LANGUAGES}
    except TypeError as error:
        raise WordsError(f"{package}/words.toml: {error}.") from error


def _tables(package: str) -> dict[str, Any]:
    """The tables of a file over those of the model whose words it `extends`, if it names one."""
    try:
        text = resources.files("models").joinpath(package, "words.toml").read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise WordsError(f"{package}/words.toml: {getattr(error, 'strerror', None) or error}.") from error
    extended = tables.pop("extends", None)
    return tables if extended is None else _over(_tables(extended), tables)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables of the first with what the second says of the same keys; a sentence on a concept is taken whole."""
    depth = ("names", "phrases", *LANGUAGES)
    return below | {
        key: _over(below[key], value) if key in depth and key in below and isinstance(value, dict) else value
        for key, value in above.items()
    }


def _model_words(table: dict[str, object], version: str) -> ModelWords:
    phrases = table.pop("phrases", {})
    if not isinstance(phrases, dict):
        raise TypeError("phrases must be a table")
    return ModelWords(
        **table,  # type: ignore[arg-type]  # a wrong field is a TypeError, told by the caller
        phrases={concept: Phrase(**phrase) for concept, phrase in phrases.items()},
        version=version,
    )
