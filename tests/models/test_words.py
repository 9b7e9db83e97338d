"""The phrases on cards: there in both languages, short, and silent about causes and actions."""

import re

import pytest

from cds_hooks.response import SUMMARY_LIMIT
from features.vocabulary.concept import Concept, load_vocabulary
from models.catalog import CatalogEntry, catalog, find
from models.words import LANGUAGES, Language, ModelWords
from serving.words import load_card_words

ENTRIES = [pytest.param(entry, id=entry.spec.id) for entry in catalog()]
IN_EACH_LANGUAGE = [
    pytest.param(language, entry.words[language], id=f"{entry.spec.id}-{language}")
    for entry in catalog()
    for language in LANGUAGES
]
SIDES = ("other", "high", "low")
LONGEST_PHRASE = 110  # characters: one line of a narrow card

# A phrase may say what a value is seen with. It never says why this patient has it, and never what to do.
FORBIDDEN: dict[Language, re.Pattern[str]] = {
    "en": re.compile(
        r"\b(because|causes?|caused|causing|due to|owing to|leads? to|results? (in|from)|give|gives|administer|orders?"
        r"|should|must|ought|start|stop|treat|recommend(s|ed)?|consider|check|measure)\b",
        re.IGNORECASE,
    ),
    "de": re.compile(
        r"\b(weil|deshalb|daher|verursach\w*|bewirk\w*|bedingt|infolge|aufgrund|führ(t|en) zu|geben sie|verabreich\w*"
        r"|verordne\w*|anordn\w*|sollten?|soll|muss|müssen|empfehl\w*|empfohlen|beginnen sie|prüfen|erwägen)\b",
        re.IGNORECASE,
    ),
}
# What the line says before the phrase: the name, where the value lies, that something is recorded, and since when.
REPEATS: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"((above|below) the reference range|is on record|(over|in) the last [\w ]+)\.$"),
    "de": re.compile(r"((über|unter) dem Referenzbereich|ist dokumentiert|(den|des|der) letzten [\w ]+)\.$"),
}
FEWEST_WORDS = 5
MARKUP = re.compile(r"[<>*_`\[\]|#\\\n]")


def sentences(words: ModelWords) -> dict[str, str]:
    """Every sentence of the phrases, by concept and side."""
    return {
        f"{concept}.{side}": text
        for concept, phrase in words.phrases.items()
        for side in SIDES
        if (text := getattr(phrase, side)) is not None
    }


@pytest.mark.parametrize("entry", ENTRIES)
def test_both_languages_say_something_at_the_same_places(entry: CatalogEntry) -> None:
    english, german = (entry.words[language] for language in LANGUAGES)
    assert sorted(sentences(english)) == sorted(sentences(german))
    assert sorted(english.names) == sorted(german.names)
    assert english.version == german.version


@pytest.mark.parametrize(("language", "words"), IN_EACH_LANGUAGE)
def test_every_sentence_is_short_and_one(language: Language, words: ModelWords) -> None:
    """It begins with a capital or a figure, ends with a full stop and has no second one inside."""
    del language
    wrong = {
        place: text
        for place, text in sentences(words).items()
        if len(text) > LONGEST_PHRASE or not re.fullmatch(r"[A-ZÄÖÜ0-9](?!.*\. ).*[^.\s]\.", text)
    }
    assert wrong == {}


@pytest.mark.parametrize(("language", "words"), IN_EACH_LANGUAGE)
def test_no_sentence_names_a_cause_or_an_action(language: Language, words: ModelWords) -> None:
    assert {place: text for place, text in sentences(words).items() if FORBIDDEN[language].search(text)} == {}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "High, because of shock."),
        ("en", "Hypoperfusion causes a rise."),
        ("en", "Give antibiotics within the hour."),
        ("en", "Lactate should be repeated."),
        ("de", "Hoch, weil die Perfusion fehlt."),
        ("de", "Ein Schock verursacht den Anstieg."),
        ("de", "Geben Sie Volumen."),
        ("de", "Laktat sollte wiederholt werden."),
    ],
)
def test_causes_and_actions_are_recognised(language: Language, text: str) -> None:
    assert FORBIDDEN[language].search(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "A compensated disorder is possible."), ("de", "Auch eine kompensierte Störung ist möglich.")],
)
def test_words_that_only_contain_a_forbidden_one_are_allowed(language: Language, text: str) -> None:
    assert not FORBIDDEN[language].search(text)


@pytest.mark.parametrize(("language", "words"), IN_EACH_LANGUAGE)
def test_no_words_hold_markup(language: Language, words: ModelWords) -> None:
    """What a client would render, or strip, is never part of the words."""
    del language
    fields = ("title", "outcome", "horizon", "event", "event_one", "comparison", "caveat")
    said = {name: getattr(words, name) or "" for name in fields} | dict(words.names) | sentences(words)
    assert {place: text for place, text in said.items() if MARKUP.search(text)} == {}


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_longest_summary_of_a_model_fits_on_a_card(entry: CatalogEntry) -> None:
    """Below the standard's 140 characters, with the longest percentage and a ratio of two digits."""
    for language in LANGUAGES:
        words, card_words = entry.words[language], load_card_words()[language]
        compared = card_words.say("times_average", ratio="99", comparison=words.comparison)
        assert len(f"{words.outcome} {words.horizon}: {card_words.percent(1.0)} – {compared}") < SUMMARY_LIMIT


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_concept_that_a_model_reads_has_a_phrase(entry: CatalogEntry) -> None:
    for language in LANGUAGES:
        assert [name for name in entry.spec.features.concepts if name not in entry.words[language].phrases] == []


def test_sepsis_has_a_sentence_on_each_value_within_its_range_or_without_one() -> None:
    """How often a value is measured moves the estimate too, so a contributor often lies within its range."""
    for words in find("sepsis").words.values():
        assert [concept for concept, phrase in words.phrases.items() if phrase.other is None] == []


def says_nothing(language: Language, text: str) -> bool:
    """Whether a sentence only repeats what stands before it on the card."""
    return len(text.split()) < FEWEST_WORDS or REPEATS[language].search(text) is not None


@pytest.mark.parametrize(("language", "words"), IN_EACH_LANGUAGE)
def test_no_sentence_only_repeats_its_line_on_the_card(language: Language, words: ModelWords) -> None:
    assert {place: text for place, text in sentences(words).items() if says_nothing(language, text)} == {}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "CRP."),
        ("en", "Low diastolic pressure."),
        ("en", "Potassium lies above the reference range."),
        ("en", "A chronic kidney disease is on record."),
        ("en", "An ACE inhibitor in the last 72 h."),
        ("de", "Langsame Atmung."),
        ("de", "Das Kalium liegt über dem Referenzbereich."),
        ("de", "Eine chronische Nierenkrankheit ist dokumentiert."),
        ("de", "Kreatinin und sein Verlauf in den letzten Tagen."),
    ],
)
def test_a_sentence_that_only_repeats_is_recognised(language: Language, text: str) -> None:
    assert says_nothing(language, text)


def callable_sides(concept: Concept) -> set[str]:
    """The sides on which a plausible value can lie, for one sex at least."""
    if concept.reference is None or concept.plausible is None:
        return {"other"}
    least, most = concept.plausible
    ranges = (concept.reference.female, concept.reference.male)
    high = {"high"} if any(upper < most for _, upper in ranges) else set()
    low = {"low"} if any(lower > least for lower, _ in ranges) else set()
    return {"other"} | high | low


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_sentence_is_one_that_no_value_can_call_up(entry: CatalogEntry) -> None:
    """Such a sentence would never be seen, so nobody would review it."""
    vocabulary = load_vocabulary()
    for words in entry.words.values():
        allowed = {f"{name}.{side}" for name in words.phrases for side in callable_sides(vocabulary.concept(name))}
        assert set(sentences(words)) - allowed == set()


@pytest.mark.parametrize(
    ("concept", "sides"),
    [
        pytest.param("potassium", {"other", "high", "low"}, id="a value can lie on both sides"),
        pytest.param("spo2", {"other", "low"}, id="no saturation lies above 100 %"),
        pytest.param("bilirubin_total", {"other", "high"}, id="no concentration lies below 0"),
        pytest.param("glucose", {"other"}, id="no reference range"),
        pytest.param("sex", {"other"}, id="no quantity"),
    ],
)
def test_a_side_counts_where_a_value_can_lie_on_it(concept: str, sides: set[str]) -> None:
    assert callable_sides(load_vocabulary().concept(concept)) == sides
