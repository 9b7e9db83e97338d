"""J and H: how the server behaves over all answers, whatever was asked."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from cds_hooks.conformance.exchange import Answer, Fault, plain
from cds_hooks.conformance.finding import Finding, judged, met, not_met, unseen
from cds_hooks.conformance.samples import JWT, TOKEN

_JSON_TYPES = frozenset({"application/json", "application/fhir+json"})
# What interpreters and servers print of themselves.
_INNARDS = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"]+\", line \d+|\bat [\w$.]+\([\w$]+\.java:\d+\)|\.java:\d+\)"
    r"|node_modules|\bat .+ \(.+\.[jt]s:\d+:\d+\)|\bat [\w.]+\(.*\) in .+:line \d+|goroutine \d+ \["
    r"|(?<![\w/])/(usr|home|srv|opt|root|var|site-packages)/[\w.-]+/|[A-Z]:\\\\?[A-Za-z]+\\"
)
_MOST_NAMED = 3
SUCCESS, FAILURES, FAULTS = range(200, 300), range(400, 600), range(500, 600)
EMPTY_ALLOWED = frozenset({"$.services", "$.cards"})


def conduct_findings(answers: Iterable[Answer], issued: Iterable[str] = ()) -> Iterator[Finding]:
    """What all answers together say of H-01, H-02, H-06, X-22 and J-01 to J-06. `issued`: tokens that were sent."""
    seen = [answer for answer in answers if answer.fault is not Fault.OVER]
    answered = [answer for answer in seen if answer.status is not None]
    if not answered:
        yield from (unseen(each, "no answer came") for each in ("H-01", "H-02", "H-06", "X-22", "J-01"))
        return
    faults = [answer for answer in seen if answer.status is None or answer.status in FAULTS]
    named = [f"{answer.ask.name}: {answer.described}" for answer in faults if answer.fault is not Fault.CLOSED]
    yield _all("H-06", named, f"no 5xx in {len(answered)} answers")
    failures = [answer for answer in answered if answer.status in FAILURES and answer.ask.method != "HEAD"]
    if failures:
        named = [f"{answer.ask.name}: {_instead(answer)}" for answer in failures if not is_outcome(answer)]
        yield _all("H-01", named, f"an OperationOutcome in {len(failures)} refusals")
    else:
        yield unseen("H-01", "nothing was refused")
    named = [f"{answer.ask.name}: {plain(found[0])}" for answer in answered if (found := _innards(answer))]
    yield _all("H-02", named, f"nothing of the server's inside in {len(answered)} answers")
    canaries = (TOKEN, JWT, *issued)
    named = [answer.ask.name for answer in answered if any(each in _everything(answer) for each in canaries)]
    yield _all("X-22", named, f"no token in {len(answered)} answers")
    for answer in answered:
        yield from _json_findings(answer)


def _all(requirement_id: str, complaints: list[str], seen: str) -> Finding:
    shown = "; ".join(complaints[:_MOST_NAMED])
    more = f" and {len(complaints) - _MOST_NAMED} more" if len(complaints) > _MOST_NAMED else ""
    return judged(requirement_id, holds=not complaints, seen=seen, complaint=shown + more)


def is_outcome(answer: Answer) -> bool:
    """Whether the body is an OperationOutcome with an issue, declared as JSON."""
    document = answer.document
    if answer.media_type not in _JSON_TYPES or not isinstance(document, dict):
        return False
    issues = document.get("issue")
    return document.get("resourceType") == "OperationOutcome" and isinstance(issues, list) and bool(issues)


def _instead(answer: Answer) -> str:
    noun = "HTML" if answer.media_type == "text/html" else answer.media_type or "a body without a media type"
    return f"status {answer.status} with {plain(noun, limit=40) if answer.body else 'an empty body'}"


def _innards(answer: Answer) -> re.Match[str] | None:
    return None if answer.status in SUCCESS else _INNARDS.search(_everything(answer))


def _everything(answer: Answer) -> str:
    headers = "\n".join(answer.headers.values())
    return f"{headers}\n{answer.body.decode('utf-8', 'replace')}"


def _json_findings(answer: Answer) -> Iterator[Finding]:
    """J-01 to J-06, for what should be JSON: every 2xx of discovery and calls, and every outcome."""
    is_feedback = answer.ask.path.endswith("/feedback")
    if answer.status not in SUCCESS or answer.ask.method in {"OPTIONS", "HEAD"} or (is_feedback and not answer.body):
        return
    name = answer.ask.name
    holds = answer.media_type == "application/json"
    complaint = f"{name}: Content-Type {plain(answer.media_type or '(none)')}"
    if not is_feedback:
        yield judged("J-01", holds=holds, seen="application/json in UTF-8", complaint=complaint)
    elif not holds:
        return
    try:
        document = strict_json(answer.body)
    except UnicodeDecodeError:
        yield not_met("J-01", f"{name}: not UTF-8")
        return
    except (ValueError, RecursionError) as error:
        requirement_id = "J-06" if "constant" in str(error) else "J-01"
        yield not_met(requirement_id, f"{name}: no strict JSON: {plain(str(error), limit=60)}")
        return
    yield met("J-06", "strict JSON")
    nulls, empties = list(_places(document, (None,))), list(_places(document, ("", [], {})))
    complaint = f"{name}: null at {', '.join(nulls[:_MOST_NAMED])}"
    yield judged("J-02", holds=not nulls, seen="no null", complaint=complaint)
    complaint = f"{name}: empty at {', '.join(empties[:_MOST_NAMED])}"
    yield judged("J-03", holds=not empties, seen="nothing empty", complaint=complaint)
    complaint = f"{name}: without a value: {', '.join((nulls + empties)[:_MOST_NAMED])}"
    yield judged("J-04", holds=not nulls and not empties, seen="left out where there is no value", complaint=complaint)


def strict_json(body: bytes) -> Any:
    """Read JSON as RFC 8259 has it. Raises ValueError (UnicodeDecodeError among them) or RecursionError."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"the constant {constant}")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def _places(value: object, unwanted: tuple[object, ...], path: str = "$") -> Iterator[str]:
    """Paths to unwanted values. FHIR resources are not looked into: their arrays may be padded with null."""
    if any(value == each and type(value) is type(each) for each in unwanted):
        if value != [] or path not in EMPTY_ALLOWED:
            yield path
    elif isinstance(value, dict) and "resourceType" not in value:
        for key, child in value.items():
            yield from _places(child, unwanted, f"{path}.{plain(key, limit=40)}")
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _places(child, unwanted, f"{path}[{position}]")
