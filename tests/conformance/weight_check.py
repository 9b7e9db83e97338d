"""A small real CDS server: two services that look at a patient's weights, without any model.

It exists to hold `cds_hooks` to the standard from outside, over HTTP, with data that matters.
"""

import uuid
from collections.abc import Mapping

import msgspec
from fastapi import FastAPI

from cds_hooks.cors import CorsPolicy
from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import MissingData
from cds_hooks.feedback import FeedbackEntry
from cds_hooks.prefetch import PrefetchStatus, check_prefetch, classify
from cds_hooks.request import CdsRequest
from cds_hooks.response import Card, CdsResponse, OverrideReason, Source, encode_response
from cds_hooks.router import cds_router
from cds_hooks.security.caller import Caller

REMARKABLE_CHANGE_PERCENT = 5.0
"""Loss of weight that nutrition screening asks about (MUST, BAPEN 2011: 5 to 10 % in three to six months)."""

_PREFETCH = {"weights": "Observation?patient={{context.patientId}}&code=http://loinc.org|29463-7&_sort=-date"}


def _description(service_id: str, hook: str, title: str) -> ServiceDescription:
    return ServiceDescription(
        hook=hook,
        id=service_id,
        title=title,
        description=f"{title} of at least {REMARKABLE_CHANGE_PERCENT:g} % between the first and the last weight.",
        prefetch=_PREFETCH,
        version="2.0.1",
    )


REGISTRY = ServiceRegistry(
    services=(
        _description("weight-loss", "patient-view", "Loss of weight"),
        _description("weight-loss", "encounter-start", "Loss of weight"),
        _description("weight-gain", "patient-view", "Gain of weight"),
    )
)


class _Quantity(msgspec.Struct, frozen=True):
    value: float


class _Observation(msgspec.Struct, frozen=True, rename="camel"):
    resource_type: str
    status: str | None = None
    effective_date_time: str | None = None
    value_quantity: _Quantity | None = None


class _Entry(msgspec.Struct, frozen=True):
    resource: _Observation


class _Searchset(msgspec.Struct, frozen=True):
    entry: tuple[_Entry, ...] = ()


class WeightCheck:
    """The host of the two services; `outcomes` keeps what feedback told."""

    registry = REGISTRY

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, FeedbackEntry]] = []

    async def call(
        self,
        service_id: str,
        request: CdsRequest,
        headers: Mapping[str, str],  # noqa: ARG002 - the protocol's
        caller: Caller | None,  # noqa: ARG002 - the protocol's
    ) -> bytes:
        """Compare the first with the last weight."""
        weights = _weights(request)
        if len(weights) < 2:
            return encode_response(CdsResponse(cards=()))
        change_percent = 100 * (weights[-1] / weights[0] - 1)
        remarkable = -change_percent if service_id == "weight-loss" else change_percent
        if remarkable < REMARKABLE_CHANGE_PERCENT:
            return encode_response(CdsResponse(cards=()))
        identity = f"{service_id}/{request.hook_instance}"
        card = Card(
            uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
            summary=f"Weight changed by {change_percent:+.0f} %: {weights[0]:g} to {weights[-1]:g} kg",
            indicator="warning",
            source=Source(label="Weight check 1.0", url="https://bedside.example/weight-check"),
            override_reasons=(
                OverrideReason(code="intended", system="https://bedside.example/reasons", display="Intended"),
            ),
        )
        return encode_response(CdsResponse(cards=(card,)))

    async def feedback(self, service_id: str, entries: tuple[FeedbackEntry, ...], caller: Caller | None) -> None:  # noqa: ARG002 - the protocol's
        """Keep every entry, repetitions too."""
        self.outcomes.extend((service_id, entry) for entry in entries)


def _weights(request: CdsRequest) -> list[float]:
    """Weights in kg, oldest first."""
    report = check_prefetch(_PREFETCH, request.prefetch)
    if "weights" not in report.usable:
        raise MissingData("Expected the prefetch key weights; it is absent or could not be read.")
    raw = request.prefetch["weights"]
    if classify(raw).status is PrefetchStatus.NULL:
        return []
    try:
        entries = msgspec.json.decode(bytes(raw), type=_Searchset).entry
    except msgspec.ValidationError as error:
        raise MissingData("Expected a searchset of Observations in the prefetch key weights.") from error
    valid = [each.resource for each in entries if each.resource.status == "final"]
    dated = sorted((each.effective_date_time or "", each.value_quantity.value) for each in valid if each.value_quantity)
    return [kg for _, kg in dated if kg > 0]


def weight_app(services: WeightCheck | None = None, cors: CorsPolicy | None = None) -> FastAPI:
    """The application, as a host would compose it."""
    app = FastAPI(title="Weight check")
    app.include_router(cds_router(services or WeightCheck(), cors=cors))
    return app
