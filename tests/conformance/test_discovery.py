"""D, P and J: what discovery says, and how JSON looks."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import re
from typing import Any

import pytest

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import InvalidAnswer
from cds_hooks.hooks import HOOKS, is_hook_name
from cds_hooks.templates import read_template
from tests.conformance.client import Client, strict_json
from tests.conformance.weight_check import WeightCheck, weight_app


@pytest.fixture
def listed(client: Client) -> list[dict[str, Any]]:
    response = client.send("GET", "/cds-services")
    assert response.status_code == 200
    services: list[dict[str, Any]] = strict_json(response.content)["services"]
    return services


def _described(**fields: Any) -> ServiceDescription:
    return ServiceDescription(**({"hook": "patient-view", "id": "a", "title": "A", "description": "A."} | fields))


def test_J_01_answers_are_json_in_utf_8(client: Client) -> None:
    response = client.send("GET", "/cds-services")
    assert response.headers["content-type"] == "application/json"
    strict_json(response.content)


def test_J_02_to_04_nothing_in_discovery_is_null_or_empty(listed: list[dict[str, Any]]) -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict) and value:
            return [leaf for child in value.values() for leaf in leaves(child)]
        return [value]

    assert all(leaf not in (None, "", [], {}) for service in listed for leaf in leaves(service))


def test_D_01_discovery_answers_200_with_and_without_trailing_slash_and_to_head(client: Client) -> None:
    calls = [("GET", "/cds-services"), ("GET", "/cds-services/"), ("HEAD", "/cds-services")]
    assert [client.send(*call).status_code for call in calls] == [200, 200, 200]


def test_D_02_to_06_each_service_has_hook_description_id_and_title(listed: list[dict[str, Any]]) -> None:
    assert len(listed) == 3
    for service in listed:
        for field in ("hook", "description", "id", "title"):
            assert isinstance(service[field], str)
            assert service[field]


def test_D_05_each_id_is_the_last_segment_of_a_url_that_answers(client: Client, listed: list[dict[str, Any]]) -> None:
    for service in listed:
        assert client.post(f"/cds-services/{service['id']}", {}).status_code == 400


def test_D_07_templates_are_an_object_from_key_to_query(listed: list[dict[str, Any]]) -> None:
    for service in listed:
        assert all(isinstance(each, str) for pair in service["prefetch"].items() for each in pair)


def test_D_08_usage_requirements_are_text_for_people() -> None:
    described = _described(usage_requirements="Adults weighed twice.")
    document = strict_json(ServiceRegistry(services=(described,)).discovery)
    assert document["services"][0]["usageRequirements"] == "Adults weighed twice."
    with pytest.raises(InvalidAnswer):
        _described(usage_requirements="")


def test_D_09_the_version_is_semantic(listed: list[dict[str, Any]]) -> None:
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", service["version"]) for service in listed)
    with pytest.raises(InvalidAnswer):
        _described(version="STU3")


def test_D_10_a_hook_version_is_one_of_the_hooks_definition() -> None:
    assert _described(hook_version="1.0").hook_version == "1.0"
    with pytest.raises(InvalidAnswer):
        _described(hook_version="7.0")


def test_D_11_one_id_is_listed_on_several_hooks_and_several_services_on_one_hook(
    listed: list[dict[str, Any]],
) -> None:
    assert [(service["id"], service["hook"]) for service in listed] == [
        ("weight-loss", "patient-view"),
        ("weight-loss", "encounter-start"),
        ("weight-gain", "patient-view"),
    ]


def test_D_12_a_server_without_services_lists_none() -> None:
    class Empty(WeightCheck):
        registry = ServiceRegistry(services=())

    response = Client(weight_app(Empty())).send("GET", "/cds-services")
    assert (response.status_code, response.content) == (200, b'{"services":[]}')


def test_D_13_discovery_does_not_change_between_two_calls(client: Client) -> None:
    first, second = (client.send("GET", "/cds-services").content for _ in range(2))
    assert first == second


def test_D_14_hooks_outside_the_catalogue_are_in_reverse_domain_notation(listed: list[dict[str, Any]]) -> None:
    assert all(is_hook_name(service["hook"]) for service in listed)
    with pytest.raises(InvalidAnswer):
        _described(hook="ward-round")


def test_D_16_no_deprecated_hook_can_be_described() -> None:
    for hook in HOOKS.values():
        if hook.deprecated:
            with pytest.raises(InvalidAnswer):
                _described(hook=hook.name)


def test_D_17_unknown_properties_stand_under_extension(listed: list[dict[str, Any]]) -> None:
    known = {
        "hook",
        "title",
        "description",
        "id",
        "prefetch",
        "usageRequirements",
        "version",
        "hookVersion",
        "extension",
    }
    assert all(set(service) <= known for service in listed)


def test_D_18_the_endpoints_are_documented_for_people(client: Client) -> None:
    paths = client.send("GET", "/openapi.json").json()["paths"]
    assert sorted(paths) == ["/cds-services", "/cds-services/{service_id}", "/cds-services/{service_id}/feedback"]
    operation = paths["/cds-services/{service_id}"]["post"]
    assert "patient-view" in operation["requestBody"]["content"]["application/json"]["examples"]
    assert {"200", "400", "404", "412", "413", "415", "500"} <= set(operation["responses"])


@pytest.mark.parametrize(
    "template",
    ["https://ehr.example/Patient/1", "/Patient/1", "Patient/1/$everything", "Patient"],
    ids=["absolute", "leading-slash", "operation", "type-only"],
)
def test_P_01_a_template_is_a_relative_read_or_search(template: str) -> None:
    with pytest.raises(InvalidAnswer):
        _described(prefetch={"a": template})


def test_P_01_every_listed_template_keeps_the_rules(listed: list[dict[str, Any]]) -> None:
    for service in listed:
        for template in service["prefetch"].values():
            assert read_template(template, service["hook"]).version == "2.0"


@pytest.mark.parametrize(
    "token", ["userPractitionerId", "userPractitionerRoleId", "userPatientId", "userRelatedPersonId"]
)
def test_P_02_the_user_may_be_named_by_its_type(token: str) -> None:
    assert _described(prefetch={"user": f"Practitioner/{{{{{token}}}}}"}).prefetch


@pytest.mark.parametrize("token", ["patientId", "context.", "Context.patientId", "%context.patientId"])
def test_P_03_a_context_field_is_written_with_context_before_it(token: str) -> None:
    with pytest.raises(InvalidAnswer):
        _described(prefetch={"patient": f"Patient/{{{{{token}}}}}"})


@pytest.mark.parametrize(
    ("hook", "name"), [(hook.name, field.name) for hook in HOOKS.values() for field in hook.context if not field.token]
)
def test_P_04_a_field_that_is_no_token_is_not_used_as_one(hook: str, name: str) -> None:
    with pytest.raises(InvalidAnswer):
        read_template(f"Observation?x={{{{context.{name}}}}}", hook)


@pytest.mark.parametrize("path", ["context.draftOrders.entry", "today()", "%patient.id", "context.patientId | 'a'"])
def test_P_05_tokens_stay_on_the_first_level(path: str) -> None:
    with pytest.raises(InvalidAnswer):
        _described(hook="order-sign", prefetch={"a": f"Observation?x={{{{{path}}}}}"})
