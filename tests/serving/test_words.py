"""The words of all cards: numbers, percentages and frequencies as each language writes them."""

import re

import pytest

from features.refusals import Reason
from models.words import LANGUAGES, Language
from serving.card_parts import REASONS
from serving.cards import NOT_WORTH_SAYING
from serving.words import CardWords, load_card_words

EVERY_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)


def words(language: Language = "en") -> CardWords:
    return load_card_words()[language]


@pytest.mark.parametrize(
    ("value", "decimals", "english", "german"),
    [
        (7.0, 0, "7", "7"),
        (7.25, 1, "7.2", "7,2"),
        (1234.5, 1, "1234.5", "1234,5"),
        (-1.6, 1, "−1.6", "−1,6"),
        (-0.04, 1, "0.0", "0,0"),
        (0.0, 2, "0.00", "0,00"),
    ],
)
def test_a_number_has_the_language_s_mark_and_a_true_minus(
    value: float, decimals: int, english: str, german: str
) -> None:
    assert (words().number(value, decimals), words("de").number(value, decimals)) == (english, german)


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(14.0, 0, "+14"), (-14.0, 0, "−14"), (0.4, 0, None), (-0.4, 0, None), (0.4, 1, "+0,4"), (0.0, 0, None)],
)
def test_a_change_has_a_sign_or_vanishes(value: float, decimals: int, expected: str | None) -> None:
    assert words("de").signed(value, decimals) == expected


@pytest.mark.parametrize(
    ("probability", "percent", "frequency"),
    [
        (0.0, "< 0.1 %", ("frequency_below", 1, 1000)),
        (0.0004, "< 0.1 %", ("frequency_below", 1, 1000)),
        (0.001, "0.1 %", ("frequency", 1, 1000)),
        (0.004, "0.4 %", ("frequency", 4, 1000)),
        (0.0094, "0.9 %", ("frequency", 9, 1000)),
        (0.0096, "1 %", ("frequency", 1, 100)),
        (0.14, "14 %", ("frequency", 14, 100)),
        (0.145, "14 %", ("frequency", 14, 100)),
        (0.99, "99 %", ("frequency", 99, 100)),
        (0.995, "> 99 %", ("frequency_above", 99, 100)),
        (1.0, "> 99 %", ("frequency_above", 99, 100)),
    ],
)
def test_a_risk_has_two_digits_at_most_and_is_never_0_or_100_percent(
    probability: float, percent: str, frequency: tuple[str, int, int]
) -> None:
    assert words().percent(probability) == percent
    assert words("de").percent(probability) == percent.replace(".", ",")
    assert words().frequency(probability) == frequency


def test_a_thousand_is_written_as_the_language_does() -> None:
    assert [words(language).thousands(1000) for language in LANGUAGES] == ["1,000", "1000"]


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.0, "< 0.1× X"),
        (0.0019, "< 0.1× X"),
        (0.002, "0.1× X"),
        (0.0158, "0.8× X"),
        (0.016, "about X"),
        (0.02, "about X"),
        (0.0249, "about X"),
        (0.025, "1.2× X"),
        (0.0388, "1.9× X"),
        (0.04, "2× X"),
        (0.3, "15× X"),
    ],
)
def test_a_risk_is_compared_with_the_base_rate(probability: float, expected: str) -> None:
    assert words().compared(probability, 0.02, "X") == expected


def test_a_large_ratio_keeps_two_digits() -> None:
    assert words().compared(0.9, 0.00123, "X") == "730× X"


def test_a_list_is_cut_after_a_few_and_says_how_many_more() -> None:
    names = [str(number) for number in range(8)]
    assert words().names(names) == "0, 1, 2, 3, 4, 5 and 2 more"
    assert words("de").names(names[:7]) == "0, 1, 2, 3, 4, 5 und 1 weitere"
    assert words().names(names[:6]) == "0, 1, 2, 3, 4, 5"
    assert words().names(names[:3], most=2, separator="; ") == "0; 1 and 1 more"


def test_a_word_that_the_table_lacks_is_said_as_it_is() -> None:
    assert words().word("bands", "purple") == "purple"


def test_a_sentence_takes_its_parts_in_the_order_in_which_they_were_named() -> None:
    change = words("de").sentence("change", "time", "change")
    assert change("10:30", "+2") == words("de").say("change", time="10:30", change="+2") == "+2 seit 10:30"


def test_a_part_that_was_filled_in_once_is_said_as_it_is_braces_and_all() -> None:
    assert words().sentence("change", "change", time="{0} {x}")("+2") == "+2 since {0} {x}"


def test_a_sentence_that_lacks_a_part_is_refused_before_it_is_said() -> None:
    with pytest.raises(KeyError, match="time"):
        words().sentence("change", "change")


@EVERY_LANGUAGE
def test_every_refusal_that_a_card_tells_has_words(language: Language) -> None:
    assert set(words(language).table["refusals"]) == set(Reason) - NOT_WORTH_SAYING


@EVERY_LANGUAGE
def test_every_override_reason_has_words(language: Language) -> None:
    assert set(words(language).table["override_reasons"]) == {code for code, _ in REASONS}


def test_both_languages_have_the_same_parts_in_each_sentence() -> None:
    """A sentence that lost a part in translation would lose a fact."""

    def parts(language: Language) -> dict[str, set[str]]:
        table = words(language).table
        return {key: set(re.findall(r"{\w*}", text)) for key, text in table.items() if isinstance(text, str)}

    assert parts("en") == parts("de")
