"""The services: what happens between a CDS Hooks call and its card, and what is kept of it."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import CdsHooksError, InvalidField, MissingData, Overloaded
from cds_hooks.feedback import FeedbackEntry as Feedback
from cds_hooks.outcome import encode_outcome
from cds_hooks.prefetch import PrefetchReport, PrefetchStatus, check_prefetch
from cds_hooks.request import CdsRequest
from cds_hooks.response import Card, CdsResponse, encode_response
from features.events import MICROSECONDS_PER_HOUR
from features.prefetch import page_reaches
from features.reading.decode import decode_resource
from features.reading.fhir import Patient
from features.refusals import Refusals
from features.times import microseconds, to_datetime
from models.words import Language
from serving.assess import AsOf, Assessment, ServedModel, assess
from serving.cards import CardSettings, render
from serving.journal_entries import CallEntry, CardEntry, Entry, FeedbackEntry, float32_bytes
from serving.journal_errors import JournalError, JournalRejected
from serving.locale import choose_language
from serving.pseudonym import Pseudonyms

CDS_HOOKS_VERSION = "2.0.1"

# How a prefetch key can fail, as the client reads it.
UNREADABLE = {
    PrefetchStatus.OUTCOME: "sent as an OperationOutcome",
    PrefetchStatus.INVALID: "sent as neither a resource nor a searchset",
}

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
    """

    models: Mapping[str, ServedModel]
    journal: Recorder
    pseudonyms: Pseudonyms
    cards: CardSettings
    language: Language
    as_of: AsOf
    clock: Callable[[], datetime]
    deadline_ms: float | None = None
    registry: ServiceRegistry = field(init=False)

    def __post_init__(self) -> None:
        described = (description for served in self.models.values() for description in describe(served))
        object.__setattr__(self, "registry", ServiceRegistry(services=tuple(described)))

    async def call(self, service_id: str, request: CdsRequest, headers: Mapping[str, str]) -> bytes:
        """Assess the patient and answer with one card, once the journal has it.

        Raises:
            MissingData: the prefetch is not complete; the message names the keys.
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
        )
        card_uuid = str(uuid4())
        try:
            served, now = self.models[service_id], microseconds(call.received_at)
            until = math.inf if self.deadline_ms is None else call.started + self.deadline_ms / 1000
            assessment = assess_request(served, request, now=now, as_of=self.as_of, explain_until=until)
            card = render(assessment, card_uuid=card_uuid, language=call.language, settings=self.cards)
            body = encode_response(CdsResponse(cards=(card,)))
            entry = call.answered(assessment, body, self.pseudonyms.of(request.patient_id))
        except CdsHooksError as error:
            await self._record(call.failed(error))
            raise
        except Exception:  # a fault of ours: the account has it too, and the router tells the client
            await self._record(call.failed(CdsHooksError("The service failed.")))
            raise
        await self._record(entry, CardEntry(card_uuid=card_uuid, call_id=call.call_id, indicator=card.indicator))
        _log_call(entry, card)
        return body

    async def feedback(self, service_id: str, entries: tuple[Feedback, ...]) -> None:
        """Keep what users did with cards."""
        received_at = self.clock()
        await self._record(*(_feedback_entry(service_id, entry, received_at) for entry in entries))

    async def _record(self, *entries: CallEntry | CardEntry | FeedbackEntry) -> None:
        try:
            await self.journal.record(*entries)
        except JournalRejected:
            raise  # a fault of ours, and one that trying again does not mend: the router makes it a 500
        except JournalError as error:
            _logger.exception("journal write failed")
            raise Overloaded("Expected the journal to take this call; it could not. Try again later.") from error


def assess_request(
    served: ServedModel, request: CdsRequest, *, now: int, as_of: AsOf, explain_until: float = math.inf
) -> Assessment:
    """Assess the patient of a request from its prefetch.

    Args:
        served: the model.
        request: decoded and valid.
        now: UTC microseconds.
        as_of: whether the index time is `now` or the latest Observation.
        explain_until: the instant of `time.perf_counter` after which no explanation may end.

    Raises:
        MissingData: the prefetch is not complete; the message names the keys.
        InvalidField: the prefetched patient is not the patient of the context.
    """
    report = check_prefetch(served.templates, request.prefetch)
    _check_complete(report)
    _check_patient(report, request)
    answered = [key for key in report.usable if report.values[key].status != PrefetchStatus.NULL]
    resources = [request.prefetch[key] for key in answered]
    assessment = assess(served, request.patient_id, resources, now=now, as_of=as_of, explain_until=explain_until)
    _check_pages(served, report, request, assessment.index_time)
    return assessment


def describe(served: ServedModel) -> Iterator[ServiceDescription]:
    """A model's entries in the discovery document, one per hook."""
    spec = served.entry.spec
    for hook in spec.hooks:
        yield ServiceDescription(
            hook=hook,
            id=spec.id,
            title=spec.title,
            description=spec.description,
            prefetch=served.templates,
            usage_requirements=f"{spec.population}. Research model, not a medical device.",
            version=CDS_HOOKS_VERSION,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call from its arrival to its journal entry."""

    call_id: UUID
    received_at: datetime
    started: float
    service_id: str
    request: CdsRequest
    language: Language

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
            error_code=error.code,
        )

    def _duration_us(self) -> int:
        return round(1e6 * (time.perf_counter() - self.started))


def _check_complete(report: PrefetchReport) -> None:
    """Every key must be answered. One that is absent or failed is not "no data": a risk without it would be wrong."""
    faults = [f"{key} (not sent)" for key in report.absent]
    faults += [f"{key} ({UNREADABLE[report.values[key].status]})" for key in report.failed]
    if faults:
        raise MissingData(
            f"Expected all prefetch keys of the discovery document; unusable: {', '.join(faults)}. "
            "Send each with its search result, or null where there is no such data.",
            location="prefetch",
        )


def _check_patient(report: PrefetchReport, request: CdsRequest) -> None:
    if report.values["patient"].status == PrefetchStatus.NULL:
        return
    patient = decode_resource(request.prefetch["patient"], Refusals())
    if not isinstance(patient, Patient):
        raise InvalidField("Expected a Patient resource.", location="prefetch.patient")
    if patient.id != request.patient_id:
        raise InvalidField(
            "Expected the Patient of context.patientId, got another one. Nothing was computed.",
            location="prefetch.patient",
        )


def _check_pages(served: ServedModel, report: PrefetchReport, request: CdsRequest, index_time: int) -> None:
    """A first page will do if it goes back beyond what any feature looks at; else the rest is missing."""
    if not report.paged:
        return
    features = served.entry.spec.features
    kinds = {concept: served.interpreter.vocabulary.concept(concept).kind for concept in features.concepts}
    longest = max(
        (features.longest_lookback_hours(name) for name, kind in kinds.items() if kind == "observation"),
        default=math.inf,
    )
    since = index_time - round(longest * MICROSECONDS_PER_HOUR) if math.isfinite(longest) else None
    for key in report.paged:
        remedy = "Send"
        if key.startswith(("observations", "reports")) and since is not None:
            if page_reaches(request.prefetch[key], since):
                continue
            remedy = f"Send a page, newest first, that goes back {longest:g} h, or"
        raise MissingData(
            f"Expected all of the search result under {key}, got a page with a next link. "
            f"{remedy} the whole result on one page.",
            location=f"prefetch.{key}",
        )


def _feedback_entry(service_id: str, feedback: Feedback, received_at: datetime) -> FeedbackEntry:
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
    )


def _log_call(entry: CallEntry, card: Card) -> None:
    """One event per card: what and how long, nothing of the patient."""
    if not _logger.isEnabledFor(logging.INFO):
        return
    _logger.info(
        "card",
        extra={
            "call_id": str(entry.call_id),
            "service_id": entry.service_id,
            "status": entry.status,
            "indicator": card.indicator,
            "duration_us": entry.duration_us,
            "refusals": dict(entry.refusals),
            "explained": entry.contributions is not None,
        },
    )
