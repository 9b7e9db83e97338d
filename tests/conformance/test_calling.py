"""R: what a service takes and what it refuses."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import json
from typing import Any

import pytest

from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.hooks import HOOKS
from tests.conformance.client import Call, Client, cards, refused
from tests.conformance.requests import CALL, LOSS, STEADY, TOKEN, UNKNOWN, request, searchset, weight, without
from tests.conformance.weight_check import WeightCheck, weight_app


def test_R_01_a_call_answers_200_with_cards(client: Client) -> None:
    (card,) = cards(client.post(CALL, request())).cards
    assert card.summary == "Weight changed by -10 %: 80 to 72 kg"


def test_R_02_the_optional_fields_change_nothing(client: Client) -> None:
    full = request(fhirServer="https://ehr.example/fhir", fhirAuthorization=TOKEN, extension={"org.example.x": 1})
    assert client.post(CALL, full).content == client.post(CALL, request()).content


@pytest.mark.parametrize("extension", [{}, {"org.example.crd": {"max-cards": 10}}, {"a": None}], ids=repr)
def test_R_03_an_extension_is_allowed(client: Client, extension: dict[str, object]) -> None:
    assert cards(client.post(CALL, request(extension=extension))).cards


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context"])
def test_R_04_R_06_R_08_a_missing_field_is_refused_and_named(client: Client, field: str) -> None:
    issue = refused(client.post(CALL, without(request(), field)), 400)
    assert (issue["code"], issue["expression"]) == ("required", [field])


@pytest.mark.parametrize("hook", ["order-sign", "encounter-discharge", "org.example.other", "Patient-View", "nonsense"])
def test_R_05_a_hook_other_than_the_services_is_refused(client: Client, hook: str) -> None:
    refused(client.post(CALL, request(hook=hook)), 400)


def test_R_05_the_refusal_names_the_hooks_of_the_service(client: Client) -> None:
    context = {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"}
    issue = refused(client.post(CALL, request(hook="encounter-discharge", context=context)), 400)
    assert issue["diagnostics"] == "Expected encounter-start or patient-view as hook, got encounter-discharge."


def test_D_11_the_same_service_answers_its_other_hook(client: Client) -> None:
    context = {"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"}
    assert cards(client.post(CALL, request(hook="encounter-start", context=context))).cards


@pytest.mark.parametrize("hook_instance", ["1", "not-a-uuid", "d1577c69dfbe44adba6d3e05e953b2ea", ""])
def test_R_07_a_hook_instance_that_is_no_uuid_is_refused(client: Client, hook_instance: str) -> None:
    refused(client.post(CALL, request(hookInstance=hook_instance)), 400)


@pytest.mark.parametrize("context", [None, [], "p1", 7, {}], ids=repr)
def test_R_08_a_context_that_is_no_object_is_refused(client: Client, context: object) -> None:
    refused(client.post(CALL, request(context=context)), 400)


@pytest.mark.parametrize("patient_id", ["", " ", None, 7, ["p1"], {"id": "p1"}, "Patient/p1"], ids=repr)
def test_R_09_a_patient_id_that_is_no_id_is_refused(client: Client, patient_id: object) -> None:
    context = {"userId": "Practitioner/1", "patientId": patient_id}
    issue = refused(client.post(CALL, request(context=context)), 400)
    assert issue["expression"] == ["context.patientId"]


def test_R_10_any_other_required_context_field_is_missed(client: Client) -> None:
    assert refused(client.post(CALL, request(context={"patientId": "p1"})), 400)["expression"] == ["context.userId"]


def test_R_11_a_token_without_its_server_is_refused(client: Client) -> None:
    issue = refused(client.post(CALL, request(fhirAuthorization=TOKEN)), 400)
    assert issue["expression"] == ["fhirServer"]


@pytest.mark.parametrize(
    "fields",
    [
        {"fhirAuthorization": without(TOKEN, "access_token")},
        {"fhirAuthorization": {**TOKEN, "token_type": "MAC"}},
        {"fhirAuthorization": {**TOKEN, "access_token": "a\r\nX-Evil: 1"}},
        {"fhirAuthorization": {**TOKEN, "expires_in": "soon"}},
        {"fhirServer": "https://ehr.example:99999"},
        {"fhirServer": "file:///etc/passwd"},
        {"fhirServer": 7},
    ],
    ids=["no-token", "mac", "header-injection", "expires-as-text", "bad-port", "file", "number"],
)
def test_R_12_X_35_broken_access_is_refused(client: Client, fields: dict[str, object]) -> None:
    full = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": TOKEN} | fields
    refused(client.post(CALL, request(**full)), 400)


@pytest.mark.parametrize(
    "body", [b"{", b"{'hook': 1}", b'{"hook": }', b"hook=patient-view", b"\xef\xbb\xbf{}", b'{"a":1,}']
)
def test_R_13_malformed_json_is_refused(client: Client, body: bytes) -> None:
    assert refused(client.post(CALL, body), 400)["code"] == "structure"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"true", b'"patient-view"', b"17"])
def test_R_14_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    assert refused(client.post(CALL, body), 400)["code"] == "structure"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json;charset=utf-8", 200),
        ("Application/JSON; Charset=UTF-8", 200),
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
def test_R_15_only_json_is_read_whatever_its_charset_and_case(client: Client, content_type: str, status: int) -> None:
    response = client.send("POST", CALL, request(), {"content-type": content_type})
    assert response.status_code == status


def test_R_16_a_body_of_16_mib_is_too_large(client: Client) -> None:
    refused(client.post(CALL, b" " * (16 * 1024 * 1024)), 413)


def test_R_17_5000_prefetched_entries_are_read(client: Client) -> None:
    entries = [weight(80 - number % 28, 1 + number % 28) for number in range(5000)]
    assert cards(client.post(CALL, request(searchset(*entries)))).cards


@pytest.mark.parametrize("depth", [100, 800, 950, 1000, 50_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("place", ["whole", "context", "prefetch", "extension", "unknown"])
def test_R_18_no_depth_of_nesting_breaks_the_server(client: Client, depth: int, opening: str, place: str) -> None:
    nest = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    bodies = {
        "whole": nest,
        "context": json.dumps(request()).replace('"context": {', f'"context": {{"x": {nest}, '),
        "prefetch": json.dumps(request()).replace('"prefetch": {', f'"prefetch": {{"x": {nest}, '),
        "extension": json.dumps(request(extension={"x": "@"})).replace('"@"', nest),
        "unknown": json.dumps(request(other="@")).replace('"@"', nest),
    }
    response = client.post(CALL, bodies[place].encode())
    assert response.status_code in {200, 400}
    if depth == 50_000 or place == "whole":
        refused(response, 400)


@pytest.mark.parametrize("text", ["👩‍⚕️", "שָׁלוֹם", "e\u0301\u0302", "\x00", "\ud800", "\udc00x"], ids=ascii)
@pytest.mark.parametrize("place", ["hook", "patientId", "prefetch-key", "prefetch-value"])
def test_R_19_no_text_breaks_the_server(client: Client, text: str, place: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "hook": {"hook": text},
        "patientId": {"context": {"userId": "Practitioner/1", "patientId": text}},
        "prefetch-key": {"prefetch": {"weights": LOSS, text: None}},
        "prefetch-value": {"prefetch": {"weights": searchset(weight(72, 2, note=text), weight(80, 1))}},
    }
    assert client.post(CALL, request(**fields[place])).status_code in {200, 400}


def test_R_20_an_unknown_service_is_not_found(client: Client) -> None:
    assert refused(client.post(UNKNOWN, request()), 404)["code"] == "not-found"
    refused(client.post("/cds-services/a/b/c", request()), 404)


def test_R_20_an_unknown_service_is_told_before_its_body_is_read(client: Client) -> None:
    refused(client.post(UNKNOWN, b"{"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CALL, "POST, OPTIONS"),
        ("PUT", CALL, "POST, OPTIONS"),
        ("DELETE", f"{CALL}/feedback", "POST, OPTIONS"),
        ("POST", "/cds-services", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/cds-services", "GET, HEAD, OPTIONS"),
    ],
)
def test_R_21_a_wrong_method_is_told_the_right_one(client: Client, method: str, path: str, allow: str) -> None:
    response = client.send(method, path)
    refused(response, 405)
    assert response.headers["allow"] == allow


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "1." + "0" * 5000])
@pytest.mark.parametrize("place", ["context", "prefetch", "value"])
def test_R_22_numbers_out_of_range_never_come_back(client: Client, number: str, place: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "context": {"context": {"userId": "Practitioner/1", "patientId": "p1", "x": "@"}},
        "prefetch": {"prefetch": {"weights": LOSS, "x": "@"}},
        "value": {"prefetch": {"weights": searchset(weight("@", 20), weight(80, 1))}},
    }
    body = json.dumps(request(**fields[place])).replace('"@"', number).encode()
    response = client.post(CALL, body)
    if response.status_code == 200:
        assert all(card.summary.isprintable() and "inf" not in card.summary for card in cards(response).cards)
    else:
        refused(response)


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_R_23_the_sandboxes_invalid_drafts_are_no_reason_to_refuse(client: Client, hook: str) -> None:
    """The service is on another hook, so the refusal must be about the hook and nothing else."""
    draft = {"resource": {"resourceType": "MedicationRequest", "category": {"text": "x"}, "reasonCode": {"text": "y"}}}
    context = {
        "userId": "Practitioner/COREPRACTITIONER1",
        "patientId": "p1",
        "selections": ["MedicationRequest/1"],
        "draftOrders": {"resourceType": "Bundle", "entry": [draft]},
    }
    assert refused(client.post(CALL, request(hook=hook, context=context)), 400)["expression"] == ["hook"]


@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_R_23_a_service_on_an_order_hook_answers_the_sandboxes_drafts(hook: str) -> None:
    class Orders(WeightCheck):
        registry = ServiceRegistry(
            services=(ServiceDescription(hook=hook, id="weight-loss", title="Weight", description="Loss of weight."),)
        )

    draft = {"resource": {"resourceType": "MedicationRequest", "category": {"text": "x"}, "reasonCode": {"text": "y"}}}
    context = {
        "userId": "Practitioner/COREPRACTITIONER1",
        "patientId": "p1",
        "selections": ["MedicationRequest/1"],
        "draftOrders": {"resourceType": "Bundle", "entry": [draft]},
    }
    assert cards(Client(weight_app(Orders())).post(CALL, request(hook=hook, context=context))).cards


def test_R_25_the_same_request_gets_the_same_guidance(client: Client) -> None:
    assert client.post(CALL, request()).content == client.post(CALL, request()).content


def test_R_26_parallel_requests_of_two_patients_do_not_mix(client: Client) -> None:
    bodies = [request(LOSS if number % 2 else STEADY) for number in range(12)]
    answers = client.send_all([Call("POST", CALL, body) for body in bodies])
    assert [len(cards(answer).cards) for answer in answers] == [0, 1] * 6


@pytest.mark.parametrize("user_type", HOOKS["patient-view"].users)
def test_R_27_every_type_of_user_is_taken(client: Client, user_type: str) -> None:
    assert cards(client.post(CALL, request(context={"userId": f"{user_type}/1", "patientId": "p1"}))).cards


@pytest.mark.parametrize("encounter", [{}, {"encounterId": "e1"}], ids=["without", "with"])
def test_R_28_optional_context_fields_may_be_missing(client: Client, encounter: dict[str, str]) -> None:
    context = {"userId": "Practitioner/1", "patientId": "p1", **encounter}
    assert cards(client.post(CALL, request(context=context))).cards


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context", "prefetch", "fhirServer", "extension"])
@pytest.mark.parametrize("value", [None, 7, True, []], ids=repr)
def test_R_29_a_wrong_json_type_in_a_known_field_is_refused(client: Client, field: str, value: object) -> None:
    issue = refused(client.post(CALL, request(**{field: value})), 400)
    assert issue["expression"] == [field]


def test_R_31_several_services_get_the_same_hook_instance(client: Client) -> None:
    calls = [Call("POST", f"/cds-services/{service}", request()) for service in ("weight-loss", "weight-gain")]
    assert [len(cards(answer).cards) for answer in client.send_all(calls)] == [1, 0]
