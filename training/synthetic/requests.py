"""Sample CDS Hooks requests: what an EHR would have sent when somebody opened a patient's chart at a past time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cds_hooks.fhirpath import Scope
from cds_hooks.templates import Template, Unfillable, fill, read_templates
from models.spec import ORDER_HOOKS
from training.synthetic.orders import order_context
from training.synthetic.query import SearchError
from training.synthetic.search import BASE_URL, PatientResources


def sample_request(
    resources: PatientResources,
    templates: Mapping[str, str],
    *,
    at: datetime,
    hook: str = "patient-view",
    user_id: str = "Practitioner/example",
    drafts: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    """A request as JSON, its prefetch answered from the patient's resources as of `at`.

    Args:
        resources: of the patient.
        templates: prefetch templates by key, as in the discovery document.
        at: aware; when the chart is opened.
        hook: of the service.
        user_id: who opens it.
        drafts: for an order hook, what is about to be ordered; at order-select all of it was just chosen.

    Returns:
        The request; the same input gives the same hookInstance. A read that finds nothing is null, as CDS Hooks
        has it. There is no fhirServer: the service must do with the prefetch.

    Raises:
        SearchError: a template has a token that this context cannot fill, or is a query that the search cannot answer.
    """
    context: dict[str, Any] = {"userId": user_id, "patientId": resources.patient}
    encounter = _current_encounter(resources, at)
    if encounter is not None:
        context["encounterId"] = encounter
    if hook in ORDER_HOOKS:
        context |= order_context(drafts, hook)
    scope = Scope(context=context, today=at.date())
    queries = read_templates(templates, hook)
    prefetch = {key: _answer(resources, key, template, scope, at) for key, template in queries.items()}
    name = f"{BASE_URL}/{hook}/{resources.patient}/{at.isoformat()}"
    return {
        "hook": hook,
        "hookInstance": str(uuid5(NAMESPACE_URL, name)),
        "context": context,
        "prefetch": prefetch,
    }


def _answer(
    resources: PatientResources, key: str, template: Template, scope: Scope, at: datetime
) -> dict[str, Any] | None:
    try:
        query = fill(template, scope)
    except Unfillable as error:
        raise SearchError(
            f"Prefetch template {key!r}: a token cannot be filled from {sorted(scope.context)}."
        ) from error
    return None if query is None else resources.answer(query, at=at)


def _current_encounter(resources: PatientResources, at: datetime) -> str | None:
    """The id of the Encounter that is in progress, the latest where there are several."""
    found = resources.answer(f"Encounter?patient={resources.patient}&_sort=-date", at=at)
    for entry in (found or {}).get("entry", ()):
        encounter: dict[str, Any] = entry["resource"]
        if encounter.get("status") == "in-progress":
            return encounter.get("id")
    return None
