"""Prefetch templates: read at start, filled for the FHIR server as a client would."""

# ruff: noqa: N802 - a test that holds a requirement carries its id

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.discovery import ServiceDescription
from cds_hooks.errors import InvalidAnswer
from cds_hooks.fhirpath import Scope
from cds_hooks.templates import Unfillable, fill, read_template, read_templates
from tests.cds_hooks.test_fhirpath import SCOPE

TODAY = date(2024, 9, 13)
DRAFTS = "context.draftOrders.entry.resource"

# The templates of the specification's own examples (CDS Hooks 2.0.1 and 3.0 ballot), and what they ask for.
FILLED: Mapping[str, str] = {
    "Patient/{{context.patientId}}": "Patient/p1",
    "Condition?patient={{context.patientId}}": "Condition?patient=p1",
    "{{context.userId}}": "PractitionerRole/r1",
    "PractitionerRole?_id={{userPractitionerRoleId}}&_include=PractitionerRole:practitioner": (
        "PractitionerRole?_id=r1&_include=PractitionerRole:practitioner"
    ),
    "Observation?patient={{context.patientId}}&category=laboratory&date=gt{{today() - 90 days}}": (
        "Observation?patient=p1&category=laboratory&date=gt2024-06-15"
    ),
    "Appointment?patient={{context.patientId}}&date=gt{{today()}}&date=lt{{today() + 365 days}}": (
        "Appointment?patient=p1&date=gt2024-09-13&date=lt2025-09-13"
    ),
    f"Medication?_id={{{{{DRAFTS}.ofType(MedicationRequest).medication.resolve().id}}}}": "Medication?_id=m1,m2,inside",
    f"Practitioner?_id={{{{{DRAFTS}.ofType(MedicationRequest).requester.resolve().ofType(Practitioner).id}}}}": (
        "Practitioner?_id=d1,d2"
    ),
    "Practitioner?_id={{%encounter.participant.individual.resolve().ofType(Practitioner).id}}": "Practitioner?_id=a",
    "ServiceRequest?requester={{context.userId}}": "ServiceRequest?requester=PractitionerRole%2Fr1",
}


@pytest.mark.parametrize(("text", "url"), FILLED.items(), ids=FILLED)
def test_a_template_is_filled_as_the_specification_fills_it(text: str, url: str) -> None:
    assert fill(read_template(text, "order-sign"), SCOPE) == url


@pytest.mark.parametrize(
    ("text", "version", "kind", "resource_type"),
    [
        ("Patient/{{context.patientId}}", "2.0", "read", "Patient"),
        ("{{context.userId}}", "2.0", "read", None),
        ("Practitioner?_id={{userPractitionerId}}", "2.0", "search", "Practitioner"),
        ("Condition?patient={{%context.patientId}}", "3.0", "search", "Condition"),
        ("Observation?date=ge{{today() - 3 days}}", "3.0", "search", "Observation"),
        ("Practitioner?_id={{userPractitionerId|context.userId}}", "3.0", "search", "Practitioner"),
        (f"Medication?_id={{{{{DRAFTS}.id}}}}", "3.0", "search", "Medication"),
        ("Medication?_id={{%other.id}}", "3.0", "search", "Medication"),
    ],
)
def test_a_template_says_what_it_asks_for_and_who_understands_it(
    text: str, version: str, kind: str, resource_type: str | None
) -> None:
    template = read_template(text, "order-sign")
    assert ("search" if template.is_search else "read") == kind
    assert (template.version, template.resource_type) == (version, resource_type)


REFUSED: Mapping[str, str] = {
    "Patient/{{context.patientid}}": "expected tokens that order-sign allows",
    "Patient/{{context.draftOrders}}": "expected tokens that order-sign allows",
    "Condition?patient={{context.unknown.id}}": "expected tokens that order-sign allows",
    "Patients/{{context.patientId}}": "of a FHIR resource type",
    "Patient/{{context.patientId}}/Condition?x=1": "expected Type/id",
    "https://elsewhere.example/Patient/{{context.patientId}}": "expected Type/id",
    "/Patient/{{context.patientId}}": "expected Type/id",
    "Patient/{{context.patientId}} ": "expected Type/id",
    "Condition?patient={context.patientId}": "expected Type/id",
    "Condition?patient={{context.patientId}": "expected Type/id",
    "Condition": "expected Type/id",
    "": "expected Type/id",
    "{{context.patientId}}": "expected Type/id",
    "{{context.userId}}{{context.patientId}}": "expected Type/id",
    "{{context.userId.resolve()}}": "expected Type/id",
    "Condition?patient={{context.patientId.first()}}": "Simpler FHIRPath",
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.items(), ids=REFUSED)
def test_a_wrong_template_is_told_at_start(text: str, expected: str) -> None:
    with pytest.raises(InvalidAnswer) as raised:
        read_template(text, "order-sign")
    assert expected in str(raised.value)
    assert repr(text) in str(raised.value)


def test_an_organisations_own_hook_has_fields_that_only_it_knows() -> None:
    assert read_template("Patient/{{context.who}}", "org.example.round").version == "2.0"
    assert read_template("{{context.whom}}", "org.example.round").resource_type is None


def test_P_07_templates_may_need_what_stands_before_them_and_nothing_else() -> None:
    """So no cycle passes."""
    first, second = "Encounter/{{context.encounterId}}", "Practitioner?_id={{%first.participant.id}}"
    assert read_templates({"first": first, "second": second}, "order-sign")["second"].keys == {"first"}
    for wrong in ({"second": second, "first": first}, {"first": second}):
        with pytest.raises(InvalidAnswer, match="expected only keys of templates listed before it, got first"):
            read_templates(wrong, "order-sign")


UNFILLABLE = {
    "a field that did not come": ("Encounter/{{context.encounterId}}", "context"),
    "a user of another type": ("Patient/{{userPatientId}}", "context"),
    "a key that did not come": ("Practitioner?_id={{%unread.id}}", "prefetch"),
    "a resource that did not come": (f"Group?code={{{{{DRAFTS}.requester.resolve().code}}}}", "prefetch"),
    "a whole element": (f"Group?code={{{{{DRAFTS}.requester}}}}", "value"),
    "several ids to read": (f"Medication/{{{{{DRAFTS}.id}}}}", "value"),
    "a reference for an id": ("Practitioner/{{context.userId}}", "value"),
}


@pytest.mark.parametrize(("text", "lacks"), UNFILLABLE.values(), ids=UNFILLABLE)
def test_a_template_that_cannot_be_filled_says_what_it_lacks(text: str, lacks: str) -> None:
    with pytest.raises(Unfillable) as raised:
        fill(read_template(text, "order-sign"), SCOPE)
    assert raised.value.lacks == lacks


def test_a_path_that_finds_nothing_asks_for_nothing() -> None:
    assert fill(read_template(f"Medication?_id={{{{{DRAFTS}.ofType(Patient).id}}}}", "order-sign"), SCOPE) is None


@pytest.mark.parametrize("value", ["..", ".", "a/b", "a b", "a?b", "a#b", "%2e%2e", "ä", "a\n", "x" * 257])
def test_an_id_never_leads_elsewhere_on_the_server(value: str) -> None:
    scope = Scope(context={"patientId": value}, today=TODAY)
    with pytest.raises(Unfillable):
        fill(read_template("Patient/{{context.patientId}}", "patient-view"), scope)


@pytest.mark.parametrize(
    "value", ["Patient/..", "Nothing/a", "Patient/a/_history/1", "https://e.example/Patient/a", "a"]
)
def test_a_reference_is_read_only_as_type_and_id(value: str) -> None:
    scope = Scope(context={"userId": value}, today=TODAY)
    with pytest.raises(Unfillable):
        fill(read_template("{{context.userId}}", "patient-view"), scope)


CONDITIONS = read_template("Condition?patient={{context.patientId}}&_count=9", "patient-view")


def _unescaped(value: str) -> list[str]:
    """The alternatives of a search value (FHIR R4, search, "Escaping Search Parameters")."""
    found, escaped = [""], False
    for letter in value:
        if letter == "," and not escaped:
            found.append("")
        elif letter != "\\" or escaped:
            found[-1] += letter
        escaped = letter == "\\" and not escaped
    return found


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_value_becomes_two_or_another_parameter(value: str) -> None:
    url = fill(CONDITIONS, Scope(context={"patientId": value}, today=TODAY))
    assert url is not None
    query = parse_qs(url.partition("?")[2], keep_blank_values=True, strict_parsing=True)
    assert set(query) == {"patient", "_count"}
    assert _unescaped(query["patient"][0]) == [value]


FOR_VERSION_2 = {
    "read": ("Patient/{{context.patientId}}", "patient-view", True),
    "read-by-user": ("Practitioner/{{userPractitionerId}}", "patient-view", True),
    "fixed-read": ("Questionnaire/intake-1", "patient-view", True),
    "search": ("Observation?patient={{context.patientId}}&_sort=-date", "patient-view", True),
    "search-by-code": (
        "Observation?patient={{context.patientId}}&code=http://loinc.org|8867-4,http://loinc.org|9279-1",
        "patient-view",
        True,
    ),
    "search-by-date": ("Observation?patient={{context.patientId}}&date=ge2026-01-01", "patient-view", True),
    "own-hook": ("Location/{{context.wardId}}", "org.example.ward-round", True),
    "absolute": ("https://ehr.example/Patient/{{context.patientId}}", "patient-view", False),
    "leading-slash": ("/Patient/{{context.patientId}}", "patient-view", False),
    "operation": ("Patient/{{context.patientId}}/$everything", "patient-view", False),
    "history": ("Patient/{{context.patientId}}/_history", "patient-view", False),
    "type-only": ("Patient", "patient-view", False),
    "empty": ("", "patient-view", False),
    "space": ("Observation?patient={{context.patientId}}&code=a b", "patient-view", False),
    "unclosed-token": ("Patient/{{context.patientId", "patient-view", False),
    "bare-field": ("Patient/{{patientId}}", "patient-view", False),
    "percent-context": ("Encounter/{{%context.encounterId}}", "patient-view", False),
    "field-of-another-hook": ("Organization/{{context.performer}}", "patient-view", False),
    "no-token-field": ("Observation?x={{context.draftOrders}}", "order-sign", False),
    "fhirpath": ("Encounter?x={{context.draftOrders.entry.resource.id}}", "order-sign", False),
    "today": ("Observation?date=ge{{today()-90days}}", "patient-view", False),
    "own-hook-fhirpath": ("Location/{{context.ward.id}}", "org.example.ward-round", False),
}


@pytest.mark.parametrize(("template", "hook", "good"), FOR_VERSION_2.values(), ids=FOR_VERSION_2.keys())
def test_a_service_for_version_2_lists_templates_that_clients_of_version_2_understand(
    template: str, hook: str, *, good: bool
) -> None:
    fields: dict[str, Any] = {"hook": hook, "id": "a", "title": "A", "description": "A.", "prefetch": {"a": template}}
    for version in (None, "1.0.0", "2.0.1"):
        if good:
            assert ServiceDescription(**fields, version=version).prefetch == {"a": template}
        else:
            with pytest.raises(InvalidAnswer, match=r"(?i)prefetch template"):
                ServiceDescription(**fields, version=version)


@pytest.mark.parametrize(
    "token", ["today() - 90 days", "%patient.id", "%context.patientId", "context.patientId | %patient.id"]
)
def test_a_service_for_version_3_may_list_what_needs_version_3(token: str) -> None:
    prefetch = {"patient": "Patient/{{context.patientId}}", "conditions": f"Condition?x={{{{{token}}}}}"}
    fields: dict[str, Any] = {
        "hook": "patient-view",
        "id": "a",
        "title": "A",
        "description": "A.",
        "prefetch": prefetch,
    }
    assert ServiceDescription(**fields, version="3.0.0-ballot").prefetch == prefetch
    with pytest.raises(InvalidAnswer, match=r"expected what clients of CDS Hooks 2\.0 understand"):
        ServiceDescription(**fields, version="2.0.1")


@pytest.mark.parametrize("argument", ["Quantity", "string", "FHIR.Practitioner", "Practitioners", "", "'Practitioner'"])
def test_P_08_of_type_takes_a_resource_type(argument: str) -> None:
    def described(resource_type: str) -> ServiceDescription:
        token = f"context.draftOrders.entry.resource.requester.resolve().ofType({resource_type}).id"
        return ServiceDescription(
            hook="order-sign", id="a", title="A", description="A.", version="3.0.0-ballot",
            prefetch={"requester": f"Practitioner?_id={{{{{token}}}}}"},
        )  # fmt: skip

    assert described("Practitioner").prefetch
    with pytest.raises(InvalidAnswer, match="Simpler FHIRPath"):
        described(argument)


def test_a_template_that_needs_a_later_key_fails_with_the_service() -> None:
    prefetch = {"encounter": "Encounter?patient={{%patient.id}}", "patient": "Patient/{{context.patientId}}"}
    with pytest.raises(InvalidAnswer, match="expected only keys of templates listed before it, got patient"):
        ServiceDescription(
            hook="patient-view", id="a", title="A", description="A.", prefetch=prefetch, version="3.0.0-ballot"
        )


def test_a_value_that_looks_like_a_token_is_not_filled_again() -> None:
    scope = Scope(context={"userId": "Practitioner/{{context.patientId}}", "patientId": "p1"}, today=TODAY)
    template = read_template("Group?member={{userPractitionerId}}&code=x", "patient-view")
    assert fill(template, scope) == "Group?member=%7B%7Bcontext.patientId%7D%7D&code=x"


@pytest.mark.parametrize("context", [{"userId": "Practitioner"}, {}], ids=["without an id", "without a user"])
def test_a_user_without_an_id_fills_no_token(context: dict[str, object]) -> None:
    with pytest.raises(Unfillable):
        fill(read_template("Practitioner/{{userPractitionerId}}", "patient-view"), Scope(context=context, today=TODAY))


def test_a_template_shows_its_text() -> None:
    template = read_template("Patient/{{context.patientId}}", "patient-view")
    assert repr(template) == "Template(text='Patient/{{context.patientId}}', resource_type='Patient')"
