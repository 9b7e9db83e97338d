"""Prefetch templates: read at start, filled for the FHIR server as a client would."""

from collections.abc import Mapping
from datetime import date
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hooks.errors import InvalidAnswer
from cds_hooks.fhirpath import Scope
from cds_hooks.prefetch import fill_template, validate_template
from cds_hooks.templates import Unfillable, fill, read_template, read_templates
from tests.cds_hooks.test_fhirpath import SCOPE

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


def test_templates_may_need_what_stands_before_them_and_nothing_else() -> None:
    """P-07: so no cycle passes."""
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
    scope = Scope(context={"patientId": value}, today=date(2024, 9, 13))
    with pytest.raises(Unfillable):
        fill(read_template("Patient/{{context.patientId}}", "patient-view"), scope)


@pytest.mark.parametrize(
    "value", ["Patient/..", "Nothing/a", "Patient/a/_history/1", "https://e.example/Patient/a", "a"]
)
def test_a_reference_is_read_only_as_type_and_id(value: str) -> None:
    scope = Scope(context={"userId": value}, today=date(2024, 9, 13))
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
    url = fill(CONDITIONS, Scope(context={"patientId": value}, today=date(2024, 9, 13)))
    assert url is not None
    query = parse_qs(url.partition("?")[2], keep_blank_values=True, strict_parsing=True)
    assert set(query) == {"patient", "_count"}
    assert _unescaped(query["patient"][0]) == [value]


@given(st.from_regex(r"[A-Za-z0-9-]{1,64}", fullmatch=True))
def test_plain_templates_are_filled_as_those_of_version_2(patient_id: str) -> None:
    context = {"patientId": patient_id, "userId": "Practitioner/d1"}
    for text in (
        "Patient/{{context.patientId}}",
        "Condition?patient={{context.patientId}}&asserter={{context.userId}}",
    ):
        validate_template(text, "patient-view")
        url = fill(read_template(text, "patient-view"), Scope(context=context, today=date(2024, 9, 13)))
        assert url == fill_template(text, context)


def test_a_template_shows_its_text() -> None:
    template = read_template("Patient/{{context.patientId}}", "patient-view")
    assert repr(template) == "Template(text='Patient/{{context.patientId}}', resource_type='Patient')"
