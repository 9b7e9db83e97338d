"""One contributor's line on a card: how much, what value, of when, against what, and a reviewed sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal

from features.times import to_datetime
from features.vocabulary.concept import Concept
from models.words import ModelWords
from serving.assess import Assessment, Contributor, Reading
from serving.words import CardWords

BAR_LENGTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributorWriter:
    """Writes the lines of one assessment's contributors."""

    assessment: Assessment
    words: CardWords
    model: ModelWords
    zone: tzinfo

    def line(self, contributor: Contributor, largest: float) -> str:
        """A list item of Markdown that also reads as plain text.

        Args:
            contributor: what to tell.
            largest: the size of the largest contribution on the card, in log-odds; its bar is full.
        """
        length = max(1, round(BAR_LENGTH * abs(contributor.contribution) / largest))
        bar = "■" * length + "□" * (BAR_LENGTH - length)
        concept = self.assessment.served.interpreter.vocabulary.concept(contributor.concept)
        name = concept.words[self.words.language].name
        facts = ", ".join((self._value(contributor.reading, concept), *self._circumstances(contributor, concept)))
        phrase = self._phrase(contributor.reading, concept)
        return f"- {bar} **{name}** {facts}.{f' {phrase}' if phrase else ''}"

    def _value(self, reading: Reading | None, concept: Concept) -> str:
        if concept.kind in {"condition", "medication"}:
            return self.words.say("not_recorded" if reading is None else "recorded")
        if reading is None:
            return self.words.say("not_measured")
        match concept.id:
            case "sex":
                return self.words.say("male" if reading.value else "female")
            case "age":
                return self.words.say("years", count=self._age_years(reading))
        value = (
            f"{self.words.number(reading.value, concept.decimals)} {concept.words[self.words.language].unit}".rstrip()
        )
        reference = self._reference(concept)
        if reference is None:
            return value
        low, high = (self.words.number(bound, concept.decimals) for bound in reference)
        return f"{value} ({self.words.say('reference', low=low, high=high)})"

    def _age_years(self, birth: Reading) -> int:
        """Full years by the calendar, as everyone counts them."""
        born: date = to_datetime(birth.time).date()
        today = to_datetime(self.assessment.index_time).astimezone(self.zone).date()
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))

    def _circumstances(self, contributor: Contributor, concept: Concept) -> Iterator[str]:
        """Age and time of the sample, and the change against the value before it."""
        reading, at = contributor.reading, self.assessment.index_time
        if reading is None or concept.kind == "demographic":
            return
        if concept.kind == "condition":  # a date of a year or a day: its time of day would be made up
            yield self.words.ago(reading.time, at)
            return
        yield self.words.when(reading.time, at, self.zone)
        if concept.unit is None or reading.previous is None or reading.previous_time is None:
            return
        before = self.words.clock(reading.previous_time, at, self.zone)
        change = self.words.signed(reading.value - reading.previous, concept.decimals)
        if change is None:
            yield self.words.say("unchanged", time=before)
        else:
            yield self.words.say("change", change=change, time=before)

    def _phrase(self, reading: Reading | None, concept: Concept) -> str | None:
        phrase = self.model.phrases.get(concept.id)
        if phrase is None or reading is None:
            return None
        reference = self._reference(concept)
        if reference is not None and reading.value > reference[1]:
            return phrase.high or phrase.other
        if reference is not None and reading.value < reference[0]:
            return phrase.low or phrase.other
        return phrase.other

    def _reference(self, concept: Concept) -> tuple[float, float] | None:
        if concept.reference is None:
            return None
        sex: Literal["female", "male"] | None = None
        if self.assessment.sex is not None:
            sex = "male" if self.assessment.sex else "female"
        return concept.reference.for_sex(sex)
