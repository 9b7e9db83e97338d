"""Discovery: how services are described, and who answers which hook."""

import json
from typing import Any

import pytest

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.errors import InvalidAnswer, UnknownService, WrongHook


def _service(**fields: Any) -> ServiceDescription:
    return ServiceDescription(
        **({"hook": "patient-view", "id": "weight", "title": "Weight", "description": "Loss of weight."} | fields)
    )


def test_a_description_leaves_in_camel_case_without_empty_fields() -> None:
    registry = ServiceRegistry(
        services=(_service(), _service(id="full", usage_requirements="Weighed twice.", hook_version="1.0"))
    )
    assert json.loads(registry.discovery) == {
        "services": [
            {"hook": "patient-view", "id": "weight", "title": "Weight", "description": "Loss of weight."},
            {
                "hook": "patient-view",
                "id": "full",
                "title": "Weight",
                "description": "Loss of weight.",
                "usageRequirements": "Weighed twice.",
                "hookVersion": "1.0",
            },
        ]
    }


def test_templates_keep_their_order() -> None:
    prefetch = {"z": "Patient/{{context.patientId}}", "a": "Observation?patient={{context.patientId}}"}
    document = json.loads(ServiceRegistry(services=(_service(prefetch=prefetch),)).discovery)
    assert list(document["services"][0]["prefetch"]) == ["z", "a"]


def test_a_server_without_services_has_an_empty_list() -> None:
    assert ServiceRegistry(services=()).discovery == b'{"services":[]}'


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"id": ""}, "part of a URL"),
        ({"id": "a/b"}, "part of a URL"),
        ({"id": "a b"}, "part of a URL"),
        ({"id": "../etc"}, "part of a URL"),
        ({"title": ""}, "title: expected text"),
        ({"description": ""}, "description: expected text"),
        ({"usage_requirements": ""}, "usage_requirements: expected text"),
        ({"hook": "ward-round"}, "reverse domain"),
        ({"hook": "order-review"}, "deprecated; use order-sign"),
        ({"version": "STU2"}, "semantic version"),
        ({"hook_version": "9.9"}, "expected a hook_version of patient-view: 1.0"),
        ({"extension": {"crd": 1}}, "globally unique names"),
        ({"prefetch": {"": "Patient/1"}}, "expected a name"),
        ({"prefetch": {"patient": "Patient/{{context.personId}}"}}, "expected tokens"),
    ],
    ids=repr,
)
def test_a_description_that_breaks_a_rule_cannot_be_built(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidAnswer, match=complaint):
        _service(**fields)


@pytest.mark.parametrize("hook", ["order-sign", "org.example.ward-round"])
def test_hooks_of_the_library_and_of_an_organisation_are_taken(hook: str) -> None:
    assert _service(hook=hook).hook == hook


REGISTRY = ServiceRegistry(
    services=(_service(), _service(id="height"), _service(hook="order-sign"), _service(hook="encounter-start"))
)


def test_several_services_share_a_hook() -> None:
    assert REGISTRY.services_on("patient-view") == ("weight", "height")
    assert REGISTRY.services_on("order-select") == ()


def test_one_id_serves_several_hooks() -> None:
    assert REGISTRY.hooks_of("weight") == {"patient-view", "order-sign", "encounter-start"}
    assert REGISTRY.describe("weight", "order-sign").hook == "order-sign"


def test_the_same_id_twice_on_one_hook_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="listed twice on patient-view"):
        ServiceRegistry(services=(_service(), _service(title="Another")))


def test_an_unknown_service_is_told_before_its_hook() -> None:
    with pytest.raises(UnknownService):
        REGISTRY.describe("nobody", "patient-view")


@pytest.mark.parametrize(
    ("hook", "came"), [("order-sign", "order-sign"), ("Mrs Smith", "another string")], ids=["library", "other"]
)
def test_a_wrong_hook_is_told_with_the_right_ones_and_repeats_only_names_of_the_library(hook: str, came: str) -> None:
    with pytest.raises(WrongHook) as caught:
        REGISTRY.describe("height", hook)
    assert caught.value.message == f"Expected patient-view as hook, got {came}."
