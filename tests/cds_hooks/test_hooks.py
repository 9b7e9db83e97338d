"""The hook library: what each hook's context must hold."""

from typing import Any

import pytest

from cds_hooks.errors import InvalidField, MissingField
from cds_hooks.hooks import HOOKS, is_hook_name, validate_context

_CHART = {"userId": "Practitioner/1", "patientId": "p1"}
_BUNDLE = {"resourceType": "Bundle", "entry": []}

# The least context that each hook allows.
MINIMAL: dict[str, dict[str, Any]] = {
    "patient-view": _CHART,
    "order-sign": {**_CHART, "draftOrders": _BUNDLE},
    "order-select": {**_CHART, "selections": ["MedicationRequest/1"], "draftOrders": _BUNDLE},
    "order-dispatch": {
        "patientId": "p1",
        "dispatchedOrders": ["ServiceRequest/1"],
        "performer": "Organization/1",
    },
    "encounter-start": {**_CHART, "encounterId": "e1"},
    "encounter-discharge": {**_CHART, "encounterId": "e1"},
    "appointment-book": {**_CHART, "appointments": _BUNDLE},
    "allergyintolerance-create": {**_CHART, "allergyIntolerance": {"resourceType": "AllergyIntolerance"}},
    "medication-refill": {"patientId": "p1", "medications": _BUNDLE},
    "problem-list-item-create": {**_CHART, "conditions": _BUNDLE},
    "medication-verify": {**_CHART, "medication": {"resourceType": "MedicationRequest"}},
    "medication-prescribe": {**_CHART, "medications": _BUNDLE},
    "order-review": {**_CHART, "orders": _BUNDLE},
}


def test_the_table_names_every_hook_of_the_library() -> None:
    assert set(HOOKS) == set(MINIMAL)


@pytest.mark.parametrize("hook", MINIMAL)
def test_the_least_context_of_each_hook_is_taken(hook: str) -> None:
    validate_context(hook, MINIMAL[hook])


@pytest.mark.parametrize(("hook", "name"), [(hook, name) for hook, each in MINIMAL.items() for name in each])
def test_each_required_field_is_missed(hook: str, name: str) -> None:
    context = {key: value for key, value in MINIMAL[hook].items() if key != name}
    with pytest.raises(MissingField) as caught:
        validate_context(hook, context)
    assert caught.value.location == f"context.{name}"


@pytest.mark.parametrize(("hook", "name"), [(hook, name) for hook, each in MINIMAL.items() for name in each])
@pytest.mark.parametrize("value", [None, 7, True], ids=["null", "number", "boolean"])
def test_each_field_has_its_type(hook: str, name: str, value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        validate_context(hook, {**MINIMAL[hook], name: value})
    assert caught.value.location == f"context.{name}"


@pytest.mark.parametrize(
    ("value", "came"),
    [
        ("", "an empty string"),
        ("  ", "an empty string"),
        ("Patient/p1", "another string"),
        (None, "null"),
        (12, "a number"),
        (True, "a boolean"),
        (["p1"], "an array"),
        ({"id": "p1"}, "an object"),
    ],
)
def test_a_patient_id_is_a_bare_id_and_the_error_tells_what_came_without_repeating_it(value: object, came: str) -> None:
    with pytest.raises(InvalidField) as caught:
        validate_context("patient-view", {**_CHART, "patientId": value})
    assert caught.value.message == (
        f"Expected a logical id as a string (without resource type) in context.patientId of patient-view, got {came}."
    )


@pytest.mark.parametrize(
    ("hook", "context"),
    [
        ("order-dispatch", {**MINIMAL["order-dispatch"], "fulfillment-tasks": [{"resourceType": "Task"}]}),
        ("medication-verify", {**_CHART, "order": {"resourceType": "MedicationRequest"}}),
        ("allergyintolerance-create", {**_CHART, "allergyIntolerance": {"resource": {}}}),
        ("order-select", {**MINIMAL["order-select"], "draftOrders": {"entry": [{"resource": {"category": {}}}]}}),
        ("patient-view", {**_CHART, "somethingNew": 1}),
    ],
    ids=["kebab-case-tasks", "order-for-medication", "wrapped-allergy", "sandbox-drafts", "unknown-field"],
)
def test_what_the_library_and_real_clients_send_beside_the_table_is_taken(
    hook: str, context: dict[str, object]
) -> None:
    validate_context(hook, context)


def test_a_misspelt_field_under_its_alias_is_checked_too() -> None:
    with pytest.raises(InvalidField):
        validate_context("order-dispatch", {**MINIMAL["order-dispatch"], "fulfillment-tasks": "Task/1"})


def test_an_organisations_own_hook_is_held_to_a_usable_patient_id_only() -> None:
    validate_context("org.example.ward-round", {"ward": "3b"})
    with pytest.raises(InvalidField):
        validate_context("org.example.ward-round", {"patientId": ""})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patient-view", True),
        ("org.example.ward-round", True),
        ("ward-round", False),
        ("", False),
        ("org..example", False),
        ("Org example.x", False),
    ],
)
def test_a_hook_is_of_the_library_or_in_reverse_domain_notation(name: str, *, expected: bool) -> None:
    assert is_hook_name(name) is expected


def test_deprecated_hooks_name_their_successors() -> None:
    assert {hook.name: hook.replaced_by for hook in HOOKS.values() if hook.deprecated} == {
        "medication-prescribe": ("order-select", "order-sign"),
        "order-review": ("order-sign",),
    }
