"""Accept-Language: the best language that cards have, else the site's."""

import pytest

from models.words import Language
from serving.locale import choose_language


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, "de", id="no header: the site's"),
        pytest.param("", "de", id="empty"),
        pytest.param("en", "en", id="plain"),
        pytest.param("en-GB", "en", id="with a region"),
        pytest.param("EN-gb", "en", id="whatever the case"),
        pytest.param("fr, en;q=0.5", "en", id="the best that we have"),
        pytest.param("fr, it", "de", id="none that we have: the site's"),
        pytest.param("de;q=0.4, en;q=0.9", "en", id="by weight, not by order"),
        pytest.param("en, de", "en", id="by order where weights are equal"),
        pytest.param("en;q=0, de;q=0.1", "de", id="q=0 means not this one"),
        pytest.param("en;q=0", "de", id="not this one, so the site's"),
        pytest.param(" de ; q=0.5 ,\ten;Q=0.8 ", "en", id="spaces and a capital Q"),
        pytest.param("*", "de", id="any: the site's"),
        pytest.param("en;q=x, de;q=0.1", "de", id="a weight that is no number"),
        pytest.param("en;q=nan, de;q=0.1", "de", id="a weight that is not a number"),
        pytest.param("en;q=7, de;q=0.1", "de", id="a weight above 1"),
        pytest.param("en;q=-1", "de", id="a weight below 0"),
        pytest.param("english", "de", id="a longer word is another language"),
        pytest.param(",,;q=1,;,en", "en", id="rubbish before"),
        pytest.param("\x00" * 9 + "de" * 5000, "de", id="rubbish only"),
    ],
)
def test_the_language_is_the_best_of_those_that_cards_have(header: str | None, expected: Language) -> None:
    assert choose_language(header, "de") == expected
