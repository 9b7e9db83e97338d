"""Prefetched: whether what came with a request suffices, and what is assessed of it. Pure."""

import math
from functools import cache

from cds_hooks.errors import InvalidField
from cds_hooks.prefetch import PrefetchStatus, classify
from cds_hooks.request import CdsRequest
from cds_hooks.templates import TemplateVersion
from features.reading.decode import decode_resource
from features.reading.fhir import Patient
from features.reading.scan.searchset import text_of
from features.refusals import Refusals
from serving.access import Completed, Enough, make_plan, reaches_back
from serving.assess import AsOf, Assessment, ServedModel, assess, latest_observation, read
from serving.orders import Orders, read_orders


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
    enough = enough_of(served, request, "2.0", now=now, as_of=as_of)
    found = make_plan(served.queries["2.0"], request.prefetch, enough).without_access()
    orders = orders_of(served, request, now)
    return assess_completed(served, request, found, now=now, as_of=as_of, explain_until=explain_until, orders=orders)


def orders_of(served: ServedModel, request: CdsRequest, now: int) -> Orders | None:
    """The draft orders of a request, where its hook sends any and the model reads them; `now` in UTC microseconds.

    Raises:
        InvalidField: an order is of another patient than the call.
    """
    triggers = served.entry.spec.triggers
    return read_orders(request, served.interpreter, triggers, version=served.fhir_version, at=now)


def assess_completed(
    served: ServedModel,
    request: CdsRequest,
    found: Completed,
    *,
    now: int,
    as_of: AsOf,
    explain_until: float = math.inf,
    orders: Orders | None = None,
) -> Assessment:
    """As `assess_request`, from what came with the request and what was read for it."""
    resources = found.resources()
    _check_patient(found, request)
    return assess(
        served, request.patient_id, resources, now=now, as_of=as_of, explain_until=explain_until, orders=orders
    )


def enough_of(served: ServedModel, request: CdsRequest, version: TemplateVersion, *, now: int, as_of: AsOf) -> Enough:
    """Which first pages suffice.

    The latest Observation of what was sent is never later than that of all there is, so it errs towards more pages.
    """

    @cache
    def index_time() -> int | None:
        if as_of == "clock":
            return now
        sent = (request.prefetch.get(key) for key in served.queries[version])
        searchsets = [raw for raw in sent if raw is not None and classify(raw).status is PrefetchStatus.SEARCHSET]
        return latest_observation(served, read(served, request.patient_id, searchsets).events, now)

    return reaches_back(served.lookback_hours, index_time)


def _check_patient(found: Completed, request: CdsRequest) -> None:
    pages = found.pages["patient"]
    if not pages:  # null: no such data
        return
    patient = decode_resource(text_of(pages[0]), Refusals())
    if not isinstance(patient, Patient):
        raise InvalidField("Expected a Patient resource.", location="prefetch.patient")
    if patient.id != request.patient_id:
        raise InvalidField(
            "Expected the Patient of context.patientId, got another one. Nothing was computed.",
            location="prefetch.patient",
        )
