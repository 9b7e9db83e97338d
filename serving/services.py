"""The services: what happens between a CDS Hooks call and its card, and what is kept of it."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import CdsHooksError, Overloaded
from cds_hooks.feedback import FeedbackEntry as Feedback
from cds_hooks.hooks import HOOKS
from cds_hooks.outcome import encode_outcome
from cds_hooks.request import CdsRequest
from cds_hooks.response import Card, CdsResponse, encode_response
from cds_hooks.security.caller import Caller
from cds_hooks.templates import TemplateVersion
from features.times import microseconds, to_datetime
from models.words import Language
from serving.access import NOWHERE, Reading, Sources, make_plan
from serving.assess import AsOf, Assessment, ServedModel, assess_unclear
from serving.cards import CardSettings, render
from serving.journal_entries import CallEntry, CardEntry, Entry, FeedbackEntry, float32_bytes
from serving.journal_errors import JournalError, JournalRejected
from serving.locale import choose_language
from serving.orders import Orders
from serving.prefetched import assess_completed, enough_of, orders_of
from serving.pseudonym import Pseudonyms

# What discovery says of the specification that the templates are for.
CDS_HOOKS_VERSIONS: Mapping[TemplateVersion, str] = {"2.0": "2.0.1", "3.0": "3.0.0-ballot"}

_logger = logging.getLogger("bedside.services")


class Recorder(Protocol):
    """What the services ask of a journal."""

    async def record(self, *entries: Entry) -> None:
        """Record entries as one unit, all or none; returns once they are committed."""

    def close(self) -> None:
        """Commit all that was submitted, and release what is held."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BedsideServices:
    """All models of a server, behind the protocol that cds_hooks.router asks of its host.

    Attributes:
        models: by service id.
        clock: the time now, aware UTC.
        deadline_ms: by when an answer should be ready; an explanation that would take longer is left out.
        sources: where a call may be answered from beside its prefetch.
        version: of CDS Hooks, whose prefetch templates clients of these services fill.
        system_actions: whether the site lets services change records without anybody looking, for the clients that
            are registered for it.
    """

    models: Mapping[str, ServedModel]
    journal: Recorder
    pseudonyms: Pseudonyms
    cards: CardSettings
    language: Language
    as_of: AsOf
    clock: Callable[[], datetime]
    deadline_ms: float | None = None
    sources: Sources = NOWHERE
    version: TemplateVersion = "2.0"
    system_actions: bool = False
    registry: ServiceRegistry = field(init=False)

    def __post_init__(self) -> None:
        described = (one for served in self.models.values() for one in describe(served, self.version))
        object.__setattr__(self, "registry", ServiceRegistry(services=tuple(described)))

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None = None
    ) -> bytes:
        """Assess the patient and answer with one card, once the journal has it.

        Raises:
            MissingData: the prefetch is not complete, and what lacks could not be read; the message names the keys.
            InvalidField: the prefetched patient is not the patient of the context.
            Overloaded: the journal could not take the entry.
        """
        call = _Call(
            call_id=uuid4(),
            received_at=self.clock(),
            started=time.perf_counter(),
            service_id=service_id,
            request=request,
            language=choose_language(headers.get("accept-language"), self.language),
            caller=caller,
        )
        card_uuid = str(uuid4())
        try:
            served, now = self.models[service_id], microseconds(call.received_at)
            until = math.inf if self.deadline_ms is None else call.started + self.deadline_ms / 1000
            orders = orders_of(served, request, now)
            if orders is None or orders.due == "risk":
                assessment = await self._assess(call, served, orders, now=now, explain_until=until)
            else:  # most orders ask for nothing, and nobody should have to send a record for them
                assessment = assess_unclear(served, orders, now=now, as_of=self.as_of)
            is_silent = orders is not None and orders.due == "nothing"
            cards = () if is_silent else (self._card(assessment, card_uuid, call),)
            body = encode_response(CdsResponse(cards=cards), system_actions_agreed=self.may_act(caller))
            account = call.not_triggered if is_silent else call.answered
            entry = account(assessment, body, self.pseudonyms.of(request.patient_id))
        except CdsHooksError as error:
            await self._record(call.failed(error))
            raise
        except Exception:  # a fault of ours: the account has it too, and the router tells the client
            await self._record(call.failed(CdsHooksError("The service failed.")))
            raise
        shown = [CardEntry(card_uuid=card_uuid, call_id=call.call_id, indicator=card.indicator) for card in cards]
        await self._record(entry, *shown)
        _log_call(entry, cards)
        return body

    async def _assess(
        self, call: "_Call", served: ServedModel, orders: Orders | None, *, now: int, explain_until: float
    ) -> Assessment:
        request, caller = call.request, call.caller
        enough = enough_of(served, request, self.version, now=now, as_of=self.as_of)
        plan = make_plan(served.queries[self.version], request.prefetch, enough)
        found = plan.without_access()
        if plan.wanted:  # seldom: who has it all waits for nothing
            found = await self.sources.complete(plan, request, caller, enough=enough, today=call.received_at.date())
            call.reading = found.reading
        return assess_completed(
            served, request, found, now=now, as_of=self.as_of, explain_until=explain_until, orders=orders
        )

    def _card(self, assessment: Assessment, card_uuid: str, call: "_Call") -> Card:
        return render(assessment, card_uuid=card_uuid, language=call.language, settings=self.cards)

    def may_act(self, caller: Caller | None) -> bool:
        """Whether system actions were agreed: by the site's setting and by the client's registration, both."""
        return self.system_actions and caller is not None and caller.registration.system_actions

    async def feedback(self, service_id: str, entries: tuple[Feedback, ...], caller: Caller | None = None) -> None:
        """Keep what users did with cards."""
        received_at = self.clock()
        await self._record(*(_feedback_entry(service_id, entry, received_at, caller) for entry in entries))

    async def _record(self, *entries: CallEntry | CardEntry | FeedbackEntry) -> None:
        try:
            await self.journal.record(*entries)
        except JournalRejected:
            raise  # a fault of ours, and one that trying again does not mend: the router makes it a 500
        except JournalError as error:
            _logger.exception("journal write failed")
            raise Overloaded("Expected the journal to take this call; it could not. Try again later.") from error


def describe(served: ServedModel, version: TemplateVersion = "2.0") -> Iterator[ServiceDescription]:
    """A model's entries in the discovery document for a version of CDS Hooks, one per hook."""
    spec = served.entry.spec
    for hook in spec.hooks:
        yield ServiceDescription(
            hook=hook,
            id=spec.id,
            title=spec.title,
            description=spec.description,
            prefetch={key: template.text for key, template in served.queries[version].items()},
            usage_requirements=f"{spec.population}. Research model, not a medical device.",
            version=CDS_HOOKS_VERSIONS[version],
            hook_version=HOOKS[hook].versions[-1] if hook in HOOKS else None,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """One call from its arrival to its journal entry. `reading`: what was read for it, once that was done."""

    call_id: UUID
    received_at: datetime
    started: float
    service_id: str
    request: CdsRequest
    language: Language
    caller: Caller | None
    reading: Reading | None = None

    def answered(self, assessment: Assessment, body: bytes, pseudonym: str) -> CallEntry:
        scored, bundle = assessment.scored, assessment.served.bundle
        contributions = None if scored is None or scored.contributions is None else scored.contributions
        return CallEntry(
            call_id=self.call_id,
            received_at=self.received_at,
            service_id=self.service_id,
            status="insufficient-data" if scored is None else "card",
            http_status=200,
            duration_us=self._duration_us(),
            response_body=body,
            hook=self.request.hook,
            hook_instance=self.request.hook_instance,
            locale=self.language,
            mode="live",
            client=_client(self.caller),
            tenant=_tenant(self.caller),
            fhir_requests=None if self.reading is None else self.reading.requests,
            fhir_duration_us=None if self.reading is None else self.reading.duration_us,
            model_version=bundle.manifest.version,
            bundle_fingerprint=bundle.fingerprint,
            index_time=to_datetime(assessment.index_time),
            as_of_policy=assessment.as_of,
            patient_pseudonym=pseudonym,
            feature_vector=float32_bytes(assessment.vector),
            missing_features=assessment.missing_features,
            refusals=assessment.refusals.by_reason(),
            logit=None if scored is None else scored.logit,
            probability=None if scored is None else scored.probability,
            base_value=None if scored is None else scored.base_value,
            contributions=None if contributions is None else float32_bytes(contributions),
            evidence=assessment.evidence,
        )

    def not_triggered(self, assessment: Assessment, body: bytes, pseudonym: str) -> CallEntry:
        """No order asked: nothing was computed, and nothing of the patient is kept."""
        entry = self.answered(assessment, body, pseudonym)
        return replace(entry, status="not-triggered", feature_vector=None, missing_features=(), evidence=None)

    def failed(self, error: CdsHooksError) -> CallEntry:
        return CallEntry(
            call_id=self.call_id,
            received_at=self.received_at,
            service_id=self.service_id,
            status="error",
            http_status=error.status,
            duration_us=self._duration_us(),
            response_body=encode_outcome(error),
            hook=self.request.hook,
            hook_instance=self.request.hook_instance,
            locale=self.language,
            mode="live",
            client=_client(self.caller),
            tenant=_tenant(self.caller),
            fhir_requests=None if self.reading is None else self.reading.requests,
            fhir_duration_us=None if self.reading is None else self.reading.duration_us,
            error_code=error.code,
        )

    def _duration_us(self) -> int:
        return round(1e6 * (time.perf_counter() - self.started))


def _client(caller: Caller | None) -> str | None:
    """The site's own name for the client; of its token nothing is kept."""
    return None if caller is None else caller.registration.name


def _tenant(caller: Caller | None) -> str | None:
    return None if caller is None else caller.tenant


def _feedback_entry(service_id: str, feedback: Feedback, received_at: datetime, caller: Caller | None) -> FeedbackEntry:
    reason = feedback.override_reason
    coding = None if reason is None else reason.reason
    return FeedbackEntry(
        card_uuid=feedback.card,
        service_id=service_id,
        outcome=feedback.outcome,
        outcome_timestamp=feedback.outcome_timestamp,
        received_at=received_at,
        override_reason_code=None if coding is None else coding.code,
        override_reason_system=None if coding is None else coding.system,
        override_reason_display=None if coding is None else coding.display,
        user_comment=None if reason is None else reason.user_comment,
        accepted_suggestion_ids=tuple(suggestion.id for suggestion in feedback.accepted_suggestions),
        client=_client(caller),
        tenant=_tenant(caller),
    )


def _log_call(entry: CallEntry, cards: Sequence[Card]) -> None:
    """One event per call: what and how long, nothing of the patient."""
    if not _logger.isEnabledFor(logging.INFO):
        return
    _logger.info(
        "card",
        extra={
            "call_id": str(entry.call_id),
            "service_id": entry.service_id,
            "status": entry.status,
            "indicator": cards[0].indicator if cards else None,
            "duration_us": entry.duration_us,
            "refusals": dict(entry.refusals),
            "explained": entry.contributions is not None,
        },
    )
