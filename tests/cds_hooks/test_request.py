"""Decoding a request: what is taken, what is refused, and in which words."""

from typing import Any

import msgspec
import pytest

from cds_hooks.errors import InvalidField, InvalidRequest, MalformedBody, MissingField
from cds_hooks.request import decode_request
from tests.cds_hooks.samples import ABSENT, HOOK_INSTANCE, PATIENT_VIEW, changed, encoded

_AUTHORIZATION = {
    "access_token": "eyJ.abc-_~+/.def==",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/Observation.rs",
    "subject": "bedside",
}


def _with_access(**changes: object) -> bytes:
    """A request with a FHIR server and a token, one thing changed."""
    document = {**PATIENT_VIEW, "fhirServer": "https://ehr.example/fhir", "fhirAuthorization": _AUTHORIZATION}
    return encoded(changed(document, **changes))


def test_a_full_request_is_decoded_once_and_its_prefetch_stays_raw() -> None:
    request = decode_request(
        _with_access(prefetch={"patient": {"resourceType": "Patient"}, "weights": None}, extension={"org.x": 1})
    )
    assert (request.hook, request.hook_instance) == ("patient-view", HOOK_INSTANCE)
    assert (request.patient_id, request.user_id, request.encounter_id) == ("p1", "Practitioner/example", None)
    assert request.fhir_server == "https://ehr.example/fhir"
    assert request.fhir_authorization is not None
    assert request.fhir_authorization.access_token == "eyJ.abc-_~+/.def=="  # noqa: S105 - made up
    assert {key: bytes(raw) for key, raw in request.prefetch.items()} == {
        "patient": b'{"resourceType": "Patient"}',
        "weights": b"null",
    }


def test_the_optional_fields_may_be_missing() -> None:
    request = decode_request(encoded(PATIENT_VIEW))
    assert (request.prefetch, request.fhir_server, request.fhir_authorization) == ({}, None, None)


def test_neither_request_nor_token_shows_itself_in_a_log_line() -> None:
    request = decode_request(
        _with_access(prefetch={"patient": {"name": "CANARY-NAME"}}, context__patientId="CANARY-ID")
    )
    shown = f"{request!r} {request.fhir_authorization!r}"
    assert "CANARY" not in shown
    assert "eyJ" not in shown


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Expected a JSON object as the body; the body is empty."),
        (b"{", "Expected a JSON object (RFC 8259), the body is none: Input data was truncated."),
        (b"[]", "Expected `object`, got `array` as the body."),
        (b"null", "Expected `object`, got `null` as the body."),
        (b'"text"', "Expected `object`, got `str` as the body."),
        (b"[" * 50_000 + b"]" * 50_000, "Expected `object`, got `array` as the body."),
        (
            b'{"extra":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            "Expected a JSON object of ordinary depth; the body is nested too deeply.",
        ),
        (
            b'{"prefetch":{"a":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}}",
            "Expected a JSON object of ordinary depth; the body is nested too deeply.",
        ),
        (b'{"a":"\xff"}', "Expected JSON in UTF-8 (RFC 8259); byte 6 of the text is not."),
    ],
    ids=["empty", "truncated", "array", "null", "string", "deep-array", "deep-unknown", "deep-prefetch", "latin-1"],
)
def test_a_body_that_is_no_json_object_is_refused_with_its_reason(body: bytes, message: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        decode_request(body)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e", "01", "+1"], ids=lambda value: f"prefetch-{value}"
)
def test_what_is_no_json_number_is_refused_even_in_the_raw_prefetch(number: str) -> None:
    body = encoded({**PATIENT_VIEW, "prefetch": {"a": {"value": "@"}}}).replace(b'"@"', number.encode())
    with pytest.raises(MalformedBody):
        decode_request(body)


@pytest.mark.parametrize("number", ["1e999", "9" * 5000], ids=["1e999", "5000-digits"])
@pytest.mark.parametrize("place", ["context", "prefetch", "extension", "other"])
def test_numbers_beyond_any_range_are_refused_or_stay_raw(number: str, place: str) -> None:
    document = {**PATIENT_VIEW, place: {**PATIENT_VIEW["context"], "x": "@"}}
    body = encoded(document).replace(b'"@"', number.encode())
    if place == "context":
        with pytest.raises(InvalidRequest):
            decode_request(body)
    else:
        assert decode_request(body).patient_id == "p1"


@pytest.mark.parametrize("place", ["context", "prefetch", "hook"])
@pytest.mark.parametrize("escape", [b"\\ud800", b"\\udc00 and text", b"\\ud800\\ud800"])
def test_lone_surrogates_are_refused(place: str, escape: bytes) -> None:
    values = {"context": {"userId": "Practitioner/1", "patientId": "@"}, "prefetch": {"a": "@"}, "hook": "@"}
    body = encoded({**PATIENT_VIEW, place: values[place]}).replace(b"@", escape)
    with pytest.raises(MalformedBody):
        decode_request(body)


@pytest.mark.parametrize("text", ["👩‍⚕️", "שלום", "a\u0301\u0302\u0303", "\x00", "\ufeff", "\U0010ffff"])
def test_any_other_text_is_taken(text: str) -> None:
    assert decode_request(encoded(changed(PATIENT_VIEW, context__patientId=f"p{text}"))).patient_id == f"p{text}"


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"hook": ABSENT}, "hook"),
        ({"hookInstance": ABSENT}, "hookInstance"),
        ({"context": ABSENT}, "context"),
        ({"context__patientId": ABSENT}, "context.patientId"),
        ({"context__userId": ABSENT}, "context.userId"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_a_missing_field_is_named(changes: dict[str, object], location: str) -> None:
    with pytest.raises(MissingField) as caught:
        decode_request(encoded(changed(PATIENT_VIEW, **changes)))
    assert caught.value.location == location


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "text"], ids=repr)
@pytest.mark.parametrize(
    "field", ["hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization", "extension"]
)
def test_no_other_json_type_passes_for_a_known_field(field: str, value: Any) -> None:
    """Strings pass as hook; objects pass as prefetch and extension; all else is refused."""
    body = encoded({**PATIENT_VIEW, field: value})
    if (field, value) in [("prefetch", {}), ("extension", {}), ("hook", "text")]:
        assert decode_request(body).hook_instance == HOOK_INSTANCE
    else:
        with pytest.raises(InvalidRequest) as caught:
            decode_request(body)
        assert caught.value.location is not None
        assert caught.value.location.startswith(field)


def test_an_empty_hook_is_refused() -> None:
    with pytest.raises(InvalidField, match="at hook"):
        decode_request(encoded(changed(PATIENT_VIEW, hook="")))


@pytest.mark.parametrize(
    ("hook_instance", "good"),
    [
        (HOOK_INSTANCE, True),
        (HOOK_INSTANCE.upper(), True),
        ("00000000-0000-0000-0000-000000000000", True),
        ("d1577c69dfbe44adba6d3e05e953b2ea", False),
        (HOOK_INSTANCE + "\n", False),
        ("{" + HOOK_INSTANCE + "}", False),
        ("", False),
    ],
)
def test_hook_instance_is_a_uuid(hook_instance: str, *, good: bool) -> None:
    body = encoded(changed(PATIENT_VIEW, hookInstance=hook_instance))
    if good:
        assert decode_request(body).hook_instance == hook_instance
    else:
        with pytest.raises(InvalidField) as caught:
            decode_request(body)
        assert caught.value.location == "hookInstance"


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"fhirServer": ABSENT}, "fhirServer"),
        ({"fhirServer": "ehr.example/fhir"}, "fhirServer"),
        ({"fhirServer": "file:///etc/passwd"}, "fhirServer"),
        ({"fhirServer": "gopher://ehr.example"}, "fhirServer"),
        ({"fhirServer": "https://"}, "fhirServer"),
        ({"fhirServer": "https://ehr.example:99999/fhir"}, "fhirServer"),
        ({"fhirServer": "https://ehr.example:port/fhir"}, "fhirServer"),
        ({"fhirServer": "https://ehr.example:0/fhir"}, "fhirServer"),
        ({"fhirServer": "https://[::1/fhir"}, "fhirServer"),
        ({"fhirServer": "https://user:pw@ehr.example/fhir"}, "fhirServer"),
        ({"fhirServer": "https://ehr.example/fhir?x=1"}, "fhirServer"),
        ({"fhirServer": "https://ehr.example/fhir\r\nX: y"}, "fhirServer"),
        ({"fhirAuthorization__access_token": ABSENT}, "fhirAuthorization.access_token"),
        ({"fhirAuthorization__access_token": ""}, "fhirAuthorization.access_token"),
        ({"fhirAuthorization__access_token": "abc\r\nX-Evil: 1"}, "fhirAuthorization.access_token"),
        ({"fhirAuthorization__token_type": "mac"}, "fhirAuthorization.token_type"),
        ({"fhirAuthorization__token_type": ABSENT}, "fhirAuthorization.token_type"),
        ({"fhirAuthorization__expires_in": "300"}, "fhirAuthorization.expires_in"),
        ({"fhirAuthorization__expires_in": True}, "fhirAuthorization.expires_in"),
        ({"fhirAuthorization__scope": ["a"]}, "fhirAuthorization.scope"),
    ],
    ids=lambda value: "=".join(map(repr, next(iter(value.items())))) if isinstance(value, dict) else "",
)
def test_broken_access_to_the_fhir_server_is_refused(changes: dict[str, object], location: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(_with_access(**changes))
    assert caught.value.location == location


@pytest.mark.parametrize(
    "changes",
    [
        {"fhirServer": "https://ehr.example/fhir/"},
        {"fhirServer": "http://localhost:8080"},
        {"fhirServer": "https://[::1]:8443/r4"},
        {"fhirAuthorization": ABSENT},
        {"fhirAuthorization__token_type": "bearer"},
        {"fhirAuthorization__scope": "patient/Observation.read"},
        {"fhirAuthorization__subject": ABSENT},
    ],
    ids=lambda value: "=".join(map(repr, next(iter(value.items())))),
)
def test_what_real_clients_send_as_access_is_taken(changes: dict[str, object]) -> None:
    assert decode_request(_with_access(**changes)).fhir_server is not None


def test_an_own_hook_without_a_patient_tells_so_only_when_the_patient_is_asked_for() -> None:
    request = decode_request(encoded({**PATIENT_VIEW, "hook": "org.example.ward-round", "context": {"ward": "3b"}}))
    with pytest.raises(MissingField):
        _ = request.patient_id


def test_a_request_cannot_be_changed() -> None:
    request = decode_request(encoded(PATIENT_VIEW))
    with pytest.raises(AttributeError, match="immutable"):
        request.hook = "order-sign"  # type: ignore[misc]
    assert isinstance(request, msgspec.Struct)
