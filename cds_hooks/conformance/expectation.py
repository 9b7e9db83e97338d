"""What a probe expects of its answer, and what the answer then says of a requirement."""

from collections.abc import Container, Mapping
from enum import Enum

from cds_hooks.conformance.conduct import is_outcome
from cds_hooks.conformance.exchange import Answer, Fault, plain
from cds_hooks.conformance.finding import Finding, met, not_met, unseen

OK, BAD_REQUEST, NOT_FOUND, METHOD_NOT_ALLOWED, PRECONDITION_FAILED, TOO_MANY, FAULT = 200, 400, 404, 405, 412, 429, 500


class Expect(Enum):
    """How a server may answer a probe."""

    REFUSED = "4xx"
    SURVIVED = "anything but 5xx"
    NOT_FOUND = "404"
    NO_METHOD = "405 or 404"
    LIKE_THE_ORDINARY = "as the ordinary request"
    ANSWERED_OR_LACKING = "200 or 412"
    SMALL_ONLY = "413"


_ALLOWED: Mapping[Expect, Container[int]] = {
    Expect.REFUSED: range(BAD_REQUEST, FAULT),
    Expect.NOT_FOUND: (NOT_FOUND,),
    Expect.NO_METHOD: (METHOD_NOT_ALLOWED, NOT_FOUND),
    Expect.ANSWERED_OR_LACKING: (OK, PRECONDITION_FAILED),
}


def verdict_of(requirement_id: str, expect: Expect, answer: Answer, ordinary: Answer) -> Finding:
    """What an answer says. `ordinary`: the answer to the valid request of the same service."""
    name = f"{answer.ask.name}: {answer.described}"
    if answer.status is None or answer.status == TOO_MANY or answer.status >= FAULT:
        return _without_an_answer(requirement_id, expect, answer, name)
    if expect is Expect.LIKE_THE_ORDINARY:
        return _like(requirement_id, answer, ordinary, name)
    if answer.status in _ALLOWED.get(expect, range(FAULT)):
        unlimited = expect is Expect.SMALL_ONLY and answer.status < BAD_REQUEST
        return met(requirement_id, f"{name} (no limit seen)" if unlimited else name)
    return not_met(requirement_id, f"{name}; expected {expect.value}{complaint_of(answer)}")


def _without_an_answer(requirement_id: str, expect: Expect, answer: Answer, name: str) -> Finding:
    if answer.fault is Fault.OVER:
        return unseen(requirement_id, str(answer.fault))
    if answer.status == TOO_MANY:
        return unseen(requirement_id, f"{name}: the server limits the rate of calls")
    # Whoever refuses a body by its length may hang up before it has come.
    hung_up = answer.fault is Fault.CLOSED and expect is Expect.SMALL_ONLY
    return (unseen if hung_up else not_met)(requirement_id, name)


def _like(requirement_id: str, answer: Answer, ordinary: Answer, name: str) -> Finding:
    if ordinary.status not in {OK, PRECONDITION_FAILED}:
        return unseen(requirement_id, f"the ordinary request was not answered: {ordinary.described}")
    # With a token in it a service may ask the FHIR server, which is not there: that is a 412 of its own right.
    if answer.status in {ordinary.status, PRECONDITION_FAILED}:
        return met(requirement_id, f"{name}, like the ordinary request")
    return not_met(requirement_id, f"{name}; the ordinary request: {ordinary.described}{complaint_of(answer)}")


def complaint_of(answer: Answer) -> str:
    """What the server itself says, if it is an OperationOutcome."""
    if not is_outcome(answer):
        return ""
    issue = answer.document["issue"][0]
    text = issue.get("diagnostics") if isinstance(issue, dict) else None
    return f" ({plain(text, limit=160)})" if isinstance(text, str) else ""
