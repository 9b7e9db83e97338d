"""S: suggestions of a card, and the actions in them and outside."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cds_hooks.conformance.exchange import plain
from cds_hooks.conformance.finding import Finding, judged, met, not_met

_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")


def suggestion_findings(card: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """What a card's suggestions say of C-10, C-11 and S-01 to S-10."""
    suggestions, behavior = card.get("suggestions", []), card.get("selectionBehavior")
    if not isinstance(suggestions, list):
        yield not_met("S-01", f"{where}.suggestions: expected an array")
        return
    if suggestions or "selectionBehavior" in card:
        complaint = f"{where}.selectionBehavior: expected at-most-one or any with suggestions, and only with them"
        holds = bool(suggestions) and behavior in ("at-most-one", "any")
        yield judged("C-10", holds=holds, seen="with suggestions", complaint=complaint)
    items = [each if isinstance(each, dict) else {} for each in suggestions]
    if behavior == "at-most-one":
        recommended = sum(each.get("isRecommended") is True for each in items)
        complaint = f"{where}.suggestions: {recommended} are recommended"
        yield judged("C-11", holds=recommended <= 1, seen="at most one recommended", complaint=complaint)
    for position, each in enumerate(items):
        yield from _suggestion(each, f"{where}.suggestions[{position}]")
    uuids = [str(each["uuid"]) for each in items if "uuid" in each]
    if len(set(uuids)) < len(uuids):
        yield not_met("S-02", f"{where}: two suggestions with one uuid")


def _suggestion(suggestion: Mapping[str, Any], where: str) -> Iterator[Finding]:
    yield _text("S-01", suggestion.get("label"), f"{where}.label")
    if "uuid" in suggestion:
        yield _text("S-02", suggestion["uuid"], f"{where}.uuid")
    if "isRecommended" in suggestion:
        holds = isinstance(suggestion["isRecommended"], bool)
        yield judged("S-03", holds=holds, seen="boolean", complaint=f"{where}.isRecommended: expected a boolean")
    complaint = f"{where}: actionSelectionBehavior though the client has not said that it knows it"
    yield judged("S-10", holds="actionSelectionBehavior" not in suggestion, seen="not used", complaint=complaint)
    if "actions" not in suggestion:
        return
    actions = suggestion["actions"]
    holds = isinstance(actions, list) and bool(actions)
    yield judged("S-04", holds=holds, seen="a filled array", complaint=f"{where}.actions: expected a filled array")
    for position, action in enumerate(actions if isinstance(actions, list) else ()):
        yield from action_findings(action, f"{where}.actions[{position}]", described=True)


def action_findings(action: object, where: str, *, described: bool) -> Iterator[Finding]:
    """What one action says of J-05 and S-05 to S-09. `described`: whether it must have a description."""
    fields: Mapping[str, Any] = action if isinstance(action, dict) else {}
    kind, resource = fields.get("type"), fields.get("resource")
    complaint = f"{where}.type: expected create, update or delete, got {plain(repr(kind))}"
    yield judged("S-05", holds=kind in ("create", "update", "delete"), seen="of the list", complaint=complaint)
    if described or "description" in fields:
        yield _text("S-06", fields.get("description"), f"{where}.description")
    if "resource" in fields and not (kind == "delete" and isinstance(resource, str)):
        holds = isinstance(resource, dict) and _is_text(resource.get("resourceType"))
        complaint = f"{where}.resource: expected a FHIR resource as a JSON object"
        yield judged("J-05", holds=holds, seen="resources as objects", complaint=complaint)
    if kind in ("create", "update"):
        complaint = f"{where}.resource: expected the whole resource"
        yield judged("S-07", holds=isinstance(resource, dict), seen="whole resources", complaint=complaint)
    elif kind == "delete":
        resource_id = fields.get("resourceId")
        if isinstance(resource_id, str) and _REFERENCE.fullmatch(resource_id) and "resource" not in fields:
            yield met("S-09", "Type/id")
        else:
            yield not_met("S-09", f"{where}.resourceId: expected Type/id, and no resource")


def _text(requirement_id: str, value: object, where: str) -> Finding:
    return judged(requirement_id, holds=_is_text(value), seen="text", complaint=f"{where}: expected text")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
