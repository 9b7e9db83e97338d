"""C, S, L, Y and E: what an answer holds, rule by rule.

The rules are written a second time, apart from the types of cds_hooks.response, because each breach must be named by
its id; a test holds the two to each other.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from cds_hooks.conformance.exchange import plain
from cds_hooks.conformance.finding import Finding, judged, met, not_met
from cds_hooks.conformance.samples import mentions
from cds_hooks.conformance.suggestions import action_findings, suggestion_findings
from cds_hooks.response import SUMMARY_LIMIT

_CARD = frozenset(
    {
        "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons",
        "links", "extension",
    }
)  # fmt: skip
_HTML = re.compile(r"<(?!https?:|mailto:)[a-zA-Z/!][^>]*>")  # an address in <> is Markdown
# What a program prints where a number or a name was missing.
_LEAKED = re.compile(
    r"\b(nan|NaN|Infinity)\b|[-+]inf\b|[=(](None|undefined)\b|\b(None|undefined)%|np\.float\d*\(|array\("
    r"|\{\{|\}\}|\$\{|%\(\w+\)s"
)


def response_findings(document: object, *, patient_ids: frozenset[str], where: str) -> Iterator[Finding]:
    """What one 200 says of the rules on responses. `patient_ids`: of the request, to be found in no source."""
    if not isinstance(document, dict) or not isinstance(document.get("cards"), list):
        yield not_met("C-01", f"{where}: expected an object with the array cards")
        return
    cards = document["cards"]
    whole = all(isinstance(card, dict) for card in cards)
    yield judged("C-01", holds=whole, seen="an object with cards", complaint=f"{where}: expected objects in cards")
    if not cards:
        yield met("C-13", "200 with cards: []")
    yield from _system_actions(document, where)
    yield from extension_findings(document, where)
    for position, card in enumerate(cards):
        if isinstance(card, dict):
            yield from _card_findings(card, patient_ids, f"{where}, cards[{position}]")
    yield from _distinct(cards, where)


def _system_actions(document: Mapping[str, Any], where: str) -> Iterator[Finding]:
    present = "systemActions" in document
    yield judged(
        "Y-02", holds=not present, seen="none unasked", complaint=f"{where}: systemActions that nobody asked for"
    )
    if present:
        actions = document["systemActions"]
        holds = isinstance(actions, list) and bool(actions)
        yield judged("Y-01", holds=holds, seen="an array", complaint=f"{where}.systemActions: expected a filled array")
        for position, action in enumerate(actions if isinstance(actions, list) else ()):
            yield from action_findings(action, f"{where}.systemActions[{position}]", described=False)


def _card_findings(card: Mapping[str, Any], patient_ids: frozenset[str], where: str) -> Iterator[Finding]:
    yield from _words(card, where)
    indicator = card.get("indicator")
    yield judged(
        "C-03",
        holds=indicator in ("info", "warning", "critical"),
        seen="info, warning or critical",
        complaint=f"{where}.indicator: got {plain(repr(indicator))}",
    )
    yield from _source(card.get("source"), patient_ids, f"{where}.source")
    if "uuid" in card:
        yield judged("C-08", holds=_is_text(card["uuid"]), seen="text", complaint=f"{where}.uuid: expected text")
    yield judged("C-24", holds="uuid" in card, seen="with uuid", complaint=f"{where}: no uuid, so no feedback")
    yield from suggestion_findings(card, where)
    yield from _reasons(card, where)
    yield from _links(card, where)
    unknown = [plain(name, limit=40) for name in card if name not in _CARD]
    complaint = f"{where}: {', '.join(unknown[:5])} outside extension"
    yield judged("C-16", holds=not unknown, seen="nothing unknown outside extension", complaint=complaint)
    yield from extension_findings(card, where)


def _words(card: Mapping[str, Any], where: str) -> Iterator[Finding]:
    summary, detail = card.get("summary"), card.get("detail")
    text = summary if isinstance(summary, str) else ""
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    complaint = f"{where}.summary: expected text of fewer than {SUMMARY_LIMIT} characters"
    yield judged("C-02", holds=bool(text.strip()) and units < SUMMARY_LIMIT, seen="short enough", complaint=complaint)
    if "detail" in card:
        yield judged("C-09", holds=_is_text(detail), seen="text", complaint=f"{where}.detail: expected Markdown")
    markup = _HTML.search(detail) if isinstance(detail, str) else None
    one_line = len(text.splitlines()) <= 1
    complaint = f"{where}: " + ("a summary of several lines" if not one_line else "HTML in detail")
    yield judged("C-20", holds=one_line and markup is None, seen="one line, no HTML", complaint=complaint)
    leaked = _LEAKED.search(f"{text}\n{detail if isinstance(detail, str) else ''}")
    complaint = f"{where}: shows {plain(leaked[0])}" if leaked else ""
    yield judged("C-22", holds=leaked is None, seen="no nan, None or placeholder", complaint=complaint)


def _source(source: object, patient_ids: frozenset[str], where: str) -> Iterator[Finding]:
    fields = source if isinstance(source, dict) else {}
    yield judged("C-04", holds=_is_text(fields.get("label")), seen="with label", complaint=f"{where}: expected a label")
    for name in ("url", "icon"):
        if name in fields:
            holds = is_absolute_url(fields[name])
            complaint = f"{where}.{name}: expected an absolute URL, got {plain(repr(fields[name]))}"
            yield judged("C-05", holds=holds, seen="absolute", complaint=complaint)
    if "url" in fields:
        names_patient = any(mentions(str(fields["url"]), each) for each in patient_ids)
        for requirement_id in ("C-15", "C-23"):
            complaint = f"{where}.url names the patient"
            yield judged(requirement_id, holds=not names_patient, seen="no patient in it", complaint=complaint)
    if "topic" in fields:
        yield _coding(fields["topic"], f"{where}.topic")


def _reasons(card: Mapping[str, Any], where: str) -> Iterator[Finding]:
    reasons = card.get("overrideReasons", [])
    if not isinstance(reasons, list):
        yield not_met("C-12", f"{where}.overrideReasons: expected an array")
        return
    for position, reason in enumerate(reasons):
        place = f"{where}.overrideReasons[{position}]"
        display = reason.get("display") if isinstance(reason, dict) else None
        yield judged("C-12", holds=_is_text(display), seen="with display", complaint=f"{place}: expected a display")
        yield _coding(reason, place)


def _coding(coding: object, where: str) -> Finding:
    holds = isinstance(coding, dict) and _is_text(coding.get("code")) and _is_text(coding.get("system"))
    return judged("C-07", holds=holds, seen="code and system", complaint=f"{where}: expected code and system")


def _links(card: Mapping[str, Any], where: str) -> Iterator[Finding]:
    links = card.get("links", [])
    if not isinstance(links, list):
        yield not_met("L-01", f"{where}.links: expected an array")
        return
    for position, each in enumerate(links):
        place, link = f"{where}.links[{position}]", each if isinstance(each, dict) else {}
        kind, url = link.get("type"), link.get("url")
        yield judged(
            "L-01", holds=_is_text(link.get("label")), seen="with label", complaint=f"{place}: expected a label"
        )
        complaint = f"{place}.url: expected an absolute URL, got {plain(repr(url))}"
        yield judged("L-02", holds=is_absolute_url(url), seen="absolute", complaint=complaint)
        complaint = f"{place}.type: expected absolute or smart, got {plain(repr(kind))}"
        yield judged("L-03", holds=kind in ("absolute", "smart"), seen="absolute or smart", complaint=complaint)
        holds = "appContext" not in link or (kind == "smart" and isinstance(link["appContext"], str))
        complaint = f"{place}: appContext on a link that is not smart"
        yield judged("L-04", holds=holds, seen="appContext on smart links only", complaint=complaint)
        if "autolaunchable" in link:
            holds = isinstance(link["autolaunchable"], bool)
            yield judged("L-05", holds=holds, seen="boolean", complaint=f"{place}.autolaunchable: expected a boolean")


def _distinct(cards: list[Any], where: str) -> Iterator[Finding]:
    uuids = [str(card["uuid"]) for card in cards if isinstance(card, dict) and "uuid" in card]
    if len(set(uuids)) < len(uuids):
        yield not_met("C-08", f"{where}: two cards with one uuid")


def extension_findings(element: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """E-01 and E-02 for an element that may have an extension."""
    if "extension" not in element:
        return
    extension = element["extension"]
    holds = isinstance(extension, dict)
    yield judged("E-01", holds=holds, seen="an object", complaint=f"{where}.extension: expected an object")
    if isinstance(extension, dict):
        local = [plain(name, limit=40) for name in extension if "." not in name and ":" not in name]
        complaint = f"{where}.extension: expected names such as org.example.name, got {', '.join(local[:3])}"
        yield judged("E-02", holds=not local, seen="globally unique names", complaint=complaint)


def is_absolute_url(value: object) -> bool:
    """Whether it is an http(s) URL with a host and no space."""
    if not isinstance(value, str) or any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
