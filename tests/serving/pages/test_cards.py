"""Answers become HTML that a person can read and that cannot act."""

import msgspec
import pytest

from cds_hooks.response import Action, Card, CdsResponse, Indicator, OverrideReason, Source, Suggestion, encode_response
from serving.pages.card_words import ENGLISH, GERMAN, CardWords, words_for
from serving.pages.cards import UnreadableAnswer, render_answer
from tests.serving.pages.sample_host import REASONS, example_card

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def rendered(*cards: Card, words: CardWords = ENGLISH) -> str:
    return render_answer(encode_response(CdsResponse(cards=cards)), words)


@pytest.mark.parametrize(
    ("indicator", "words", "word", "shape"),
    [
        pytest.param("info", ENGLISH, "Information", "<circle", id="info"),
        pytest.param("warning", ENGLISH, "Warning", "M12 3.5 22 20.5H2Z", id="warning"),
        pytest.param("critical", ENGLISH, "Critical", "M8 2.5h8L21.5 8v8", id="critical"),
        pytest.param("warning", GERMAN, "Warnung", "M12 3.5 22 20.5H2Z", id="warning in German"),
        pytest.param("critical", GERMAN, "Kritisch", "M8 2.5h8L21.5 8v8", id="critical in German"),
    ],
)
def test_an_indicator_is_a_word_an_icon_and_a_colour(
    indicator: Indicator, words: CardWords, word: str, shape: str
) -> None:
    html = rendered(example_card(indicator=indicator, summary="Risk 14 %"), words=words)
    assert f'class="card card-{indicator}"' in html
    assert f"<span>{word}</span>" in html
    assert shape in html


def test_all_parts_of_a_card_are_shown() -> None:
    html = rendered(example_card(indicator="info", summary="Risk 14 %"))
    assert '<h4 class="summary">Risk 14 %</h4>' in html
    assert "<strong>14 of 100</strong>" in html
    assert '<th class="align-right">Value</th>' in html
    assert 'href="https://bedside.example/models/sepsis"' in html
    assert "Sepsis 1.2.0, research model, not a medical device" in html
    assert "Trend <small>(SMART app, opened by the EHR)</small>" in html
    assert "Look at the patient now <small>(recommended)</small>" in html
    assert 'data-suggestion="look"' in html
    assert f'data-code="aware" data-system="{REASONS}">Already known and treated</button>' in html
    assert "&lt;script&gt;document.title" in html


def test_no_text_of_an_answer_becomes_markup() -> None:
    card = Card(
        uuid=HOSTILE,
        summary=HOSTILE,
        indicator="info",
        detail=HOSTILE,
        source=Source(label=HOSTILE, url="https://a.example/?\"'><script>alert(1)</script>"),
        suggestions=(Suggestion(uuid=HOSTILE, label=HOSTILE, actions=(_action(HOSTILE),)),),
        selection_behavior="any",
        override_reasons=(OverrideReason(code=HOSTILE, system=HOSTILE, display=HOSTILE),),
    )
    response = CdsResponse(cards=(card,), system_actions=(_action(HOSTILE),))
    html = render_answer(encode_response(response, system_actions_agreed=True), ENGLISH)
    assert "<script" not in html
    assert "<img" not in html
    assert "style=" not in html
    assert html.count("&lt;script&gt;") > 8


@pytest.mark.parametrize("scheme", ["javascript:alert(1)", "data:text/html,x", "/relative"])
def test_an_answer_with_a_link_that_is_no_web_address_is_refused_whole(scheme: str) -> None:
    card = {"summary": "a", "indicator": "info", "source": {"label": "b", "url": scheme}}
    with pytest.raises(UnreadableAnswer, match="absolute http"):
        render_answer(msgspec.json.encode({"cards": [card]}), ENGLISH)


def test_a_card_without_a_uuid_shows_its_reasons_but_offers_no_feedback() -> None:
    reason = OverrideReason(code="aware", system=REASONS, display="Already known")
    card = Card(summary="Risk", indicator="info", source=Source(label="s"), override_reasons=(reason,))
    html = rendered(card)
    assert "<li>Already known</li>" in html
    assert "no feedback can name it" in html
    assert "<button" not in html


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        pytest.param(ENGLISH, "this does not mean that the risk is low", id="English"),
        pytest.param(GERMAN, "das heißt nicht: geringes Risiko", id="German"),
    ],
)
def test_an_answer_without_a_card_is_not_read_as_low_risk(words: CardWords, sentence: str) -> None:
    assert sentence in rendered(words=words)


def test_an_operation_outcome_shows_what_and_where() -> None:
    issue = {"severity": "error", "code": "required", "diagnostics": "Expected <x>.", "expression": ["context.<b>"]}
    body = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
    html = render_answer(body, GERMAN)
    assert '<div class="cards" lang="en">' in html
    assert "OperationOutcome: error" in html
    assert "Expected &lt;x&gt;." in html
    assert "<code>required</code> · at <code>context.&lt;b&gt;</code>" in html


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>Bad gateway</html>", id="a proxy's page"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"{}", id="no cards"),
        pytest.param(b'{"cards": [{"summary": "x"}]}', id="half a card"),
        pytest.param(b'{"resourceType": "OperationOutcome"}', id="no issue"),
        pytest.param(b'{"resourceType": "\xff"}', id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested too deeply"),
    ],
)
def test_what_is_no_answer_of_a_service_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match="Expected a CDS Hooks response or an OperationOutcome"):
        render_answer(body, ENGLISH)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        pytest.param(None, ENGLISH, id="no header"),
        pytest.param("", ENGLISH, id="empty"),
        pytest.param("de", GERMAN, id="German"),
        pytest.param("de-AT, en;q=0.5", GERMAN, id="Austrian German first"),
        pytest.param("DE;q=0.9", GERMAN, id="whatever the case"),
        pytest.param("en, de", ENGLISH, id="English first"),
        pytest.param("den", ENGLISH, id="Slavey is not German"),
    ],
)
def test_words_follow_the_language_that_is_asked_for_first(header: str | None, words: CardWords) -> None:
    assert words_for(header) == words


def _action(description: str) -> Action:
    return Action(type="delete", description=description, resource_id="ServiceRequest/1")
