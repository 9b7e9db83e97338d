"""The card: an assessment in a clinician's language, short, honest and the same for the same assessment."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from typing import Literal

from cds_hooks.response import Card, Coding, Link, OverrideReason, Source
from features.refusals import Reason
from features.times import to_datetime
from models.bundle import Band
from models.words import Language, ModelWords
from serving.assess import Assessment
from serving.contributor_line import ContributorWriter
from serving.readings import Contributor
from serving.runtime import Scored
from serving.words import CardWords, load_card_words

MOST_RAISING, MOST_LOWERING = 3, 2
LEAST_CONTRIBUTION = 0.05  # log-odds; below it nobody's estimate moved
CHANCE = 2.0  # standard errors; an estimate within them could be none
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
NOT_WORTH_SAYING = frozenset({Reason.CODE_NOT_MAPPED, Reason.RESOURCE_NOT_READ, Reason.DUPLICATE, Reason.REPLACED})


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


# The parts of a card that depend on the model, the site and the language alone, made once.
@lru_cache
def _source(model_id: str, title: str, version: str, facts: str, language: Language) -> Source:
    return Source(
        label=f"Bedside · {title} {version} · {load_card_words()[language].say('disclaimer')}",
        url=facts,
        topic=Coding(code=model_id, system=TOPIC_SYSTEM, display=title),
    )


@lru_cache
def _links(title: str, facts: str, language: Language) -> tuple[Link, ...]:
    return (Link(label=load_card_words()[language].say("facts", title=title), url=facts, type="absolute"),)


@lru_cache
def _override_reasons(language: Language) -> tuple[OverrideReason, ...]:
    words = load_card_words()[language]
    return tuple(
        OverrideReason(code=code, system=system, display=words.word("override_reasons", code))
        for code, system in REASONS
    )


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
        return Card(
            uuid=card_uuid,
            summary=self._insufficient_summary() if scored is None else self._summary(scored),
            indicator="info" if scored is None else self._indicator(scored),
            detail="\n\n".join(self._insufficient() if scored is None else self._detail(scored)),
            source=_source(self.spec.id, self.model.title, self.manifest.version, facts, self.language),
            links=_links(self.model.title, facts, self.language),
            override_reasons=_override_reasons(self.language),
        )

    def _summary(self, scored: Scored) -> str:
        compared = self.words.compared(scored.probability, self.manifest.base_rate, self.model.comparison)
        percent = self.words.percent(scored.probability)
        return f"{self.model.outcome} {self.model.horizon}: {percent} – {compared}"

    def _indicator(self, scored: Scored) -> Literal["info", "warning", "critical"]:
        indicator = self.assessment.served.bundle.band_of(scored.probability).indicator
        return "warning" if indicator == "critical" and not self.settings.show_critical else indicator

    def _detail(self, scored: Scored) -> Iterator[str]:
        band = self.assessment.served.bundle.band_of(scored.probability)
        base = self.words.say(
            "base", comparison=self.model.comparison, percent=self.words.percent(self.manifest.base_rate)
        )
        yield " ".join(
            (
                f"**{self._frequency(scored.probability)}**",
                base,
                self.words.say("band", band=self.words.word("bands", band.id)),
            )
        )
        yield self._as_of()
        yield from self._explanation(scored)
        if self.assessment.absent:
            yield self.words.say("absent", names=self.words.names(self._names(self.assessment.absent)))
        yield from self._unused()
        yield self.words.say("limits", caveat=self.model.caveat)
        yield from self._performance(band)

    def _frequency(self, probability: float) -> str:
        frequency = self.words.frequency(probability)
        one = self.model.event_one if frequency.patients == 1 else None
        return self.words.say(
            frequency.key,
            count=frequency.patients,
            of=self.words.thousands(frequency.of),
            event=one or self.model.event,
            horizon=self.model.horizon,
        )

    def _explanation(self, scored: Scored) -> Iterator[str]:
        if scored.contributions is None:
            yield self.words.say("no_time" if scored.unexplained == "deadline" else "no_explanation")
            return
        moved = [one for one in self.assessment.contributors if _is_worth_saying(one)]
        largest = max((abs(one.contribution) for one in moved), default=1.0)
        writer = ContributorWriter(
            assessment=self.assessment, words=self.words, model=self.model, zone=self.settings.zone
        )
        raising = [one for one in moved if one.contribution > 0][:MOST_RAISING]
        lowering = [one for one in moved if one.contribution < 0][:MOST_LOWERING]
        for title, contributors in (("raised", raising), ("lowered", lowering)):
            if contributors:
                yield f"**{self.words.say(title)}**"
                yield "\n".join(writer.line(one, largest) for one in contributors)
        if any(one.error for one in self.assessment.contributors):
            yield self.words.say("estimated")
        yield self.words.say("no_cause" if moved else "nothing_moved")

    def _unused(self) -> Iterator[str]:
        """What was sent and not used: too old, or refused."""
        if self.assessment.stale:
            at = self.assessment.index_time
            names = [f"{self._name(one.concept)} ({self.words.ago(one.time, at)})" for one in self.assessment.stale]
            yield self.words.say("stale", names=self.words.names(names))
        counts: Counter[tuple[str | None, Reason]] = Counter()
        for refusal, count in self.assessment.refusals:
            is_absent = refusal.reason == Reason.VALUE_MISSING and refusal.concept in self.assessment.absent
            if refusal.reason not in NOT_WORTH_SAYING and not is_absent:  # what is absent was said already
                counts[refusal.concept, refusal.reason] += count
        if counts:
            # Another patient's data first, whatever the count: a mix-up is worse than a unit.
            order = sorted(counts.items(), key=lambda item: (item[0][1] != Reason.OTHER_PATIENT, -item[1]))
            notes = [self._refusal(concept, reason, count) for (concept, reason), count in order]
            yield self.words.say("refused", list=self.words.names(notes, most=LONGEST_REFUSALS, separator="; "))

    def _refusal(self, concept: str | None, reason: Reason, count: int) -> str:
        words = self.words.word("refusals", reason)
        return f"{count} × {words}" if concept is None else f"{count} × {self._name(concept)} ({words})"

    def _performance(self, band: Band) -> Iterator[str]:
        """One line on how good an alarm is; of the card's own band, or of the first where alarms begin."""
        performance = self.assessment.served.bundle.performance
        alarming = [one for one in self.manifest.bands if one.id in performance.bands]
        if not alarming:
            return
        shown = band if band.id in performance.bands else alarming[0]
        measured = performance.bands[shown.id]
        parts = {
            "threshold": self.words.percent(shown.lower_probability),
            "validation": performance.validation,
            "date": self.words.date(_noon(performance.validated)),
        }
        if measured.ppv is None or measured.sensitivity is None or measured.number_needed_to_evaluate is None:
            yield self.words.say("performance_unknown", **parts)
            return
        yield self.words.say(
            "performance",
            ppv=round(100 * measured.ppv),
            sensitivity=round(100 * measured.sensitivity),
            needed=round(measured.number_needed_to_evaluate),
            **parts,
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
                names=", ".join(self._names(rule.concepts)),
                hours=f"{rule.within_hours:g}",
            )
            for rule in self.assessment.unmet
        ]
        if self.assessment.required_missing:
            needed.append(
                self.words.say("needed_always", names=", ".join(self._names(self.assessment.required_missing)))
            )
        yield "\n".join(f"- {line}" for line in needed)
        yield from self._unused()
        yield self._as_of()

    def _names(self, concepts: tuple[str, ...]) -> list[str]:
        return [self._name(concept) for concept in concepts]

    def _name(self, concept: str) -> str:
        return self.assessment.served.interpreter.vocabulary.concept(concept).words[self.language].name


def _is_worth_saying(one: Contributor) -> bool:
    return abs(one.contribution) >= max(LEAST_CONTRIBUTION, CHANCE * one.error)


def _noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(12), UTC)
