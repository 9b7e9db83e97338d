"""The card: an assessment in a clinician's language, short, honest and the same for the same assessment."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Literal

from cds_hooks.response import Card, Coding, Link, OverrideReason, Source
from features.concept import Concept
from features.refusals import Reason
from features.times import to_datetime
from models.bundle import Band
from models.words import Language, ModelWords
from serving.assess import Assessment, Contributor
from serving.runtime import Scored
from serving.words import MINUS, CardWords, load_card_words

MOST_RAISING, MOST_LOWERING = 3, 2
LEAST_CONTRIBUTION = 0.05  # log-odds; below it nobody's estimate moved
BAR_LENGTH = 5
LONGEST_REFUSALS = 4

HL7_REASONS = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
LOCAL_REASONS = "urn:bedside:override-reasons"
REASONS = (
    ("cds-not-applicable", HL7_REASONS),
    ("action-completed", HL7_REASONS),
    ("need-more-info", HL7_REASONS),
    ("wrong-time-workflow", HL7_REASONS),
    ("recipient-does-not-trust", HL7_REASONS),
    ("input-incorrect", LOCAL_REASONS),
)
TOPIC_SYSTEM = "urn:bedside:models"

# Usual in any record and no loss to the estimate: a code that the model does not read, a resource sent twice.
NOT_WORTH_SAYING = frozenset({Reason.CODE_NOT_MAPPED, Reason.RESOURCE_NOT_READ, Reason.DUPLICATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """What a site decides about its cards.

    Attributes:
        public_url: where clients reach the server, without a slash at the end.
        zone: the time zone in which times are shown.
        show_critical: whether a band may use the indicator `critical`; else it is shown as `warning`.
    """

    public_url: str
    zone: tzinfo
    show_critical: bool = False


def render(assessment: Assessment, *, card_uuid: str, language: Language, settings: CardSettings) -> Card:
    """The card of an assessment; a pure function, so that the journal can show it again.

    Args:
        assessment: what was found.
        card_uuid: the card's identifier, which feedback will name.
        language: of the text.
        settings: the site's.
    """
    return _Writer(assessment, language, settings).card(card_uuid)


class _Writer:
    """One card being written: the assessment with the words for it."""

    def __init__(self, assessment: Assessment, language: Language, settings: CardSettings) -> None:
        self.assessment = assessment
        self.language = language
        self.settings = settings
        self.words: CardWords = load_card_words()[language]
        self.model: ModelWords = assessment.served.entry.words[language]
        self.spec = assessment.served.entry.spec
        self.manifest = assessment.served.bundle.manifest

    def card(self, card_uuid: str) -> Card:
        scored = self.assessment.scored
        facts = f"{self.settings.public_url}/models/{self.spec.id}"
        label = f"Bedside · {self.model.title} {self.manifest.version} · {self.words.say('disclaimer')}"
        return Card(
            uuid=card_uuid,
            summary=self._insufficient_summary() if scored is None else self._summary(scored),
            indicator="info" if scored is None else self._indicator(scored),
            detail="\n\n".join(self._insufficient() if scored is None else self._detail(scored)),
            source=Source(
                label=label,
                url=facts,
                topic=Coding(code=self.spec.id, system=TOPIC_SYSTEM, display=self.model.title),
            ),
            links=(Link(label=self.words.say("facts", title=self.model.title), url=facts, type="absolute"),),
            override_reasons=tuple(
                OverrideReason(code=code, system=system, display=self.words.word("override_reasons", code))
                for code, system in REASONS
            ),
        )

    def _summary(self, scored: Scored) -> str:
        compared = self.words.compared(scored.probability, self.manifest.base_rate, self.model.comparison)
        percent = self.words.percent(scored.probability)
        return f"{self.model.outcome} {self.model.horizon}: {percent} – {compared}"

    def _indicator(self, scored: Scored) -> Literal["info", "warning", "critical"]:
        indicator = self.assessment.served.bundle.band_of(scored.probability).indicator
        return "warning" if indicator == "critical" and not self.settings.show_critical else indicator

    def _detail(self, scored: Scored) -> Iterator[str]:
        parts = {"event": self.model.event, "horizon": self.model.horizon}
        band = self.assessment.served.bundle.band_of(scored.probability)
        base = self.words.say(
            "base", comparison=self.model.comparison, percent=self.words.percent(self.manifest.base_rate)
        )
        yield " ".join(
            (
                f"**{self.words.frequency(scored.probability, **parts)}**",
                base,
                self.words.say("band", band=self.words.word("bands", band.id)),
            )
        )
        yield from self._explanation(scored)
        yield from self._data_notes()
        yield self.words.say("limits", caveat=self.model.caveat)
        yield from self._performance(band)
        yield self._as_of()

    def _explanation(self, scored: Scored) -> Iterator[str]:
        if scored.contributions is None:
            yield self.words.say("no_explanation")
            return
        moved = [one for one in self.assessment.contributors if abs(one.contribution) >= LEAST_CONTRIBUTION]
        largest = max((abs(one.contribution) for one in moved), default=1.0)
        raising = [one for one in moved if one.contribution > 0][:MOST_RAISING]
        lowering = [one for one in moved if one.contribution < 0][:MOST_LOWERING]
        for title, contributors in (("raised", raising), ("lowered", lowering)):
            if contributors:
                yield f"**{self.words.say(title)}**"
                yield "\n".join(self._contributor(one, largest) for one in contributors)
        yield self.words.say("no_cause")

    def _contributor(self, contributor: Contributor, largest: float) -> str:
        length = max(1, round(BAR_LENGTH * abs(contributor.contribution) / largest))
        bar = "■" * length + "□" * (BAR_LENGTH - length)
        concept = self._concept(contributor.concept)
        facts = [f"**{concept.words[self.language].name}** {self._value(contributor, concept)}"]
        facts.extend(self._circumstances(contributor, concept))
        phrase = self._phrase(contributor, concept)
        return f"- {bar} {', '.join(facts)}.{f' {phrase}' if phrase else ''}"

    def _value(self, contributor: Contributor, concept: Concept) -> str:
        reading = contributor.reading
        if concept.kind in {"condition", "medication"}:
            return self.words.say("not_recorded" if reading is None else "recorded")
        if reading is None:
            return self.words.say("not_measured")
        if concept.id == "sex":
            return self.words.say("male" if reading.value else "female")
        if concept.id == "age":
            years = int((self.assessment.index_time - reading.time) / (365.2425 * 86_400_000_000))
            return self.words.say("years", count=years)
        value = self.words.number(reading.value, concept.decimals)
        unit = concept.words[self.language].unit
        reference = self._reference(concept)
        shown = f"{value} {unit}".rstrip()
        if reference is None:
            return shown
        low, high = (self.words.number(bound, concept.decimals) for bound in reference)
        return f"{shown} ({self.words.say('reference', low=low, high=high)})"

    def _circumstances(self, contributor: Contributor, concept: Concept) -> Iterator[str]:
        """Age and time of the sample, and the change against the value before it."""
        reading, at, zone = contributor.reading, self.assessment.index_time, self.settings.zone
        if reading is None or concept.kind == "demographic":
            return
        time = self.words.clock(reading.time, at, zone)
        yield self.words.say("at_time", age=self.words.age(reading.time, at), time=time)
        if concept.unit is None or reading.previous is None or reading.previous_time is None:
            return
        before = self.words.clock(reading.previous_time, at, zone)
        change = self.words.number(reading.value - reading.previous, concept.decimals)
        if float(change.replace(",", ".").replace(MINUS, "-")) == 0:
            yield self.words.say("unchanged", time=before)
        else:
            signed = change if change.startswith(MINUS) else f"+{change}"
            yield self.words.say("change", change=signed, time=before)

    def _phrase(self, contributor: Contributor, concept: Concept) -> str | None:
        phrase = self.model.phrases.get(concept.id)
        if phrase is None or contributor.reading is None:
            return None
        reference = self._reference(concept)
        if reference is not None and contributor.reading.value > reference[1]:
            return phrase.high or phrase.other
        if reference is not None and contributor.reading.value < reference[0]:
            return phrase.low or phrase.other
        return phrase.other

    def _reference(self, concept: Concept) -> tuple[float, float] | None:
        if concept.reference is None:
            return None
        sex: Literal["female", "male"] | None = None
        if self.assessment.sex is not None:
            sex = "male" if self.assessment.sex else "female"
        return concept.reference.for_sex(sex)

    def _data_notes(self) -> Iterator[str]:
        """What was absent, too old or refused."""
        if self.assessment.absent:
            yield self.words.say("absent", names=self._names(self.assessment.absent))
        if self.assessment.stale:
            names = [
                f"{self._name(one.concept)} ({self.words.say('days', count=round(one.hours / 24))})"
                for one in self.assessment.stale
            ]
            yield self.words.say("stale", names=self.words.names(names))
        refused = self._refused()
        if refused:
            yield self.words.say("refused", list=refused)

    def _refused(self) -> str:
        counts: Counter[tuple[str | None, Reason]] = Counter()
        for refusal, count in self.assessment.refusals:
            if refusal.reason not in NOT_WORTH_SAYING:
                counts[refusal.concept, refusal.reason] += count
        notes = [
            f"{count} × {f'{self._name(concept)}, ' if concept else ''}{self.words.word('refusals', reason)}"
            for (concept, reason), count in counts.most_common()
        ]
        shown = "; ".join(notes[:LONGEST_REFUSALS])
        more = len(notes) - LONGEST_REFUSALS
        return self.words.say("and_more", names=shown, count=more) if more > 0 else shown

    def _performance(self, band: Band) -> Iterator[str]:
        """One line on how good an alarm is; of the card's own band, or of the first where alarms begin."""
        performance = self.assessment.served.bundle.performance
        alarming = [one for one in self.manifest.bands if one.id in performance.bands]
        if not alarming:
            return
        shown = band if band.id in performance.bands else alarming[0]
        measured = performance.bands[shown.id]
        needed = measured.number_needed_to_evaluate
        yield self.words.say(
            "performance",
            threshold=self.words.percent(shown.lower_probability),
            ppv=self.words.of_hundred(measured.ppv),
            sensitivity=self.words.of_hundred(measured.sensitivity),
            needed="–" if needed is None else f"{needed:.0f}",
            validation=performance.validation,
            date=self.words.date(_noon(performance.validated)),
        )

    def _as_of(self) -> str:
        moment = to_datetime(self.assessment.index_time).astimezone(self.settings.zone)
        time = f"{self.words.date(moment)} {moment:%H:%M %Z}"
        return self.words.say("as_of_clock" if self.assessment.as_of == "clock" else "as_of_latest", time=time)

    def _insufficient_summary(self) -> str:
        return self.words.say("insufficient_summary", outcome=self.model.outcome, horizon=self.model.horizon)

    def _insufficient(self) -> Iterator[str]:
        yield self.words.say("insufficient")
        needed = [
            self.words.say(
                "needed_all" if rule.at_least == len(rule.concepts) else "needed",
                count=rule.at_least,
                names=self._names(rule.concepts),
                hours=f"{rule.within_hours:g}",
            )
            for rule in self.assessment.unmet
        ]
        if self.assessment.required_missing:
            needed.append(self.words.say("needed_always", names=self._names(self.assessment.required_missing)))
        yield "\n".join(f"- {line}" for line in needed)
        refused = self._refused()
        if refused:
            yield self.words.say("refused", list=refused)
        yield self._as_of()

    def _names(self, concepts: tuple[str, ...]) -> str:
        return self.words.names([self._name(concept) for concept in concepts])

    def _name(self, concept: str) -> str:
        return self._concept(concept).words[self.language].name

    def _concept(self, concept: str) -> Concept:
        return self.assessment.served.converter.vocabulary.concept(concept)


def _noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(12), UTC)
