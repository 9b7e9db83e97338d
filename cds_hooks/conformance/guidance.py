"""R-24 to R-26, C-21, X-25 and H-03: what several answers of one service say together."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, TypeAlias

import msgspec

from cds_hooks.conformance.discovery import TAKEN_ONCE, UNAUTHORIZED
from cds_hooks.conformance.exchange import Answer, Ask, Fault
from cds_hooks.conformance.expectation import FAULT, OK, PRECONDITION_FAILED, TOO_MANY
from cds_hooks.conformance.finding import Finding, judged, met, not_met, unseen
from cds_hooks.conformance.probes import Target, other_patient, patient_key
from cds_hooks.conformance.samples import (
    OTHER_PATIENT,
    Json,
    mentions,
    observation,
    patient,
    replaced,
    resource_type_of,
    searchset,
)

IDS = ("R-24", "R-25", "R-26", "R-31", "C-21", "X-25")
PROMPT_SECONDS = 0.5  # Providing FHIR Resources: on the order of 500 ms
MANY_SECONDS = 10.0  # for thousands of prefetched entries
PARALLEL = 12
REPEATED = 3
MARKUP = "<img src=x onerror=conform>"

Guidance: TypeAlias = tuple[tuple[str, str], ...]


def guidance(answer: Answer) -> Guidance | None:
    """What the cards say: summary and indicator of each; None if the answer is no 200 with cards."""
    document = answer.document
    cards = document.get("cards") if answer.status == OK and isinstance(document, dict) else None
    if not isinstance(cards, list):
        return None
    fields = [card if isinstance(card, dict) else {} for card in cards]
    return tuple((str(card.get("summary")), str(card.get("indicator"))) for card in fields)


def spent(answers: Iterable[Answer]) -> bool:
    """Whether the check was over before all of them had come."""
    return any(answer.fault is Fault.OVER for answer in answers)


def ordinary_finding(answer: Answer, complaint: str) -> Finding:
    """R-01 from the answer to the valid request."""
    name = f"{answer.ask.name}: {answer.described}"
    if guidance(answer) is not None:
        return met("R-01", name)
    if answer.fault is Fault.OVER:
        return unseen("R-01", name)
    if answer.status == TOO_MANY:
        return unseen("R-01", f"{name}: the server limits the rate of calls")
    if answer.status == PRECONDITION_FAILED:
        return unseen("R-01", f"{name}: it needs data that the synthetic request has not; --request names a better one")
    return not_met("R-01", f"{name}{complaint}; expected 200 with cards")


def repeated_findings(ordinary: Answer, again: Sequence[Answer], where: str) -> Iterator[Finding]:
    """R-24 and R-25 from the same request sent several times, and R-31: every service gets the same hookInstance."""
    answers = [ordinary, *again]
    if spent(answers):
        yield from (unseen(each, str(Fault.OVER)) for each in ("R-24", "R-25", "R-31"))
        return
    if ordinary.status != OK:
        yield from (unseen(each, f"{where}: {ordinary.described}") for each in ("R-24", "R-25", "R-31"))
        return
    typical = median(answer.seconds for answer in answers)
    said = f"{where}: {1000 * typical:.0f} ms in the middle of {len(answers)} calls, the network's time included"
    yield judged("R-24", holds=typical <= PROMPT_SECONDS, seen=said, complaint=said)
    same = len({guidance(answer) for answer in answers}) == 1
    complaint = f"{where}: {len(answers)} times the same request, different cards"
    yield judged("R-25", holds=same, seen=f"{len(answers)} times the same cards", complaint=complaint)
    yield met("R-31", "the same hookInstance at every service")


def parallel_asks(target: Target) -> tuple[Ask, ...]:
    """The ordinary request of two patients in turn, to be sent at once."""
    return tuple(
        target.sent(f"parallel call {number} of patient {'ab'[number % 2]}", _of_patient(target, number % 2))
        for number in range(PARALLEL)
    )


def _of_patient(target: Target, number: int) -> Json:
    if number == 0:
        return target.request
    request = replaced(target.request, ("context", "patientId"), OTHER_PATIENT)
    key = patient_key(target)
    return request if key is None else replaced(request, ("prefetch", key), patient(OTHER_PATIENT))


def parallel_finding(ordinary: Answer, answers: Sequence[Answer], where: str, patient_id: str) -> Finding:
    """R-26: each answer is its own patient's."""
    if ordinary.status != OK or spent(answers):
        return unseen("R-26", f"{where}: {Fault.OVER if spent(answers) else ordinary.described}")
    if any(answer.status == TOO_MANY for answer in answers):
        return unseen("R-26", f"{where}: the server limits the rate of calls")
    complaint = _mixed_up(ordinary, answers, patient_id)
    if complaint is not None:
        return not_met("R-26", f"{where}: {complaint}")
    return met("R-26", f"{PARALLEL} at once, each with its own guidance")


def _mixed_up(ordinary: Answer, answers: Sequence[Answer], patient_id: str) -> str | None:
    first, second = answers[::2], answers[1::2]
    for answer in answers:
        if answer.status is None or answer.status >= FAULT:
            return f"{answer.ask.name}: {answer.described}"
    if any(guidance(answer) != guidance(ordinary) for answer in first):
        return "other guidance at once than alone"
    if len({guidance(answer) for answer in second}) > 1:
        return "calls of one patient at once got different guidance"
    strangers = [mentions(_text(answer), OTHER_PATIENT) for answer in first]
    strangers += [mentions(_text(answer), patient_id) for answer in second]
    return "an answer names the other patient" if any(strangers) else None


def _text(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace")


def markup_ask(target: Target) -> Ask | None:
    """The ordinary request with markup in the names and texts of the prefetched record (C-21)."""
    changed: Json = {}
    for key, template in target.service.templates.items():
        resource_type, is_search = resource_type_of(template)
        if resource_type == "Patient" and not is_search:
            name = [{"family": MARKUP, "given": [MARKUP], "text": MARKUP}]
            patient_id = str(target.request["context"].get("patientId", ""))
            changed[key] = patient(patient_id, name=name)
        elif resource_type == "Observation" and is_search:
            code = {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": MARKUP}], "text": MARKUP}
            quantity = {"value": 80, "unit": MARKUP}
            changed[key] = searchset(observation(code=code, valueQuantity=quantity, note=[{"text": MARKUP}]))
    if not changed:
        return None
    prefetch: Any = target.request.get("prefetch", {})
    return target.changed("markup in the record", "prefetch", to={**prefetch, **changed})


def markup_finding(answer: Answer) -> Finding:
    """C-21: no markup of the record in a detail."""
    if guidance(answer) is None:
        return unseen("C-21", f"{answer.ask.name}: {answer.described}")
    details = [str(card.get("detail", "")) for card in answer.document["cards"] if isinstance(card, dict)]
    raw = any("<img" in detail for detail in details)
    return judged("C-21", holds=not raw, seen="none of it unescaped", complaint=f"{answer.ask.name}: shown as it came")


def mixed_up_ask(target: Target) -> Ask | None:
    """The ordinary request with another patient's Patient; None if no template asks for one."""
    key = patient_key(target)
    return None if key is None else other_patient(target, key)


def mixed_up_finding(ordinary: Answer, answer: Answer) -> Finding:
    """X-25: another patient's data give no ordinary card."""
    name = f"{answer.ask.name}: {answer.described}"
    if answer.status is None or ordinary.status != OK:
        return unseen("X-25", name)
    if guidance(answer) and guidance(answer) == guidance(ordinary):
        return not_met("X-25", f"{name} with the same cards as with the right patient")
    return met("X-25", name)


def end_finding(before: Sequence[Answer], after: Sequence[Answer]) -> Finding:
    """H-03: discovery and the ordinary request at the end as at the beginning."""
    if spent([*before, *after]):
        return unseen("H-03", str(Fault.OVER))
    for first, last in zip(before, after, strict=True):
        if last.status in UNAUTHORIZED and last.status != first.status:
            return unseen("H-03", TAKEN_ONCE)
        same = first.status == last.status and guidance(first) == guidance(last)
        if first.ask.method == "GET":
            same = same and first.body == last.body
        if not same:
            return not_met(
                "H-03", f"{last.ask.name}: {last.described} at the end, {first.described} before, or changed"
            )
    return met("H-03", "alive and unchanged")


def crowded_complaint(answer: Answer) -> str | None:
    """What is wrong with the time that thousands of entries took, if anything."""
    return f"{answer.ask.name}: {answer.seconds:.1f} s" if answer.seconds > MANY_SECONDS else None


class _Example(msgspec.Struct, frozen=True):
    hook: str
    context: dict[str, Any]
    prefetch: dict[str, Any] = {}


def example_request(body: bytes) -> Json:
    """A request of the user's own, synthetic too. Raises msgspec.DecodeError or RecursionError if it is none."""
    msgspec.json.decode(body, type=_Example)
    document: Json = msgspec.json.decode(body)
    return document
