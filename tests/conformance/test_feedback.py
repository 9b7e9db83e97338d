"""B: which feedback is taken and which is refused."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import pytest

from tests.conformance.client import Client, refused
from tests.conformance.requests import ACCEPTED, FEEDBACK, OVERRIDDEN, UNKNOWN, feedback, without
from tests.conformance.weight_check import WeightCheck

_REASON = {"code": "intended", "system": "https://bedside.example/reasons"}


def _taken(client: Client, services: WeightCheck, body: object) -> list[str]:
    """Cards whose outcomes were kept."""
    response = client.post(FEEDBACK, body)
    assert response.status_code == 200, response.text
    assert all(service == "weight-loss" for service, _ in services.outcomes)
    return [entry.card for _, entry in services.outcomes]


def test_B_01_B_02_accepted_with_its_suggestions_is_taken(client: Client, services: WeightCheck) -> None:
    assert _taken(client, services, feedback(ACCEPTED)) == ["c-1"]
    assert [each.id for each in services.outcomes[0][1].accepted_suggestions] == ["s-1"]


def test_B_03_overridden_without_a_reason_is_taken(client: Client, services: WeightCheck) -> None:
    assert _taken(client, services, feedback(OVERRIDDEN)) == ["c-2"]


@pytest.mark.parametrize("reason", [_REASON, {**_REASON, "display": "Intended"}], ids=["bare", "with-display"])
def test_B_04_overridden_with_reason_and_comment_is_taken(
    client: Client, services: WeightCheck, reason: dict[str, str]
) -> None:
    entry = {**OVERRIDDEN, "overrideReason": {"reason": reason, "userComment": "diet"}}
    assert _taken(client, services, feedback(entry)) == ["c-2"]


def test_B_05_several_entries_and_the_same_card_again_are_taken(client: Client, services: WeightCheck) -> None:
    assert _taken(client, services, feedback(ACCEPTED, OVERRIDDEN)) == ["c-1", "c-2"]
    assert _taken(client, services, feedback(ACCEPTED)) == ["c-1", "c-2", "c-1"]


def test_B_06_an_unknown_card_is_no_fault(client: Client, services: WeightCheck) -> None:
    assert _taken(client, services, feedback({**OVERRIDDEN, "card": "never-shown"})) == ["never-shown"]


@pytest.mark.parametrize("outcome", ["ignored", "Accepted", "", None, 7], ids=repr)
def test_B_07_other_outcomes_are_refused(client: Client, services: WeightCheck, outcome: object) -> None:
    refused(client.post(FEEDBACK, feedback({**ACCEPTED, "outcome": outcome})), 400)
    assert services.outcomes == []


@pytest.mark.parametrize("suggestions", [[], None, [{}], ["s-1"]], ids=repr)
def test_B_08_accepted_without_its_suggestions_is_refused(client: Client, suggestions: object) -> None:
    refused(client.post(FEEDBACK, feedback({**ACCEPTED, "acceptedSuggestions": suggestions})), 400)
    refused(client.post(FEEDBACK, feedback(without(ACCEPTED, "acceptedSuggestions"))), 400)


@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp"])
def test_B_09_a_missing_field_is_refused_and_nothing_of_the_body_is_kept(
    client: Client, services: WeightCheck, field: str
) -> None:
    assert refused(client.post(FEEDBACK, feedback(ACCEPTED, without(OVERRIDDEN, field))), 400)["code"] == "required"
    assert services.outcomes == []


@pytest.mark.parametrize("timestamp", ["yesterday", "2026-01-15", "2026-01-15T10:11:12", "15.01.2026", 1768471872])
def test_B_10_a_timestamp_that_is_not_rfc_3339_is_refused(client: Client, timestamp: object) -> None:
    refused(client.post(FEEDBACK, feedback({**OVERRIDDEN, "outcomeTimestamp": timestamp})), 400)


def test_B_11_a_comment_alone_is_taken(client: Client, services: WeightCheck) -> None:
    entry = {**OVERRIDDEN, "overrideReason": {"userComment": "diet"}}
    assert _taken(client, services, feedback(entry)) == ["c-2"]


def test_B_12_feedback_for_an_unknown_service_is_not_found(client: Client) -> None:
    refused(client.post(f"{UNKNOWN}/feedback", feedback(OVERRIDDEN)), 404)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"feedback":{}}', b'{"feedback":[7]}', b"\xff"], ids=repr)
def test_B_13_malformed_feedback_is_refused(client: Client, body: bytes) -> None:
    refused(client.post(FEEDBACK, body), 400)


def test_B_16_a_very_long_comment_is_taken(client: Client, services: WeightCheck) -> None:
    entry = {**OVERRIDDEN, "overrideReason": {"userComment": "👩‍⚕️ ü" * 20_000}}
    assert _taken(client, services, feedback(entry)) == ["c-2"]
