"""The card: an assessment in a clinician's language, short, honest and the same for the same assessment."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from operator import attrgetter
from typing import Literal

from cds_hooks.response import Card
from features.refusals import Reason
from models.words import Language
from serving.assess import Assessment
from serving.card_parts import BandParts, CardParts, card_parts
from serving.card_times import CardTimes
from serving.contributor_line import ContributorWriter
from serving.readings import Contributor
from serving.runtime import Scored

MOST_RAISING, MOST_LOWERING = 3, 2
LEAST_CONTRIBUTION = 0.05  # log-odds; below it nobody's estimate moved
CHANCE = 2.0  # standard errors; an estimate within them could be none
LONGEST_REFUSALS = 4

# Usual in any record and no loss to the estimate: a code that the model does not read, a resource sent twice.
NOT_WORTH_SAYING = frozenset({Reason.CODE_NOT_MAPPED, Reason.RESOURCE_NOT_READ, Reason.DUPLICATE, Reason.REPLACED})

_ERROR = attrgetter("error")


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
    parts = card_parts(assessment.served, language, settings.public_url, settings.show_critical)
    return _Writer(assessment, parts, settings.zone).card(card_uuid)


class _Writer:
    """One card being written: the assessment with the prepared parts and the words for it."""

    __slots__ = ("assessment", "parts", "times", "words")

    def __init__(self, assessment: Assessment, parts: CardParts, zone: tzinfo) -> None:
        self.assessment = assessment
        self.parts = parts
        self.words = parts.words
        self.times = CardTimes(parts.times, at=assessment.index_time, zone=zone)

    def card(self, card_uuid: str) -> Card:
        scored, parts = self.assessment.scored, self.parts
        band = None if scored is None else parts.bands[self.assessment.served.bundle.band_of(scored.probability).id]
        return Card(
            uuid=card_uuid,
            summary=self._without_summary() if scored is None else self._summary(scored.probability),
            indicator="info" if band is None else band.indicator,
            detail="\n\n".join(self._without() if scored is None or band is None else self._detail(scored, band)),
            source=parts.source,
            links=parts.links,
            override_reasons=parts.override_reasons,
        )

    def _summary(self, probability: float) -> str:
        base_rate = self.assessment.served.bundle.manifest.base_rate
        compared = self.words.compared(probability, base_rate, self.parts.model.comparison)
        return f"{self.parts.heading}{self.words.percent(probability)} – {compared}"

    def _detail(self, scored: Scored, band: BandParts) -> Iterator[str]:
        if self.assessment.orders:
            yield self._ordered()
        yield f"**{self._frequency(scored.probability)}** {band.setting}"
        if self.assessment.orders:
            yield self.words.say("ordered_limits")
        yield self._as_of()
        yield from self._explanation(scored)
        if self.assessment.absent:
            yield self.words.say("absent", names=self.words.names(self._names(self.assessment.absent)))
        yield from self._unused()
        yield band.closing

    def _ordered(self) -> str:
        """What is about to be ordered, as the client calls it, each with what was understood of it."""
        names = [
            f"**{short if order.name is None else f'{order.name} ({short})'}**"
            for order in self.assessment.orders
            for short in (self.parts.short_names[order.concept],)
        ]
        return self.words.say("ordered", orders=self.words.names(names))

    def _frequency(self, probability: float) -> str:
        key, patients, of = self.words.frequency(probability)
        sentences = self.parts.singular if patients == 1 else self.parts.plural
        return sentences[key](patients, self.words.thousands(of))

    def _explanation(self, scored: Scored) -> Iterator[str]:
        if scored.contributions is None:
            yield self.words.say("no_time" if scored.unexplained == "deadline" else "no_explanation")
            return
        contributors = self.assessment.contributors
        raising, lowering = _most_moving(contributors)
        largest = max([abs(one.contribution) for one in (*raising[:1], *lowering[:1])], default=1.0)
        writer = ContributorWriter(self.parts.contributors, times=self.times, sex=self._sex())
        for title, told in ((self.parts.raised, raising), (self.parts.lowered, lowering)):
            if told:
                yield title
                yield "\n".join([writer.line(one, largest) for one in told])
        if any(map(_ERROR, contributors)):
            yield self.words.say("estimated")
        yield self.parts.no_cause if raising or lowering else self.words.say("nothing_moved")

    def _sex(self) -> Literal["female", "male"] | None:
        if self.assessment.sex is None:
            return None
        return "male" if self.assessment.sex else "female"

    def _unused(self) -> Iterator[str]:
        """What was sent and not used: too old, or refused."""
        if self.assessment.stale:
            old = [f"{self.parts.names[one.concept]} ({self.times.ago(one.time)})" for one in self.assessment.stale]
            yield self.words.say("stale", names=self.words.names(old))
        if not self.assessment.refusals:
            return
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
        return f"{count} × {words}" if concept is None else f"{count} × {self.parts.names[concept]} ({words})"

    def _as_of(self) -> str:
        return self.parts.as_of[self.assessment.as_of](self.times.index_time())

    def _without_summary(self) -> str:
        model = self.parts.model
        key = "unclear_summary" if self.assessment.unclear_orders else "insufficient_summary"
        return self.words.say(key, outcome=model.outcome, horizon=model.horizon)

    def _without(self) -> Iterator[str]:
        """Why there is no estimate."""
        if self.assessment.unclear_orders:
            yield self.words.say("unclear", count=self.assessment.unclear_orders)
            yield from self._unused()
        else:
            yield from self._insufficient()
        yield self._as_of()

    def _insufficient(self) -> Iterator[str]:
        if self.assessment.orders:
            yield self._ordered()
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

    def _names(self, concepts: tuple[str, ...]) -> list[str]:
        return [self.parts.names[concept] for concept in concepts]


def _most_moving(contributors: Iterable[Contributor]) -> tuple[list[Contributor], list[Contributor]]:
    """Of contributors by size, largest first, those to tell: which raised the estimate, and which lowered it."""
    raising: list[Contributor] = []
    lowering: list[Contributor] = []
    for one in contributors:
        size = abs(one.contribution)
        if size < LEAST_CONTRIBUTION:
            break
        if size >= CHANCE * one.error:
            (raising if one.contribution > 0 else lowering).append(one)
    return raising[:MOST_RAISING], lowering[:MOST_LOWERING]
