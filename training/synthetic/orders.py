"""Draft orders for sample requests: what an order hook would have sent the instant before an order was signed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from features import times
from features.reading.signed import BEFORE_SIGNING
from training.synthetic.search import PatientResources

Resource = dict[str, Any]


def drafts_at(resources: PatientResources, at: datetime) -> tuple[Resource, ...]:
    """The drafts of the orders that were signed right after a time, in the order of the files.

    A drug that the order refers to is contained in the draft, for a service that sees nothing but the request.

    Args:
        resources: of the patient.
        at: aware; the microsecond before the orders were signed.
    """
    return tuple(_drafts(resources, times.microseconds(at) + BEFORE_SIGNING))


def order_context(drafts: tuple[Resource, ...], hook: str) -> dict[str, Any]:
    """What an order hook has in its context beside user, patient and encounter: all drafts, and which were chosen."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": draft} for draft in drafts]}
    if hook != "order-select":
        return {"draftOrders": bundle}
    chosen = [f"{draft['resourceType']}/{draft['id']}" for draft in drafts]
    return {"selections": chosen, "draftOrders": bundle}


def _drafts(resources: PatientResources, signed: int) -> Iterator[Resource]:
    for held in resources.held.get("MedicationRequest", ()):
        order = held.resource
        if "authoredOn" not in order or times.parse(order["authoredOn"]).last != signed:
            continue
        draft = {name: value for name, value in order.items() if name != "authoredOn"} | {"status": "draft"}
        reference = order.get("medicationReference", {}).get("reference")
        if reference in resources.directory:
            drug = {**resources.directory[reference], "id": "drug"}
            draft |= {"medicationReference": {"reference": "#drug"}, "contained": [drug]}
        yield draft
