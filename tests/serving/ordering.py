"""A tiny model that is asked by orders, and the order hooks' requests as a client sends them."""

from collections.abc import Sequence
from pathlib import Path

from features.feature import Aggregate, Aggregation, FeatureSet
from serving.assess import ServedModel, serve
from tests.bundles import linear_graph, random_rows, tiny_entry, tiny_spec, write_bundle
from tests.fhir_builders import Json, request

ATC = "http://www.whocc.no/atc"
TRIGGERS = ("aminoglycoside_draft", "nephrotoxic_nsaid_draft")
IBUPROFEN = {"coding": [{"system": ATC, "code": "M01AE01", "display": "Ibuprofen"}]}
GENTAMICIN = {"coding": [{"system": ATC, "code": "J01GB03", "display": "Gentamicin"}]}
PANTOPRAZOLE = {"coding": [{"system": ATC, "code": "A02BC02", "display": "Pantoprazol"}]}
PARACETAMOL = {"coding": [{"system": ATC, "code": "N02BE01", "display": "Paracetamol"}]}
OF_THE_HOUSE = {"coding": [{"system": "https://hospital.example/drugs", "code": "IBU600", "display": "Ibuprofen"}]}


def ordering(folder: Path, *, drafts: Sequence[str] = ("aminoglycoside_draft",)) -> ServedModel:
    """The tiny linear model on the order hooks: two triggers, of which it reads some as a feature too."""
    active = (Aggregate(concept=draft, aggregation=Aggregation.ACTIVE) for draft in drafts)
    entry = tiny_entry(
        folder,
        hooks=("order-select", "order-sign"),
        triggers=TRIGGERS,
        features=FeatureSet((*tiny_spec().features, *active)),
    )
    graph = linear_graph(width=len(entry.spec.features))
    return serve(entry, write_bundle(folder / "bundle", entry.spec, graph, random_rows(entry.spec, rows=20)))


def draft(drug: Json | None, draft_id: str | None = "d1", *, of: str | None = "p1", **fields: object) -> Json:
    """A MedicationRequest that nobody has signed; None leaves a field out."""
    usual = {
        "resourceType": "MedicationRequest",
        "id": draft_id,
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "subject": None if of is None else {"reference": f"Patient/{of}"},
    }
    return {name: value for name, value in (usual | fields).items() if value is not None}


def order_request(*drafts: object, chosen: Sequence[str] | None = None, **changes: object) -> Json:
    """A call of order-sign or, where some are chosen, of order-select; the prefetch is the tiny model's."""
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in drafts]}
    context = {"userId": "Practitioner/ward", "patientId": "p1", "draftOrders": bundle}
    if chosen is not None:
        context["selections"] = list(chosen)
    hook = "order-sign" if chosen is None else "order-select"
    return request(**({"hook": hook, "context": context} | changes))
