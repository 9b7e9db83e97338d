"""One request file through one bundle: the card a server would send, or one sentence on why there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from bedside.card import CardError, card_of
from cds_hooks.response import Card
from models.catalog import find

EXAMPLES = find("sepsis").examples
HIGH = EXAMPLES / "3-high.json"


def card(path: Path = HIGH, **changes: Any) -> Card:
    usual = {"service": "sepsis", "bundle": None, "language": "en", "zone_name": "UTC", "as_of": "latest-observation"}
    return card_of(path, **usual | changes)


def test_an_example_and_the_request_in_it_give_the_same_card(tmp_path: Path) -> None:
    request = json.loads(HIGH.read_bytes())["request"]
    (tmp_path / HIGH.name).write_text(json.dumps(request), encoding="utf-8")
    assert card(tmp_path / HIGH.name) == card()


def test_the_same_file_gives_the_same_card_with_its_uuid() -> None:
    assert card() == card()
    assert card().uuid != card(EXAMPLES / "1-low.json").uuid


def test_the_bundle_given_is_the_one_asked() -> None:
    assert card(bundle=find("sepsis").released) == card()
    with pytest.raises(CardError, match="expected a bundle directory"):
        card(bundle=EXAMPLES)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Sepsis risk in the next 6 h"), ("de", "Sepsisrisiko in den nächsten 6 h")]
)
def test_the_card_speaks_the_language(language: str, words: str) -> None:
    assert words in card(language=language).summary


def test_by_the_clock_a_patient_of_the_past_has_no_estimate() -> None:
    assert "no estimate" in card(as_of="clock").summary


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"service": "gout"}, "Expected one of the models"),
        ({"service": "aki"}, "no bundle was released"),
        ({"language": "fr"}, "language: expected one of"),
        ({"zone_name": "Middle/Earth"}, "expected a time zone"),
        ({"as_of": "yesterday"}, "as_of: expected one of"),
        ({"path": EXAMPLES / "nowhere.json"}, "No such file"),
        ({"path": EXAMPLES}, "Is a directory"),
    ],
    ids=["service", "never released", "language", "zone", "as of", "no file", "a folder"],
)
def test_what_cannot_be_used_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        card(**changes)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "{}", '{"hook": "patient-view"}', "\x00"], ids=repr)
def test_a_file_that_holds_no_request_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(content, encoding="utf-8")
    with pytest.raises(CardError) as refused:
        card(tmp_path / "request.json")
    assert len(str(refused.value)) > len("Expected")
