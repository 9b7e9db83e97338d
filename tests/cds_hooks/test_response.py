"""Cards: what may be built, and how it looks at the wire."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from cds_hooks.errors import InvalidAnswer
from cds_hooks.response import (
    Action,
    Card,
    CdsResponse,
    Coding,
    Link,
    OverrideReason,
    Source,
    Suggestion,
    decode_response,
    encode_response,
)

SOURCE = Source(label="Weight check 1.0")
TASK: dict[str, object] = {"resourceType": "Task", "status": "draft"}


def _card(**fields: Any) -> Card:
    usual: dict[str, Any] = {"summary": "Lost 6 % of weight", "indicator": "info", "source": SOURCE}
    return Card(**(usual | fields))


def _action(**fields: Any) -> Action:
    usual: dict[str, Any] = {"type": "create", "description": "Weigh again", "resource": TASK}
    return Action(**(usual | fields))


def test_a_card_leaves_in_camel_case_without_null_or_empty_fields() -> None:
    response = CdsResponse(cards=(_card(uuid="c-1"),))
    assert json.loads(encode_response(response)) == {
        "cards": [
            {
                "uuid": "c-1",
                "summary": "Lost 6 % of weight",
                "indicator": "info",
                "source": {"label": "Weight check 1.0"},
            }
        ]
    }


def test_every_field_has_its_place_at_the_wire() -> None:
    card = _card(
        detail="**6 %** in a week",
        source=Source(
            label="Weight check",
            url="https://e.example/facts",
            icon="https://e.example/icon.png",
            topic=Coding(code="weight", system="https://e.example/topics"),
        ),
        suggestions=(Suggestion(label="Weigh", uuid="s-1", is_recommended=True, actions=(_action(),)),),
        selection_behavior="any",
        override_reasons=(OverrideReason(code="x", system="https://e.example/reasons", display="Known"),),
        links=(Link(label="App", url="https://e.example/app", type="smart", app_context="a", autolaunchable=True),),
        extension={"org.example.replay": {"id": "r-1"}},
    )
    deletion = Action(type="delete", resource_id="Task/1")
    assert json.loads(
        encode_response(CdsResponse(cards=(card,), system_actions=(deletion,)), system_actions_agreed=True)
    ) == {
        "cards": [
            {
                "summary": "Lost 6 % of weight",
                "indicator": "info",
                "source": {
                    "label": "Weight check",
                    "url": "https://e.example/facts",
                    "icon": "https://e.example/icon.png",
                    "topic": {"code": "weight", "system": "https://e.example/topics"},
                },
                "detail": "**6 %** in a week",
                "suggestions": [
                    {
                        "label": "Weigh",
                        "uuid": "s-1",
                        "isRecommended": True,
                        "actions": [{"type": "create", "description": "Weigh again", "resource": TASK}],
                    }
                ],
                "selectionBehavior": "any",
                "overrideReasons": [{"code": "x", "system": "https://e.example/reasons", "display": "Known"}],
                "links": [
                    {
                        "label": "App",
                        "url": "https://e.example/app",
                        "type": "smart",
                        "appContext": "a",
                        "autolaunchable": True,
                    }
                ],
                "extension": {"org.example.replay": {"id": "r-1"}},
            }
        ],
        "systemActions": [{"type": "delete", "resourceId": "Task/1"}],
    }


def test_no_guidance_is_an_empty_list_of_cards() -> None:
    assert encode_response(CdsResponse(cards=())) == b'{"cards":[]}'


def test_what_was_encoded_reads_back_as_the_same() -> None:
    response = CdsResponse(cards=(_card(detail="ü – 👩‍⚕️"),))
    assert decode_response(encode_response(response)) == response


def test_reading_back_applies_the_rules_too() -> None:
    with pytest.raises(msgspec.ValidationError, match="fewer than 140"):
        decode_response(encode_response(CdsResponse(cards=(_card(),))).replace(b"Lost", b"L" * 140))


@pytest.mark.parametrize(
    ("summary", "good"),
    [
        ("x" * 139, True),
        ("x" * 140, False),
        ("ü" * 139, True),
        ("👩" * 69, True),
        ("👩" * 70, False),
        ("", False),
        ("   ", False),
        ("one\ntwo", False),
        ("one\n", False),
        ("one\u2028two", False),
    ],
    ids=["139", "140", "139-umlauts", "138-units", "140-units", "empty", "blank", "two-lines", "ends-line", "u2028"],
)
def test_a_summary_is_one_line_below_140_in_code_points_and_utf16_units(summary: str, *, good: bool) -> None:
    if good:
        assert _card(summary=summary).summary == summary
    else:
        with pytest.raises(InvalidAnswer, match="summary"):
            _card(summary=summary)


_RECOMMENDED = Suggestion(label="a", is_recommended=True)

BROKEN: dict[str, Callable[[], object]] = {
    "indicator-of-no-list": lambda: _card(indicator="hard-stop"),
    "empty-detail": lambda: _card(detail=""),
    "empty-uuid": lambda: _card(uuid=""),
    "empty-extension": lambda: _card(extension={}),
    "null-in-extension": lambda: _card(extension={"org.example.x": None}),
    "nan-in-extension": lambda: _card(extension={"org.example.x": {"risk": float("nan")}}),
    "infinity-in-extension": lambda: _card(extension={"org.example.x": [float("inf")]}),
    "extension-without-a-unique-name": lambda: _card(extension={"risk": 1}),
    "delete-without-a-type": lambda: _action(type="delete", resource_id="1"),
    "empty-array-in-extension": lambda: _card(extension={"org.example.x": []}),
    "suggestions-without-behaviour": lambda: _card(suggestions=(Suggestion(label="a"),)),
    "behaviour-without-suggestions": lambda: _card(selection_behavior="any"),
    "behaviour-of-no-list": lambda: _card(suggestions=(Suggestion(label="a"),), selection_behavior="all"),
    "two-recommended": lambda: _card(suggestions=(_RECOMMENDED,) * 2, selection_behavior="at-most-one"),
    "empty-source-label": lambda: Source(label=""),
    "relative-source-url": lambda: Source(label="a", url="/facts"),
    "source-url-with-space": lambda: Source(label="a", url="https://e.example/a b"),
    "icon-as-data": lambda: Source(label="a", icon="data:image/png;base64,xyz"),
    "icon-of-no-url": lambda: Source(label="a", icon="https://[::1/icon.png"),
    "coding-without-system": lambda: Coding(code="a", system=""),
    "reason-without-display": lambda: OverrideReason(code="a", system="https://e.example", display=""),
    "relative-link": lambda: Link(label="a", url="app", type="absolute"),
    "javascript-link": lambda: Link(label="a", url="javascript:alert(1)", type="absolute"),
    "link-type-of-no-list": lambda: Link(label="a", url="https://e.example", type="popup"),  # type: ignore[arg-type]
    "app-context-on-absolute": lambda: Link(label="a", url="https://e.example", type="absolute", app_context="x"),
    "suggestion-without-label": lambda: Suggestion(label=""),
    "action-without-description": lambda: Suggestion(label="a", actions=(_action(description=None),)),
    "action-type-of-no-list": lambda: _action(type="replace"),
    "create-without-resource": lambda: _action(resource=None),
    "update-without-resource-type": lambda: _action(type="update", resource={"status": "draft"}),
    "null-in-resource": lambda: _action(resource={**TASK, "for": None}),
    "delete-without-id": lambda: Action(type="delete"),
    "delete-with-resource": lambda: _action(type="delete", resource_id="Task/1"),
    "one-card-twice": lambda: CdsResponse(cards=(_card(uuid="c"), _card(uuid="c"))),
    "one-suggestion-twice": lambda: CdsResponse(
        cards=(_card(suggestions=(Suggestion(label="a", uuid="s"),) * 2, selection_behavior="any"),)
    ),
}


@pytest.mark.parametrize("build", BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_a_rule_cannot_be_built(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidAnswer):
        build()


def test_several_may_be_recommended_where_any_may_be_chosen() -> None:
    assert len(_card(suggestions=(_RECOMMENDED,) * 2, selection_behavior="any").suggestions) == 2


def test_fhirs_own_nulls_inside_arrays_of_primitives_stay() -> None:
    resource: dict[str, object] = {**TASK, "given": ["A", None], "_given": [None, {"id": "x"}]}
    assert _action(resource=resource).resource == resource
