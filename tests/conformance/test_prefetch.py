"""X: the data that a service needs, where it may come from, and what must never leave."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import pytest

from tests.conformance.client import Client, cards, refused
from tests.conformance.requests import CALL, TOKEN, request, searchset, weight, without


@pytest.mark.parametrize(
    "prefetch",
    [
        {"prefetch": {}},
        {"prefetch": {"other": None}},
        {"prefetch": {"weights": {"resourceType": "OperationOutcome", "issue": []}}},
    ],
    ids=["absent", "other-key", "outcome"],
)
def test_X_01_X_02_X_04_needed_data_that_is_nowhere_is_a_412(client: Client, prefetch: dict[str, object]) -> None:
    assert refused(client.post(CALL, request(**prefetch)), 412)["code"] == "incomplete"


def test_X_01_a_request_without_prefetch_is_a_412(client: Client) -> None:
    refused(client.post(CALL, without(request(), "prefetch")), 412)


@pytest.mark.parametrize("weights", [None, searchset(), {"resourceType": "Bundle", "type": "searchset"}], ids=repr)
def test_X_03_X_05_no_such_data_is_an_answer_and_no_error(client: Client, weights: object) -> None:
    assert cards(client.post(CALL, request(weights))).cards == ()


def test_X_18_outcomes_in_a_searchset_are_ignored(client: Client) -> None:
    outcome = {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}}
    assert cards(client.post(CALL, request(searchset(outcome, weight(72, 20), weight(80, 1))))).cards


@pytest.mark.parametrize(
    ("extra", "status"),
    [({}, 200), ({"hook": "order-sign"}, 400), ({"fhirServer": "ftp://x"}, 400), ({"prefetch": {}}, 412)],
    ids=["answered", "wrong-hook", "bad-server", "no-data"],
)
def test_X_22_no_token_comes_back(client: Client, extra: dict[str, object], status: int) -> None:
    access = {"fhirServer": "https://ehr.example", "fhirAuthorization": TOKEN}
    response = client.post(CALL, request(**(access | extra)), authorization="Bearer CANARY-JWT")
    assert response.status_code == status
    assert "CANARY" not in response.text
    assert "CANARY" not in str(response.headers)


@pytest.mark.parametrize("url", ["https://ehr.example/fhir", "https://ehr.example/fhir/"])
def test_X_23_X_27_a_server_without_a_token_is_taken_with_and_without_slash(client: Client, url: str) -> None:
    assert cards(client.post(CALL, request(fhirServer=url))).cards


@pytest.mark.parametrize(
    "weights",
    [7, "text", True, [], {}, {"resourceType": "Patient"}, {"resourceType": "Bundle", "entry": 7}, searchset(7)],
    ids=repr,
)
def test_X_26_prefetch_of_a_wrong_type_is_no_answer_and_no_fault(client: Client, weights: object) -> None:
    response = client.post(CALL, request(weights))
    if response.status_code == 200:
        assert cards(response).cards == ()
    else:
        refused(response)
