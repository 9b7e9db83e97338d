"""The parts of a card that depend on the model, the site and the language alone, made once; no patient is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from cds_hooks.response import Coding, Indicator, Link, OverrideReason, Source
from models.bundle import Band
from models.words import Language, ModelWords
from serving.assess import AsOf, ServedModel
from serving.card_times import TimeWords, time_words
from serving.contributor_line import ContributorWords, contributor_words
from serving.words import CardWords, Sentence, load_card_words

MOST_PREPARED = 64  # models × languages; one that is served no longer is forgotten when others come

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
AS_OF_KEYS: Mapping[AsOf, str] = {"clock": "as_of_clock", "latest-observation": "as_of_latest"}
TOPIC_SYSTEM = "urn:bedside:models"


@dataclass(frozen=True, slots=True, kw_only=True)
class BandParts:
    """What a card of a risk band says, whatever the risk.

    Attributes:
        indicator: as the site shows it.
        closing: the paragraphs at the end: the limits and how good an alarm is.
        setting: what stands behind the risk: the average and the band.
    """

    indicator: Indicator
    setting: str
    closing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardParts:
    """All of a model's cards in one language that does not depend on the patient.

    Attributes:
        words: the language's.
        model: the model's words.
        heading: what every summary begins with.
        singular: by key, the sentence of a frequency of one patient.
        plural: the same of any other count; both take the count and of how many.
        bands: by id.
        raised: the heading of what raised the estimate.
        lowered: the heading of what lowered it.
        no_cause: the sentence below both.
        as_of: the sentence of the time for which the risk is told, by `Assessment.as_of`.
        names: of the concepts.
        short_names: the same, short.
        times: the language's words for times.
        contributors: the words for the model's contributors.
        source: of the guidance: the model and its version.
        links: to the facts about the model.
        override_reasons: to choose from.
    """

    words: CardWords
    model: ModelWords
    heading: str
    singular: Mapping[str, Sentence]
    plural: Mapping[str, Sentence]
    bands: Mapping[str, BandParts]
    raised: str
    lowered: str
    no_cause: str
    as_of: Mapping[AsOf, Sentence]
    names: Mapping[str, str]
    short_names: Mapping[str, str]
    times: TimeWords
    contributors: ContributorWords
    source: Source
    links: tuple[Link, ...]
    override_reasons: tuple[OverrideReason, ...]


@lru_cache(MOST_PREPARED)
def card_parts(served: ServedModel, language: Language, public_url: str, show_critical: bool) -> CardParts:  # noqa: FBT001 - a key of the cache
    """The parts of a model's cards.

    Args:
        served: the model.
        language: of the text.
        public_url: where clients reach the server.
        show_critical: whether a band may use the indicator `critical`.
    """
    words, model = load_card_words()[language], served.entry.words[language]
    times = time_words(words)
    facts = f"{public_url}/models/{served.entry.spec.id}"
    return CardParts(
        words=words,
        model=model,
        heading=f"{model.outcome} {model.horizon}: ",
        singular=_frequencies(words, model.event_one or model.event, model.horizon),
        plural=_frequencies(words, model.event, model.horizon),
        bands={
            band.id: BandParts(
                indicator="warning" if band.indicator == "critical" and not show_critical else band.indicator,
                setting=_setting(served, words, model, band),
                closing=_closing(served, words, times, model, band),
            )
            for band in served.bundle.manifest.bands
        },
        raised=f"**{words.say('raised')}**",
        lowered=f"**{words.say('lowered')}**",
        no_cause=words.say("no_cause"),
        as_of={as_of: words.sentence(key, "time") for as_of, key in AS_OF_KEYS.items()},
        names={concept.id: concept.words[language].name for concept in served.interpreter.vocabulary},
        short_names={concept.id: concept.words[language].short for concept in served.interpreter.vocabulary},
        times=times,
        contributors=contributor_words(served.interpreter.vocabulary, words, model),
        source=_source(served, words, model, facts),
        links=(Link(label=words.say("facts", title=model.title), url=facts, type="absolute"),),
        override_reasons=_override_reasons(words),
    )


def _source(served: ServedModel, words: CardWords, model: ModelWords, facts: str) -> Source:
    return Source(
        label=f"Bedside · {model.title} {served.bundle.manifest.version} · {words.say('disclaimer')}",
        url=facts,
        topic=Coding(code=served.entry.spec.id, system=TOPIC_SYSTEM, display=model.title),
    )


def _override_reasons(words: CardWords) -> tuple[OverrideReason, ...]:
    return tuple(
        OverrideReason(code=code, system=system, display=words.word("override_reasons", code))
        for code, system in REASONS
    )


def _frequencies(words: CardWords, event: str, horizon: str) -> dict[str, Sentence]:
    return {
        key: words.sentence(key, "count", "of", event=event, horizon=horizon)
        for key in ("frequency", "frequency_below", "frequency_above")
    }


def _setting(served: ServedModel, words: CardWords, model: ModelWords, band: Band) -> str:
    average = words.percent(served.bundle.manifest.base_rate)
    base = words.say("base", comparison=model.comparison, percent=average)
    return f"{base} {words.say('band', band=words.word('bands', band.id))}"


def _closing(served: ServedModel, words: CardWords, times: TimeWords, model: ModelWords, band: Band) -> str:
    limits = words.say("limits", caveat=model.caveat)
    performance = _performance(served, words, times, band)
    return limits if performance is None else f"{limits}\n\n{performance}"


def _performance(served: ServedModel, words: CardWords, times: TimeWords, band: Band) -> str | None:
    """How good an alarm is, in one line; of the card's own band, or of the first where alarms begin."""
    performance = served.bundle.performance
    alarming = [one for one in served.bundle.manifest.bands if one.id in performance.bands]
    if not alarming:
        return None
    shown = band if band.id in performance.bands else alarming[0]
    measured = performance.bands[shown.id]
    parts = {
        "threshold": words.percent(shown.lower_probability),
        "validation": performance.validation,
        "date": times.date_of(date.fromisoformat(performance.validated)),
    }
    if measured.ppv is None or measured.sensitivity is None or measured.number_needed_to_evaluate is None:
        return words.say("performance_unknown", **parts)
    return words.say(
        "performance",
        ppv=round(100 * measured.ppv),
        sensitivity=round(100 * measured.sensitivity),
        needed=round(measured.number_needed_to_evaluate),
        **parts,
    )
