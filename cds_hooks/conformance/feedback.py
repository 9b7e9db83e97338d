"""B: the feedback endpoint. What is sent is about cards that the check itself was shown, or about none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_hooks.conformance.exchange import Answer, Ask, Fault, post
from cds_hooks.conformance.expectation import NOT_FOUND, TOO_MANY
from cds_hooks.conformance.finding import Finding, met, not_applicable, not_met, unseen
from cds_hooks.conformance.probes import Target
from cds_hooks.conformance.samples import Json, without

UNKNOWN_CARD = "00000000-0000-4000-8000-c0f0a3000000"
_WITH_SUGGESTION = frozenset({"B-02", "B-05"})
_TIMESTAMP = "2026-01-15T10:11:12Z"
_LONG_COMMENT = "👩‍⚕️ ü" * 10_000
IDS = tuple(f"B-{number:02d}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16))
_SUCCESS, _REFUSALS, _FAULTS = range(200, 300), range(400, 500), range(500, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A card and a suggestion that feedback can name; `known`: whether the server showed them to the check."""

    card: str = UNKNOWN_CARD
    suggestion: str = UNKNOWN_CARD
    known: bool = False


def shown_in(document: Any) -> Shown:
    """The first card with a uuid in an answer."""
    cards = document.get("cards") if isinstance(document, dict) else None
    for card in cards if isinstance(cards, list) else ():
        if isinstance(card, dict) and isinstance(card.get("uuid"), str):
            suggestions = card.get("suggestions")
            uuids = [each.get("uuid") for each in suggestions or () if isinstance(each, dict)]
            named = next((uuid for uuid in uuids if isinstance(uuid, str)), UNKNOWN_CARD)
            return Shown(card=card["uuid"], suggestion=named, known=True)
    return Shown()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackProbe:
    """One ask, the requirement it looks at, and whether it is to be taken (True), refused (False) or survived."""

    id: str
    ask: Ask
    taken: bool | None


def exists_probe(target: Target, shown: Shown) -> Ask:
    """The plainest feedback: overridden, without a reason."""
    return _post(target, "overridden without a reason", _body(_overridden(shown)))


def feedback_probes(target: Target, shown: Shown) -> Iterator[FeedbackProbe]:
    """Every probe of the endpoint of one service."""
    for requirement_id, name, body in _valid(shown):
        yield FeedbackProbe(id=requirement_id, ask=_post(target, name, body), taken=True)
    for requirement_id, name, body in _broken(shown):
        yield FeedbackProbe(id=requirement_id, ask=_post(target, name, body), taken=False)
    unknown = _body({**_overridden(shown), "card": UNKNOWN_CARD})
    yield FeedbackProbe(id="B-06", ask=_post(target, "an unknown card", unknown), taken=None)
    long = _body({**_overridden(shown), "overrideReason": {"userComment": _LONG_COMMENT}})
    yield FeedbackProbe(id="B-16", ask=_post(target, "a very long comment", long), taken=None)


def _valid(shown: Shown) -> Iterator[tuple[str, str, object]]:
    reason = {"code": "conform", "system": "https://example.org/reasons"}
    comment = {"reason": reason, "userComment": "synthetic"}
    overridden = _overridden(shown)
    yield "B-02", "accepted", _body(_accepted(shown))
    yield "B-03", "overridden", _body(overridden)
    yield "B-04", "overridden with a reason", _body({**overridden, "overrideReason": comment})
    yield "B-05", "two entries, the same card again", _body(overridden, _accepted(shown))
    yield "B-11", "a comment alone", _body({**overridden, "overrideReason": {"userComment": "synthetic"}})


def _broken(shown: Shown) -> Iterator[tuple[str, str, object]]:
    overridden, accepted = _overridden(shown), _accepted(shown)
    for outcome in ("ignored", "", None):
        yield "B-07", f"the outcome {outcome!r}", _body({**overridden, "outcome": outcome})
    yield "B-08", "accepted without suggestions", _body(without(accepted, "acceptedSuggestions"))
    yield "B-08", "accepted with no suggestion", _body({**accepted, "acceptedSuggestions": []})
    for name in ("card", "outcome", "outcomeTimestamp"):
        yield "B-09", f"no {name}", _body(without(overridden, name))
    for timestamp in ("yesterday", "2026-01-15", 7):
        yield "B-10", f"the time {timestamp!r}", _body({**overridden, "outcomeTimestamp": timestamp})
    bodies = {
        "half an object": b"{",
        "an array": b"[]",
        "an empty object": b"{}",
        "an empty body": b"",
        "a byte": b"\xff",
    }
    for name, body in bodies.items():
        yield "B-13", name, body


def is_missing(answer: Answer) -> bool:
    """Whether nobody listens for feedback."""
    return answer.status in {NOT_FOUND, 405, 501}


def exists_findings(answer: Answer) -> Iterator[Finding]:
    """B-01; and, where nobody listens, that the others do not apply."""
    name = f"{answer.ask.name}: {answer.described}"
    if is_missing(answer):
        yield from (not_applicable(each, "no feedback endpoint") for each in IDS)
    elif answer.fault is Fault.OVER:
        yield unseen("B-01", name)
    elif answer.status is None or answer.status in _FAULTS:
        yield not_met("B-01", name)
    else:
        yield met("B-01", name)


def feedback_finding(probe: FeedbackProbe, answer: Answer, shown: Shown) -> Finding:
    """What one answer says."""
    name = f"{answer.ask.name}: {answer.described}"
    if answer.fault is Fault.OVER or answer.status == TOO_MANY:
        return unseen(probe.id, name)
    if answer.status is None or answer.status in _FAULTS:
        return not_met(probe.id, name)
    if probe.taken is None:
        return met(probe.id, name)
    names_nothing = not shown.known or (probe.id in _WITH_SUGGESTION and shown.suggestion == UNKNOWN_CARD)
    if probe.taken and names_nothing and answer.status in _REFUSALS:
        return unseen(probe.id, f"{name}; no card or suggestion was shown that feedback could name")
    if probe.taken:
        return (met if answer.status in _SUCCESS else not_met)(probe.id, name)
    return (met if answer.status in _REFUSALS else not_met)(probe.id, name)


def _overridden(shown: Shown) -> Json:
    return {"card": shown.card, "outcome": "overridden", "outcomeTimestamp": _TIMESTAMP}


def _accepted(shown: Shown) -> Json:
    return {**_overridden(shown), "outcome": "accepted", "acceptedSuggestions": [{"id": shown.suggestion}]}


def _body(*entries: Mapping[str, object]) -> Json:
    return {"feedback": list(entries)}


def _post(target: Target, name: str, document: object) -> Ask:
    return post(f"{target.service.where}, feedback: {name}", f"{target.path}/feedback", document)
