"""C, S, L, Y, E, J and H: what may leave as an answer, and how errors look."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

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
from tests.conformance.client import Client, cards, failed, refused, strict_json
from tests.conformance.requests import CALL, STEADY, UNKNOWN, request
from tests.conformance.weight_check import WeightCheck, weight_app


def _card(**fields: Any) -> Card:
    usual: dict[str, Any] = {"summary": "A", "indicator": "info", "source": Source(label="A")}
    return Card(**(usual | fields))


def _sent(card: Card) -> dict[str, Any]:
    """A card as it leaves."""
    (sent,) = strict_json(encode_response(CdsResponse(cards=(card,))))["cards"]
    assert isinstance(sent, dict)
    return sent


def _answered(client: Client) -> dict[str, Any]:
    response = client.post(CALL, request())
    assert response.status_code == 200
    (card,) = strict_json(response.content)["cards"]
    assert isinstance(card, dict)
    return card


def test_C_01_200_carries_an_object_with_the_array_cards(client: Client) -> None:
    document = strict_json(client.post(CALL, request()).content)
    assert list(document) == ["cards"]
    assert isinstance(document["cards"], list)


def test_C_02_the_summary_has_fewer_than_140_characters(client: Client) -> None:
    assert 0 < len(_answered(client)["summary"]) < 140
    for summary in ("x" * 140, "👩" * 70):
        with pytest.raises(InvalidAnswer):
            _card(summary=summary)


def test_C_03_the_indicator_is_of_the_list(client: Client) -> None:
    assert _answered(client)["indicator"] in {"info", "warning", "critical"}
    with pytest.raises(InvalidAnswer):
        _card(indicator="hard-stop")


def test_C_04_the_source_has_a_label(client: Client) -> None:
    assert _answered(client)["source"]["label"] == "Weight check 1.0"
    with pytest.raises(InvalidAnswer):
        Source(label="")


@pytest.mark.parametrize("field", ["url", "icon"])
def test_C_05_urls_of_the_source_are_absolute(field: str) -> None:
    with pytest.raises(InvalidAnswer):
        Source(label="A", **{field: "/facts"})  # type: ignore[arg-type]


def test_C_07_a_coding_has_code_and_system() -> None:
    for code, system in (("", "https://e.example"), ("a", "")):
        with pytest.raises(InvalidAnswer):
            Coding(code=code, system=system)


def test_C_08_C_24_cards_carry_a_uuid_and_no_two_the_same(client: Client) -> None:
    assert _answered(client)["uuid"]
    with pytest.raises(InvalidAnswer):
        CdsResponse(cards=(_card(uuid="c"), _card(uuid="c")))


def test_C_10_suggestions_come_with_a_selection_behaviour() -> None:
    with pytest.raises(InvalidAnswer):
        _card(suggestions=(Suggestion(label="A"),))


def test_C_11_at_most_one_recommends_at_most_one() -> None:
    recommended = Suggestion(label="A", is_recommended=True)
    with pytest.raises(InvalidAnswer):
        _card(suggestions=(recommended, recommended), selection_behavior="at-most-one")


def test_C_12_each_override_reason_has_a_display(client: Client) -> None:
    assert _answered(client)["overrideReasons"][0]["display"] == "Intended"
    with pytest.raises(InvalidAnswer):
        OverrideReason(code="a", system="https://e.example", display="")


def test_C_13_no_guidance_is_200_with_no_cards(client: Client) -> None:
    assert client.post(CALL, request(STEADY)).content == b'{"cards":[]}'


def test_C_16_unknown_properties_of_a_card_stand_under_extension(client: Client) -> None:
    assert set(_answered(client)) <= {
        "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior",
        "overrideReasons", "links", "extension",
    }  # fmt: skip


def test_C_20_the_summary_is_one_line() -> None:
    with pytest.raises(InvalidAnswer):
        _card(summary="one\ntwo")


def test_S_01_a_suggestion_has_a_label() -> None:
    with pytest.raises(InvalidAnswer):
        Suggestion(label="")


@pytest.mark.parametrize("uuid", ["s-1", None], ids=["with", "without"])
def test_S_02_a_suggestion_may_have_a_uuid(uuid: str | None) -> None:
    card = _card(suggestions=(Suggestion(label="A", uuid=uuid),), selection_behavior="any")
    (suggestion,) = _sent(card)["suggestions"]
    assert suggestion.get("uuid") == uuid


def test_S_03_is_recommended_is_boolean() -> None:
    card = _card(suggestions=(Suggestion(label="A", is_recommended=True),), selection_behavior="any")
    assert _sent(card)["suggestions"][0]["isRecommended"] is True
    with pytest.raises(msgspec.ValidationError):
        decode_response(encode_response(CdsResponse(cards=(card,))).replace(b"true", b'"yes"'))


def test_S_10_an_answer_cannot_say_how_actions_are_to_be_selected() -> None:
    """No client has said that it knows actionSelectionBehavior, so no element of ours has it."""
    assert "action_selection_behavior" not in Suggestion.__struct_fields__


def test_S_04_an_empty_array_of_actions_never_leaves() -> None:
    card = _card(suggestions=(Suggestion(label="A"),), selection_behavior="any")
    (suggestion,) = strict_json(encode_response(CdsResponse(cards=(card,))))["cards"][0]["suggestions"]
    assert suggestion == {"label": "A"}


def test_S_05_S_07_S_09_an_action_has_its_type_and_what_goes_with_it() -> None:
    task: dict[str, object] = {"resourceType": "Task"}
    broken: list[dict[str, Any]] = [
        {"type": "replace", "resource": task},
        {"type": "create"},
        {"type": "update"},
        {"type": "delete"},
    ]
    for fields in broken:
        with pytest.raises(InvalidAnswer):
            Action(**fields)
    for reference in ("1", "Task/", "https://e.example/Task/1"):
        with pytest.raises(InvalidAnswer):
            Action(type="delete", resource_id=reference)
    assert Action(type="delete", resource_id="Task/1").resource_id == "Task/1"


def test_J_05_a_resource_is_an_object_and_no_text() -> None:
    action = Action(type="create", description="A", resource={"resourceType": "Task", "status": "requested"})
    card = _card(suggestions=(Suggestion(label="A", actions=(action,)),), selection_behavior="any")
    assert _sent(card)["suggestions"][0]["actions"][0]["resource"] == {"resourceType": "Task", "status": "requested"}
    body = encode_response(CdsResponse(cards=(card,)))
    with pytest.raises(msgspec.ValidationError):
        decode_response(body.replace(b'{"resourceType":"Task","status":"requested"}', b'"a task"'))


def test_S_06_actions_of_suggestions_have_a_description() -> None:
    with pytest.raises(InvalidAnswer):
        Suggestion(label="A", actions=(Action(type="delete", resource_id="Task/1"),))


def test_L_01_L_02_a_link_has_a_label_and_an_absolute_url() -> None:
    for label, url in (("", "https://e.example"), ("A", "/app"), ("A", "javascript:alert(1)")):
        with pytest.raises(InvalidAnswer):
            Link(label=label, url=url, type="absolute")


def test_L_03_L_04_a_link_is_absolute_or_smart_and_only_smart_has_an_app_context() -> None:
    with pytest.raises(InvalidAnswer):
        Link(label="A", url="https://e.example", type="other")  # type: ignore[arg-type]
    with pytest.raises(InvalidAnswer):
        Link(label="A", url="https://e.example", type="absolute", app_context="x")


def test_L_05_autolaunchable_is_boolean() -> None:
    card = _card(links=(Link(label="A", url="https://e.example", type="smart", autolaunchable=True),))
    assert _sent(card)["links"][0]["autolaunchable"] is True
    with pytest.raises(msgspec.ValidationError):
        decode_response(encode_response(CdsResponse(cards=(card,))).replace(b"true", b'"yes"'))


def test_Y_01_Y_02_system_actions_leave_only_when_there_are_some(client: Client) -> None:
    assert "systemActions" not in strict_json(client.post(CALL, request()).content)
    action = Action(type="delete", resource_id="Task/1")
    response = CdsResponse(cards=(), system_actions=(action,))
    document = strict_json(encode_response(response, system_actions_agreed=True))
    assert document == {"cards": [], "systemActions": [{"type": "delete", "resourceId": "Task/1"}]}


def test_Y_03_system_actions_leave_only_where_the_site_has_switched_them_on() -> None:
    action = Action(type="delete", resource_id="Task/1")
    with pytest.raises(InvalidAnswer, match="not switched them on"):
        encode_response(CdsResponse(cards=(), system_actions=(action,)))


@pytest.mark.parametrize("name", ["crd", "max-cards", ""])
def test_E_02_the_name_of_an_extension_is_globally_unique(name: str) -> None:
    assert _card(extension={"org.example.crd": 1}).extension
    for build in (_card, lambda **fields: CdsResponse(cards=(), **fields)):
        with pytest.raises(InvalidAnswer, match="globally unique"):
            build(extension={name: 1})


@pytest.mark.parametrize("value", [None, "", [], {}, float("nan"), float("inf")], ids=repr)
def test_E_01_J_02_J_03_J_06_an_extension_holds_strict_json_without_empty_values(value: object) -> None:
    with pytest.raises(InvalidAnswer):
        _card(extension={"org.example.x": {"deep": value}})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", CALL, b"{"),
        ("POST", UNKNOWN, b"{}"),
        ("GET", CALL, None),
        ("POST", CALL, b'{"hook":"patient-view"}'),
        ("POST", f"{CALL}/feedback", b"[]"),
        ("GET", "/cds-services/a/b", None),
    ],
)
def test_H_01_every_refusal_is_an_operation_outcome(client: Client, method: str, path: str, body: Any) -> None:
    refused(client.send(method, path, body))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/cds-services", b"{}", 405),
        ("GET", "/cds-services/a/b", None, 404),
        ("POST", UNKNOWN, b"{}", 404),
        ("POST", CALL, request(prefetch={}), 412),
    ],
)
def test_D_15_C_14_each_refusal_has_the_status_that_says_why(
    client: Client, method: str, path: str, body: Any, status: int
) -> None:
    refused(client.send(method, path, body), status)


def test_H_02_a_fault_is_a_500_that_tells_nothing_and_shows_no_cards() -> None:
    class Broken(WeightCheck):
        async def call(self, *_: object) -> bytes:
            raise RuntimeError("CANARY Mrs Smith in /srv/app.py")

    response = Client(weight_app(Broken())).post(CALL, request())
    issue = failed(response, 500)
    assert (issue["severity"], issue["code"]) == ("fatal", "exception")
    assert "CANARY" not in response.text
    assert "cards" not in response.json()


def test_H_03_the_server_is_unchanged_after_bad_requests(client: Client) -> None:
    before = (client.send("GET", "/cds-services").content, client.post(CALL, request()).content)
    for body in (b"{", b"[" * 50_000, b'{"hook":"\\ud800"}', b""):
        refused(client.post(CALL, body), 400)
    assert (client.send("GET", "/cds-services").content, client.post(CALL, request()).content) == before


def test_Z_01_the_same_service_under_another_hook_may_answer_differently(client: Client) -> None:
    context = {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"}
    assert cards(client.post(CALL, request(STEADY))).cards == ()
    assert cards(client.post(CALL, request(hook="encounter-start", context=context))).cards
