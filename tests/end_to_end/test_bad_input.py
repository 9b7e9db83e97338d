"""Bad input, each with the exact answer: a status and an OperationOutcome, or a card that says what was not used."""

import json
from typing import Any

import pytest

from features.refusals import Reason
from tests.conformance.client import failed, refused
from tests.fhir_builders import (
    OUTCOME,
    Json,
    gentamicin,
    kidney_disease,
    observation,
    patient,
    prefetch,
    quantity,
    request,
    searchset,
    vitals,
)
from tests.hosts import Host

NOT_SENT = "Send each with its search result, or null where there is no such data."
NOT_WHOLE = (
    f"{NOT_SENT.removesuffix('.')}; a whole result on one page, or its newest part as far back as the model looks."
)
ALL_KEYS = "Expected all prefetch keys of the discovery document; unusable:"
ORDERS = {"userId": "Practitioner/ward", "patientId": "p1", "draftOrders": {"resourceType": "Bundle", "entry": []}}


def without(key: str) -> Json:
    """A call whose prefetch lacks a key."""
    return request(prefetch={name: value for name, value in prefetch().items() if name != key})


def with_text(text: str, **fields: Any) -> bytes:
    """A call in which the word TEXT is replaced, behind the JSON encoder's back."""
    return json.dumps(request(**fields)).replace("TEXT", text).encode()


def sent(*resources: Json, **more: Any) -> Json:
    """A call with these Observations behind the ordinary ones."""
    return request(prefetch=prefetch(observations=searchset(*vitals(), *resources), **more))


REFUSED = [
    pytest.param(
        b"",
        400,
        "structure",
        "Expected a JSON object as the body; the body is empty.",
        None,
        id="no body",
    ),
    pytest.param(
        b'{"hook": "patient-view",',
        400,
        "structure",
        "Expected a JSON object (RFC 8259), the body is none: Input data was truncated.",
        None,
        id="JSON cut short",
    ),
    pytest.param(
        b"[]", 400, "structure", "Expected `object`, got `array` as the body.", None, id="JSON, but no object"
    ),
    pytest.param(
        b'{"hook": "\xff"}',
        400,
        "structure",
        "Expected JSON in UTF-8 (RFC 8259); byte 10 of the text is not.",
        None,
        id="not UTF-8",
    ),
    pytest.param(
        request(hook="order-sign", context=ORDERS),
        400,
        "not-supported",
        "Expected patient-view as hook, got order-sign.",
        "hook",
        id="a hook that the service does not serve",
    ),
    pytest.param(
        request(hook=None),
        400,
        "required",
        "Expected the field hook, which is REQUIRED; it is missing.",
        "hook",
        id="no hook",
    ),
    pytest.param(
        request(hookInstance="1"),
        400,
        "value",
        "Expected a UUID in hookInstance; another string came.",
        "hookInstance",
        id="a hook instance that is no UUID",
    ),
    pytest.param(
        request(context=None),
        400,
        "required",
        "Expected the field context, which is REQUIRED; it is missing.",
        "context",
        id="no context",
    ),
    pytest.param(
        request(context={"userId": "Practitioner/ward"}),
        400,
        "required",
        "Expected context.patientId, which patient-view REQUIRES; it is missing.",
        "context.patientId",
        id="no patient in the context",
    ),
    pytest.param(
        request(prefetch=None),
        412,
        "incomplete",
        f"{ALL_KEYS} patient (not sent), observations (not sent), conditions (not sent), "
        f"medication-requests (not sent), medication-administrations (not sent), medication-statements (not sent). "
        f"{NOT_SENT}",
        "prefetch",
        id="no prefetch",
    ),
    pytest.param(
        without("observations"),
        412,
        "incomplete",
        f"{ALL_KEYS} observations (not sent). {NOT_SENT}",
        "prefetch.observations",
        id="a prefetch key absent",
    ),
    pytest.param(
        request(prefetch=prefetch(observations=OUTCOME, conditions=[1])),
        412,
        "incomplete",
        f"{ALL_KEYS} observations (sent as an OperationOutcome), conditions (sent as neither a resource nor a "
        f"searchset). {NOT_SENT}",
        "prefetch",
        id="an OperationOutcome under a prefetch key",
    ),
    pytest.param(
        request(prefetch=prefetch(observations=searchset(*vitals(), next_url="https://ehr.example/2"))),
        412,
        "incomplete",
        f"{ALL_KEYS} observations (got a page with a next link). {NOT_WHOLE}",
        "prefetch.observations",
        id="a page of Observations that does not go back far enough",
    ),
    pytest.param(
        request(prefetch=prefetch(conditions=searchset(kidney_disease(), next_url="https://ehr.example/2"))),
        412,
        "incomplete",
        f"{ALL_KEYS} conditions (got a page with a next link). {NOT_WHOLE}",
        "prefetch.conditions",
        id="a page of Conditions",
    ),
    pytest.param(
        request(prefetch=prefetch(patient=patient("p2"))),
        400,
        "value",
        "Expected the Patient of context.patientId, got another one. Nothing was computed.",
        "prefetch.patient",
        id="another patient's Patient",
    ),
    pytest.param(
        request(prefetch=prefetch(patient=patient(id=None))),
        400,
        "value",
        "Expected the Patient of context.patientId, got another one. Nothing was computed.",
        "prefetch.patient",
        id="a Patient without an id",
    ),
    pytest.param(
        request(prefetch=prefetch(patient=searchset(patient()))),
        400,
        "value",
        "Expected a Patient resource.",
        "prefetch.patient",
        id="a searchset where a Patient belongs",
    ),
    pytest.param(
        with_text("\\ud800", context={"userId": "Practitioner/ward", "patientId": "TEXT-and-more"}),
        400,
        "structure",
        "Expected a JSON object (RFC 8259), the body is none: JSON is malformed: unexpected end of escaped utf-16 "
        "surrogate pair (byte 144).",
        None,
        id="half a surrogate pair in the context",
    ),
]


@pytest.mark.parametrize(("body", "status", "code", "text", "where"), REFUSED)
def test_a_call_that_cannot_be_answered_is_refused_with_the_reason(
    body: Any, status: int, code: str, text: str, where: str | None, host: Host
) -> None:
    assert refused(host.call(body), status) == {
        "severity": "error",
        "code": code,
        "diagnostics": text,
        **({} if where is None else {"expression": [where]}),
    }


def test_an_unknown_service_is_not_found(host: Host) -> None:
    assert refused(host.call(request(), "sepsys"), 404) == {
        "severity": "error",
        "code": "not-found",
        "diagnostics": "No service has this id. GET /cds-services lists the services of this server.",
    }


def test_half_a_surrogate_pair_deep_in_the_prefetch_is_refused_before_the_reader_meets_it(host: Host) -> None:
    resource = observation("creatinine", 3.0, valueQuantity=quantity(3.0, "TEXT"))
    body = with_text("\\ud800 and more", prefetch=prefetch(observations=searchset(resource)))
    issue = refused(host.call(body), 400)
    assert issue["code"] == "structure"
    assert issue["diagnostics"].startswith("Expected a JSON object (RFC 8259), the body is none: JSON is malformed:")


NOT_USED = [
    pytest.param(
        observation("creatinine", 9, valueQuantity=quantity(9, "/min")),
        "1 × Creatinine (unit does not fit)",
        Reason.UNIT_INCOMPATIBLE,
        id="a unit of something else",
    ),
    pytest.param(
        observation("creatinine", 9, valueQuantity=quantity(9, "furlong")),
        "1 × Creatinine (unknown unit)",
        Reason.UNIT_UNKNOWN,
        id="a unit that nobody knows",
    ),
    pytest.param(
        observation("creatinine", 9, valueQuantity={"value": 9}),
        "1 × Creatinine (without a unit)",
        Reason.UNIT_MISSING,
        id="no unit",
    ),
    pytest.param(
        observation("creatinine", 9, -0.1),
        "1 × Creatinine (later than this estimate)",
        Reason.AFTER_INDEX_TIME,
        id="in the future",
    ),
    pytest.param(
        observation("creatinine", 9, 0.5, status="entered-in-error"),
        "1 × Creatinine (not final or entered in error)",
        Reason.STATUS,
        id="entered in error",
    ),
    pytest.param(
        observation("creatinine", 9, 0.5, of="p2"),
        "1 × entry of another patient",
        Reason.OTHER_PATIENT,
        id="of another patient",
    ),
    pytest.param(
        kidney_disease(of="p2"),
        "1 × entry of another patient",
        Reason.OTHER_PATIENT,
        id="a diagnosis of another patient",
    ),
    pytest.param(
        gentamicin(of="p2"),
        "1 × entry of another patient",
        Reason.OTHER_PATIENT,
        id="a drug of another patient",
    ),
    pytest.param(
        observation("creatinine", 9, valueQuantity={"value": "nine"}),
        "1 × unreadable entry",
        Reason.MALFORMED,
        id="a value that is text",
    ),
]


@pytest.mark.parametrize(("resource", "told", "reason"), NOT_USED)
def test_a_value_that_cannot_be_used_is_said_and_changes_nothing(
    resource: Json, told: str, reason: Reason, host: Host
) -> None:
    """The risk is that of the same call without it, bit for bit."""
    host.card(request())
    clean = host.last_call()
    card = host.card(sent(resource))
    entry = host.last_call()
    assert f"Sent, but not used: {told}." in str(card.detail).split("\n\n")
    assert entry.refusals == {reason.value: 1}
    assert (entry.logit, entry.probability, entry.feature_vector, entry.contributions) == (
        clean.logit,
        clean.probability,
        clean.feature_vector,
        clean.contributions,
    )


def test_null_means_that_there_are_no_such_data_and_the_card_says_what_is_needed(host: Host) -> None:
    nothing: Json = dict.fromkeys(prefetch())
    card = host.card(request(prefetch=nothing))
    assert card.summary == "Risk of trouble in the next 12 h: no estimate, data are missing"
    assert str(card.detail).split("\n") == [
        "**No estimate is shown, because too little is known.** This says nothing about the risk.",
        "",
        "- Needed: Creatinine from the last 72 h.",
        "- Needed: at least 2 of Heart rate, Body temperature, Systolic blood pressure from the last 24 h.",
        "",
        "Estimate for 14 Mar 2026 10:30 CET.",
    ]


def test_a_patient_sent_as_null_has_no_age_and_no_sex(host: Host) -> None:
    card = host.card(request(prefetch=prefetch(patient=None)))
    (line,) = [line for line in str(card.detail).split("\n") if line.startswith("Not available")]
    assert line.startswith("Not available: Mean arterial pressure, Systolic blood pressure, Age, Sex. ")


def test_a_page_that_goes_back_beyond_every_window_is_as_good_as_the_whole(host: Host) -> None:
    newest_first = [*sorted(vitals(), key=lambda one: str(one["effectiveDateTime"]), reverse=True)]
    page = searchset(*newest_first, observation("heart_rate", 70, 72.5), next_url="https://ehr.example/2")
    host.card(request())
    whole = host.last_call()
    host.card(request(prefetch=prefetch(observations=page)))
    assert host.last_call().probability == whole.probability


def test_a_warning_among_the_matches_is_no_failure(host: Host) -> None:
    assert "%" in host.card(request(prefetch=prefetch(observations=searchset(OUTCOME, *vitals())))).summary


FEEDBACK = "/cds-services/tiny/feedback"


def comment(text: str) -> bytes:
    """Feedback with this piece of JSON as the comment."""
    entry = '{"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-03-14T09:40:00Z", "overrideReason": %s}'
    return ('{"feedback": [' + entry % f'{{"userComment": "{text}"}}' + "]}").encode()


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param(
            comment("a\\u0000b"),
            "value",
            "Expected text without the character U+0000 in feedback[0].overrideReason.userComment.",
            id="NUL in the comment",
        ),
        pytest.param(
            comment("a\\ud800bcdefg"),
            "structure",
            "Expected a JSON object (RFC 8259), the body is none: JSON is malformed: unexpected end of escaped utf-16 "
            "surrogate pair (byte 139).",
            id="half a surrogate pair in the comment",
        ),
        pytest.param(
            comment("").replace(b'"c"', b'"c\\u0000"').replace(b'{"userComment": ""}', b'{"userComment": "x"}'),
            "value",
            "Expected text without the character U+0000 in feedback[0].card.",
            id="NUL in the card's uuid",
        ),
        pytest.param(
            b"{}", "required", "Expected the field feedback, which is REQUIRED; it is missing.", id="no feedback"
        ),
    ],
)
def test_feedback_that_no_journal_can_keep_is_refused(body: bytes, code: str, text: str, host: Host) -> None:
    issue = refused(host.client.post(FEEDBACK, body), 400)
    assert (issue["code"], issue["diagnostics"]) == (code, text)
    assert host.journal.feedback_for("c") == ()


def test_feedback_in_any_script_is_kept(host: Host) -> None:
    assert host.client.post(FEEDBACK, comment("Z. n. Marathon \\ud83c\\udfc3 – 日本語")).status_code == 200
    (kept,) = host.journal.feedback_for("c")
    assert kept.entry.user_comment == "Z. n. Marathon 🏃 – 日本語"


def test_no_bad_input_is_answered_with_an_empty_list_of_cards(host: Host) -> None:
    """An empty list would read as "low risk"."""
    for case in REFUSED:
        response = host.call(case.values[0])
        assert "cards" not in failed(response)
