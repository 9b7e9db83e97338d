"""One contributor's line on a card: how much, what value, of when, against what, and a reviewed sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from features.vocabulary.concept import Concept, Kind, Vocabulary
from models.words import ModelWords, Phrase
from serving.card_times import CardTimes
from serving.readings import Contributor, Reading
from serving.words import CardWords, Sentence

BAR_LENGTH = 5
BARS = tuple("■" * length + "□" * (BAR_LENGTH - length) for length in range(BAR_LENGTH + 1))

Sex: TypeAlias = Literal["female", "male"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference range, in the concept's unit, and how it stands behind a value; without bounds and words for none."""

    low: float = -math.inf
    high: float = math.inf
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptWords:
    """What a model's card says of a concept, whatever its value.

    Attributes:
        id: the concept's.
        kind: the concept's.
        is_draft: whether it is of orders about to be placed.
        name: in bold.
        unit: as it stands behind a number, after its space.
        decimals: of its numbers.
        has_change: whether a change against the value before means anything.
        nothing: what stands for a value where there is none.
        references: by the patient's sex, None where it is not known.
        high: the sentence on a value above the reference range, after its space.
        low: on one below it.
        other: on any other.
    """

    id: str
    kind: Kind
    is_draft: bool
    name: str
    unit: str
    decimals: int
    has_change: bool
    nothing: str
    references: Mapping[Sex | None, Reference]
    high: str
    low: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributorWords:
    """What a model's cards say of contributors in one language, made once."""

    words: CardWords
    concepts: Mapping[str, ConceptWords]
    recorded: str
    drafted: str
    sexes: Mapping[Sex, str]
    years: Sentence
    change: Sentence
    unchanged: Sentence


def contributor_words(vocabulary: Vocabulary, words: CardWords, model: ModelWords) -> ContributorWords:
    """The words for the contributors of a model, from its concepts and its phrases."""
    return ContributorWords(
        words=words,
        concepts={concept.id: _concept_words(concept, words, model.phrases.get(concept.id)) for concept in vocabulary},
        recorded=words.say("recorded"),
        drafted=words.say("drafted"),
        sexes={"female": words.say("female"), "male": words.say("male")},
        years=words.sentence("years", "count"),
        change=words.sentence("change", "change", "time"),
        unchanged=words.sentence("unchanged", "time"),
    )


def _concept_words(concept: Concept, words: CardWords, phrase: Phrase | None) -> ConceptWords:
    own = concept.words[words.language]
    is_draft = concept.drafts_of is not None
    is_recorded = concept.kind in {"condition", "medication"}
    absence = "not_drafted" if is_draft else "not_recorded" if is_recorded else "not_measured"
    other = _behind_space(phrase.other if phrase else None)
    return ConceptWords(
        id=concept.id,
        kind=concept.kind,
        is_draft=is_draft,
        name=f"**{own.name}**",
        unit=_behind_space(own.unit),
        decimals=concept.decimals,
        has_change=concept.unit is not None,
        nothing=words.say(absence),
        references={sex: _reference(concept, words, sex) for sex in (None, "female", "male")},
        high=_behind_space(phrase.high if phrase else None) or other,
        low=_behind_space(phrase.low if phrase else None) or other,
        other=other,
    )


def _behind_space(text: str | None) -> str:
    return f" {text}" if text else ""


def _reference(concept: Concept, words: CardWords, sex: Sex | None) -> Reference:
    bounds = None if concept.reference is None else concept.reference.for_sex(sex)
    if bounds is None:
        return Reference()
    low, high = (words.number(bound, concept.decimals) for bound in bounds)
    return Reference(low=bounds[0], high=bounds[1], text=f" ({words.say('reference', low=low, high=high)})")


class ContributorWriter:
    """Writes the lines of one card's contributors.

    Args:
        words: of the model and the language.
        times: the card's.
        sex: the patient's, None where it is not known; reference ranges depend on it.
    """

    __slots__ = ("_sex", "_times", "_words")

    def __init__(self, words: ContributorWords, *, times: CardTimes, sex: Sex | None) -> None:
        self._words, self._times, self._sex = words, times, sex

    def line(self, contributor: Contributor, largest: float) -> str:
        """A list item of Markdown that also reads as plain text.

        Args:
            contributor: what to tell.
            largest: the size of the largest contribution on the card, in log-odds; its bar is full.
        """
        bar = BARS[max(1, round(BAR_LENGTH * abs(contributor.contribution) / largest))]
        concept, reading = self._words.concepts[contributor.concept], contributor.reading
        if reading is None:
            return f"- {bar} {concept.name} {concept.nothing}."
        reference = concept.references[self._sex]
        if reading.value > reference.high:
            phrase = concept.high
        elif reading.value < reference.low:
            phrase = concept.low
        else:
            phrase = concept.other
        facts = self._words.drafted if concept.is_draft else self._facts(reading, concept, reference)
        return f"- {bar} {concept.name} {facts}.{phrase}"

    def _facts(self, reading: Reading, concept: ConceptWords, reference: Reference) -> str:
        """The value with its reference range, its age and time, and the change against the value before it."""
        match concept.kind:
            case "condition":  # a date of a year or a day: its time of day would be made up
                return f"{self._words.recorded}, {self._times.ago(reading.time)}"
            case "medication":
                return f"{self._words.recorded}, {self._times.when(reading.time)}"
            case "demographic":
                return self._demographic(reading, concept, reference)
        facts = f"{self._value(reading, concept, reference)}, {self._times.when(reading.time)}"
        if not concept.has_change or reading.previous is None or reading.previous_time is None:
            return facts
        before = self._times.clock(reading.previous_time)
        change = self._words.words.signed(reading.value - reading.previous, concept.decimals)
        if change is None:
            return f"{facts}, {self._words.unchanged(before)}"
        return f"{facts}, {self._words.change(change, before)}"

    def _demographic(self, reading: Reading, concept: ConceptWords, reference: Reference) -> str:
        match concept.id:
            case "sex":
                return self._words.sexes["male" if reading.value else "female"]
            case "age":
                return self._words.years(self._times.years_since(reading.time))
        return self._value(reading, concept, reference)

    def _value(self, reading: Reading, concept: ConceptWords, reference: Reference) -> str:
        return f"{self._words.words.number(reading.value, concept.decimals)}{concept.unit}{reference.text}"
