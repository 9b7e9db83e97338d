"""A good server, broken in one way: what it answers is changed on its way out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cds_hooks.conformance.checker import Check, Report, check
from cds_hooks.conformance.client import connected
from cds_hooks.conformance.finding import Verdict
from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import InvalidField
from cds_hooks.request import CdsRequest
from cds_hooks.security.caller import Caller
from tests.conformance.requests import LOSS, request
from tests.conformance.weight_check import WeightCheck, weight_app

Json = dict[str, Any]
_TEMPLATES = {
    "weights": "Observation?patient={{context.patientId}}&code=http://loinc.org|29463-7&_sort=-date",
    "patient": "Patient/{{context.patientId}}",
}


class OneService(WeightCheck):
    """The weight check with a single service, so that a check is short; it wants to see whose weights they are."""

    registry = ServiceRegistry(
        services=(
            ServiceDescription(
                hook="patient-view",
                id="weight-loss",
                title="Loss of weight",
                description="Between the first and the last weight.",
                prefetch=_TEMPLATES,
                version="2.0.1",
            ),
        )
    )

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None
    ) -> bytes:
        """Refuse another patient's data, then compare the weights."""
        patient = json.loads(bytes(request.prefetch.get("patient", b"null")))
        if isinstance(patient, dict) and patient.get("id", request.patient_id) != request.patient_id:
            raise InvalidField("Expected the Patient of context.patientId.", location="prefetch.patient")
        return await super().call(service_id, request, headers, caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the checker sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Json:
        """The body as an object; empty if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def is_call(self) -> bool:
        """Whether a service was called."""
        return self.method == "POST" and self.path == "/cds-services/weight-loss"

    @property
    def is_discovery(self) -> bool:
        """Whether discovery was asked for."""
        return self.method == "GET" and self.path == "/cds-services"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What leaves."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Change = Callable[[Asked, Reply], Reply]


@dataclass(frozen=True, slots=True)
class Broken:
    """An application whose replies are changed."""

    app: ASGIApp
    change: Change

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the good server answer, change it, and send that."""
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read(receive)
        reply = await _answered(self.app, scope, body)
        asked = Asked(method=scope["method"], path=scope["path"], headers=headers, body=body)
        reply = self.change(asked, reply)
        lines = [(name.encode(), value.encode()) for name, value in reply.headers.items() if name != "content-length"]
        await send({"type": "http.response.start", "status": reply.status, "headers": lines})
        await send({"type": "http.response.body", "body": reply.body})


async def _read(receive: Receive) -> bytes:
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _answered(app: ASGIApp, scope: Scope, body: bytes) -> Reply:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(status=sent[0]["status"], headers=headers, body=b"".join(each.get("body", b"") for each in sent[1:]))


def checked(change: Change | None = None, **fields: Any) -> Report:
    """The report on the weight check, broken by `change`, whose ordinary request gets a card."""
    app: ASGIApp = weight_app(OneService())
    transport = httpx.ASGITransport(app if change is None else Broken(app, change))
    wanted = Check(base_url="http://cds.example", requests={"patient-view": REQUEST}, **fields)
    return check(wanted, lambda *_: None, connect=partial(connected, transport=transport))


def broken_ids(report: Report) -> set[str]:
    """Ids that are not met."""
    return {result.id for result in report.results if result.verdict is Verdict.NOT_MET}


def on_discovery(edit: Callable[[Json], Any]) -> Change:
    """Change the one service in the discovery document."""

    def change(asked: Asked, reply: Reply) -> Reply:
        if not asked.is_discovery or reply.status != 200:
            return reply
        document = json.loads(reply.body)
        edit(document["services"][0])
        return replace(reply, body=json.dumps(document).encode())

    return change


def on_card(edit: Callable[[Json], Any]) -> Change:
    """Change every card that is shown."""

    def change(asked: Asked, reply: Reply) -> Reply:
        if not asked.is_call or reply.status != 200:
            return reply
        document = json.loads(reply.body)
        for card in document["cards"]:
            edit(card)
        return replace(reply, body=json.dumps(document).encode())

    return change


def instead(when: Callable[[Asked, Reply], bool], status: int, body: bytes | None = None, **headers: str) -> Change:
    """Answer with another status where `when` says so: a refusal with an OperationOutcome unless a body is given."""

    def change(asked: Asked, reply: Reply) -> Reply:
        if not when(asked, reply):
            return reply
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        refused = status >= 400 and body is None
        kind = {"content-type": "application/fhir+json" if refused else "application/json"}
        sent = OUTCOME if refused else reply.body if body is None else body
        return Reply(status=status, headers={**reply.headers, **kind, **named}, body=sent)

    return change


OUTCOME = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login"}]}).encode()
REQUEST = request(prefetch={"weights": LOSS, "patient": {"resourceType": "Patient", "id": "p1"}})
NO_CARDS = b'{"cards": []}'


def takes(when: Callable[[Asked], bool]) -> Change:
    """Answer refused calls with 200 where `when` says so: a server that does not look."""
    return instead(lambda asked, reply: asked.is_call and 400 <= reply.status < 500 and when(asked), 200, NO_CARDS)


def fails(when: Callable[[Asked], bool]) -> Change:
    """Answer calls with a 500 where `when` says so: a server that breaks."""
    return instead(lambda asked, _: asked.is_call and when(asked), 500)
