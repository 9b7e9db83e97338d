"""Simpler FHIRPath: what a token may say, and that it means what a whole FHIRPath engine takes it to mean.

`resolve()` is not in the other engine; its tests are the specification's own examples and tables.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.fhir_names import CHOICE_TYPES, CHOICES, RESOURCE_TYPES
from cds_hooks.fhirpath import Expression, FhirPathError, OutOfReach, Scope, Values, evaluate, parse

TODAY = date(2024, 9, 13)  # as in the specification's example
R4 = models["r4"]

# The example of order-sign in CDS Hooks 3.0 (ballot), with shorter ids and a few orders more.
DRAFTS = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "rx1",
                "medicationReference": {"reference": "Medication/m1", "display": "DEXTROMETHORPHAN"},
                "requester": {"reference": "PractitionerRole/r1"},
            }
        },
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "rx2",
                "medicationReference": {"reference": "Medication/m2/_history/3"},
                "requester": {"reference": "Practitioner/d1"},
            }
        },
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "rx3",
                "contained": [{"resourceType": "Medication", "id": "inside", "status": "active"}],
                "medicationReference": {"reference": "#inside"},
                "requester": {"reference": "https://ehr.example/r4/Practitioner/d2"},
            }
        },
        {
            "resource": {
                "resourceType": "MedicationRequest",
                "id": "rx4",
                "medicationCodeableConcept": {"coding": [{"code": "J01GB03"}]},
                "requester": {"reference": "https://elsewhere.example/r4/Practitioner/d3"},
            }
        },
        {
            "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
            "resource": {
                "resourceType": "ServiceRequest",
                "id": "sr1",
                "status": "draft",
                "priority": "stat",
                "doNotPerform": False,
                "quantityQuantity": {"value": 2},
                "reasonReference": [{"reference": "Condition/c1"}, {"reference": "Observation/o1"}],
                "basedOn": [{"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}],
                "replaces": [{"reference": "MedicationRequest/rx2"}, {"display": "one on paper"}],
            },
        },
    ],
}
CONTEXT = {
    "userId": "PractitionerRole/r1",
    "patientId": "p1",
    "performer": "Organization/org1",
    "dispatchedOrders": ["ServiceRequest/s1", "ServiceRequest/s2"],
    "draftOrders": DRAFTS,
}
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e1",
    "participant": [
        {"individual": {"reference": "Practitioner/a"}},
        {"individual": {"reference": "PractitionerRole/b"}},
    ],
}
SCOPE = Scope(
    context=CONTEXT,
    today=TODAY,
    base="https://ehr.example/r4",
    prefetched={
        "encounter": ENCOUNTER,
        "serviceConditions": [
            {"entry": [{"resource": {"resourceType": "Condition", "asserter": {"reference": "Practitioner/q"}}}]},
            {"entry": [{"resource": {"resourceType": "Condition", "asserter": {"reference": "PractitionerRole/s"}}}]},
        ],
        "none": None,
        "observations-2": {"resourceType": "Observation", "id": "o2"},
    },
)
ORDERS = "context.draftOrders.entry.resource"


def values(text: str, scope: Scope = SCOPE) -> Values:
    return evaluate(parse(text), scope)


MEANINGS: Mapping[str, tuple[str, ...]] = {
    "context.patientId": ("p1",),
    "%context.patientId": ("p1",),
    "context.dispatchedOrders": ("ServiceRequest/s1", "ServiceRequest/s2"),
    "userPractitionerRoleId": ("r1",),
    "today()": ("2024-09-13",),
    "today() - 90 days": ("2024-06-15",),
    "today()-90 days": ("2024-06-15",),
    "today() + 365 days": ("2025-09-13",),
    f"{ORDERS}.id": ("rx1", "rx2", "rx3", "rx4", "sr1"),
    f"{ORDERS}.ofType(ServiceRequest).id": ("sr1",),
    f"{ORDERS}.ofType( ServiceRequest ).priority": ("stat",),
    f"{ORDERS}.doNotPerform": ("false",),
    f"{ORDERS}.ofType(ServiceRequest).quantity.value": ("2",),
    f"{ORDERS}.ofType(Patient).id": (),
    f"{ORDERS}.ofType(MedicationRequest).medication.reference": (
        "Medication/m1",
        "Medication/m2/_history/3",
        "#inside",
    ),
    # resolve(): what the reference tells is known without reading
    f"{ORDERS}.ofType(MedicationRequest).medication.resolve().id": ("m1", "m2", "inside"),
    f"{ORDERS}.ofType(MedicationRequest).medication.resolve().ofType(Medication).id": ("m1", "m2", "inside"),
    f"{ORDERS}.ofType(MedicationRequest).requester.resolve().ofType(Practitioner).id": ("d1", "d2"),
    f"{ORDERS}.ofType(ServiceRequest).reasonReference.resolve().ofType(Condition).id": ("c1",),
    f"{ORDERS}.basedOn.resolve().status": ("draft",),
    f"{ORDERS}.replaces.resolve().requester.resolve().id": ("d1",),
    f"{ORDERS}.replaces.resolve().medication.resolve().id": ("m2",),
    "context.dispatchedOrders.resolve().id": ("s1", "s2"),
    "context.performer.resolve().ofType(Organization).id": ("org1",),
    # other keys
    "%encounter.participant.individual.resolve().ofType(Practitioner).id": ("a",),
    "%serviceConditions.entry.resource.asserter.resolve().ofType(PractitionerRole).id": ("s",),
    "%`observations-2`.id": ("o2",),
    "%none.id": (),
    # pipes: each value once
    "%encounter.participant.individual.resolve().id | %serviceConditions.entry.resource.asserter.resolve().id": (
        "a",
        "b",
        "q",
        "s",
    ),
    "context.patientId|context.patientId": ("p1",),
    "context.nothing | context.patientId": ("p1",),
    "context.patientId.whatever": (),
}


@pytest.mark.parametrize(("text", "expected"), MEANINGS.items(), ids=MEANINGS)
def test_what_a_token_means(text: str, expected: tuple[str, ...]) -> None:
    assert values(text) == Values(texts=expected, is_known=True)


@pytest.mark.parametrize(
    "text", ["context.encounterId", "context.encounterId.x", "%unread.id", "userPatientId", "context.a | %b.id"]
)
def test_what_the_scope_lacks_is_not_known(text: str) -> None:
    """That is another thing than a path that finds nothing."""
    assert values(text) == Values(texts=(), is_known=False)


def test_of_a_resource_that_did_not_come_only_the_id_is_known() -> None:
    with pytest.raises(OutOfReach):
        values(f"{ORDERS}.ofType(MedicationRequest).medication.resolve().status")
    assert values(f"{ORDERS}.medication.resolve().ofType(Group).status").texts == ()


@pytest.mark.parametrize("text", ["context.draftOrders", f"{ORDERS}.requester", "%encounter"])
def test_a_whole_element_is_no_value(text: str) -> None:
    with pytest.raises(FhirPathError, match="expected simple values"):
        values(text)


REFUSED: Mapping[str, str] = {
    "": "expected context.field",
    " ": "expected context.field",
    "context": "expected a field of the context",
    "%context": "expected a field of the context",
    "contextual.patientId": "expected context.field",
    "patientId": "expected context.field",
    "Patient.id": "expected context.field",
    "context.": "expected .element",
    "context..patientId": "expected .element",
    "context.patientId.": "expected .element",
    "context.ofType(Patient)": "expected a field of the context",
    "context.draftOrders.entry[0].resource": "expected .element",
    "context.draftOrders.entry.first()": "expected .element",
    "context.draftOrders.entry.where(resource.id = 'a')": "expected .element",
    "context.draftOrders.entry.resource as Patient": "expected .element",
    "context.draftOrders.entry.resource.ofType(Medicationrequest)": "expected a FHIR resource type",
    "context.draftOrders.entry.resource.ofType(string)": "expected a FHIR resource type",
    "context.draftOrders.entry.resource.ofType()": "expected .element",
    "context.medication.resolve(1)": "expected .element",
    "%resource.id.iif(true)": "expected .element",
    "context.patientId|": "expected context.field",
    "|": "expected context.field",
    "context.patientId + context.userId": "expected .element",
    "now()": "expected context.field",
    "today() - 90": "expected context.field",
    "today() - 90 day": "expected context.field",
    "today() - 3 months": "expected context.field",
    "today() - 90 'd'": "expected context.field",
    "today() - 100000 days": "expected context.field",
    "today() + 1 days + 1 days": "expected context.field",
    "today().id": "expected context.field",
    "%`a`b`.id": "expected .element",
    "%'a'.id": "expected context.field",
    "userId": "expected context.field",
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=REFUSED)
def test_what_no_token_may_say_is_told_with_the_token(text: str, expected: str) -> None:
    with pytest.raises(FhirPathError, match=r"CDS Hooks 3\.0, Simpler FHIRPath") as raised:
        parse(text)
    assert expected in str(raised.value)
    assert "{{" + text + "}}" in str(raised.value)


def test_a_token_says_which_keys_it_needs() -> None:
    assert parse("%a.id | context.x | %`b-2`.id | today()").keys == {"a", "b-2"}


def test_a_scope_and_its_values_show_nothing_of_the_patient() -> None:
    assert "p1" not in repr(SCOPE) + repr(values("context.patientId"))


# Against a whole FHIRPath engine.


def other_engine(expression: str, context: Mapping[str, Any], prefetched: Mapping[str, Any]) -> list[Any]:
    """What fhirpathpy (beda-software, R4) makes of it."""
    found: list[Any] = fhirpathpy.evaluate({"context": context}, expression, {"context": context, **prefetched}, R4)
    return found


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


SAME = [text for text in MEANINGS if "resolve" not in text and not text.startswith("user") and "%none" not in text]


@pytest.mark.parametrize("text", [text for text in SAME if "today" not in text])
def test_a_whole_engine_means_the_same(text: str) -> None:
    prefetched = {key: value for key, value in SCOPE.prefetched.items() if value is not None}
    assert tuple(as_text(one) for one in other_engine(text, CONTEXT, prefetched)) == MEANINGS[text]


@settings(deadline=None)
@given(st.integers(0, 99_999), st.sampled_from("+-"))
def test_a_whole_engine_counts_the_same_days(days: int, sign: str) -> None:
    expression = f"today() {sign} {days} days"
    begin = date.today()  # noqa: DTZ011 - the other engine's own clock
    (found,) = other_engine(expression, {}, {})
    end = date.today()  # noqa: DTZ011
    assert str(found) in {evaluate(parse(expression), Scope(context={}, today=day)).texts[0] for day in (begin, end)}


NAMES = ("alpha", "beta", "id", "entry", "resource", "resourceType")
TYPES = ("Patient", "Condition", "MedicationRequest")
# No 0 and 1: the other engine takes them for false and true where it makes each value stand once.
SIMPLE = st.one_of(st.text(max_size=3), st.integers(2, 9), st.booleans())


def objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.dictionaries(st.sampled_from(NAMES[:-1]), children | st.lists(children, max_size=3), max_size=4)
    typed = st.builds(lambda value, name: {"resourceType": name, **value}, plain, st.sampled_from(TYPES))
    return plain | typed


TREES = objects(st.recursive(SIMPLE, objects, max_leaves=12))
STEPS = st.sampled_from([f".{name}" for name in NAMES] + [f".ofType({name})" for name in TYPES])
# Never ofType() right behind a variable: the other engine does not know the type of a variable itself.
PATHS = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(["context.alpha", "%context.beta", "%other.entry", "%other.alpha", "%`an-other`.entry"]),
    st.lists(STEPS, max_size=5),
)
TOKENS = st.lists(PATHS, min_size=1, max_size=3).map(" | ".join)


@settings(max_examples=200, deadline=None)
@given(TOKENS, TREES, TREES)
def test_a_whole_engine_finds_the_same_in_any_tree(expression: str, context: Any, other: Any) -> None:
    prefetched = {"other": other, "an-other": {"resourceType": "Bundle", "entry": [{"resource": other}]}}
    expected = other_engine(expression, context, prefetched)
    scope = Scope(context=context, today=TODAY, prefetched=prefetched)
    if any(isinstance(one, dict) for one in expected):
        with pytest.raises(FhirPathError):
            evaluate(parse(expression), scope)
        return
    found, expected_texts = evaluate(parse(expression), scope).texts, tuple(as_text(one) for one in expected)
    if "|" in expression:  # in any order, and what reads the same is the same in a URL
        assert (len(found), set(found)) == (len(set(found)), set(expected_texts))
    else:
        assert found == expected_texts


@given(st.text(max_size=30) | TOKENS.flatmap(lambda token: st.text(max_size=3).map(lambda more: token + more)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except FhirPathError:
        return
    assert isinstance(found, Expression)


def test_choices_are_elements_of_fhir_with_several_types() -> None:
    """The table against the other engine's, which is made of FHIR's StructureDefinitions (R4 and R5)."""
    paths = {**models["r5"]["choiceTypePaths"], **R4["choiceTypePaths"]}
    assert {path.rpartition(".")[2] for path in paths} >= CHOICES
    assert {kind for kinds in paths.values() for kind in kinds} >= set(CHOICE_TYPES)
    assert {"medication", "value", "occurrence", "reported", "code"} <= CHOICES


def test_resource_types_are_those_of_fhir() -> None:
    parents = {**models["r5"]["type2Parent"], **R4["type2Parent"]}
    concrete = {
        name for name, parent in parents.items() if parent in {"Resource", "DomainResource", "MetadataResource"}
    }
    abstract = {"DomainResource", "MetadataResource", "CanonicalResource"}
    assert concrete - abstract <= RESOURCE_TYPES
