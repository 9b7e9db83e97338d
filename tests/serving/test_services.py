"""Services: from a call to its card, with the account of it written first; and what is kept when there is no card."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cds_hooks.request import decode_request
from cds_hooks.response import CdsResponse, encode_response
from features.refusals import Refusals
from serving.assess import Assessment, Evidence, ServedModel, serve
from serving.cards import render
from serving.journal_entries import CallEntry, float32_array
from serving.pseudonym import Pseudonyms
from serving.runtime import Scored
from serving.services import BedsideServices
from tests.bundles import linear_graph, linear_rows, tiny_entry, write_bundle
from tests.conformance.client import Call, cards, failed, refused, strict_json
from tests.fhir_builders import OUTCOME, at, gentamicin, observation, patient, prefetch, request, searchset, vitals
from tests.hosts import CARDS, PSEUDONYMS, Host, open_host
from tests.serving.journal_examples import write_lock

FEEDBACK = "/cds-services/tiny/feedback"


def overridden(card_uuid: str, **fields: Any) -> dict[str, Any]:
    entry = {"card": card_uuid, "outcome": "overridden", "outcomeTimestamp": "2026-03-14T10:35:00+01:00"}
    return {"feedback": [entry | fields]}


def test_discovery_describes_each_model_with_the_queries_that_its_features_need(
    host: Host, linear: ServedModel
) -> None:
    document = strict_json(host.client.send("GET", "/cds-services").content)
    assert document == {
        "services": [
            {
                "hook": "patient-view",
                "id": "tiny",
                "title": "Trouble in the next 12 h",
                "description": "Estimates trouble within 12 hours. For tests.",
                "prefetch": linear.templates,
                "usageRequirements": "Adults on a ward. Research model, not a medical device.",
                "version": "2.0.1",
                "hookVersion": "1.0",
            }
        ]
    }


def test_a_call_is_answered_with_one_card(host: Host) -> None:
    card = host.card(request())
    assert card.summary == "Risk of trouble in the next 12 h: 0.8 % – 0.4× the average on the ward"
    assert card.indicator == "info"
    assert card.source.url == "https://bedside.example/models/tiny"


def test_every_card_has_its_own_uuid(host: Host) -> None:
    assert host.card(request()).uuid != host.card(request()).uuid


@pytest.mark.parametrize(
    ("accepted", "language", "summary"),
    [
        ("de-CH, en;q=0.5", "de", "Risiko von Ärger in den nächsten 12 h: 0,8 %"),
        ("fr", "en", "Risk of trouble in the next 12 h: 0.8 %"),
    ],
)
def test_the_card_speaks_the_language_that_the_request_accepts(
    accepted: str, language: str, summary: str, host: Host
) -> None:
    assert host.card(request(), accept_language=accepted).summary.startswith(summary)
    assert host.last_call().locale == language


def test_the_account_of_a_card_holds_what_it_was_made_of(host: Host, linear: ServedModel) -> None:
    extra = observation("creatinine", 3.0, of="p2")
    response = host.call(request(prefetch=prefetch(observations=searchset(*vitals(), extra))))
    entry = host.last_call()
    (card,) = cards(response).cards
    assert entry.response_body == response.content
    assert (entry.status, entry.http_status, entry.hook, entry.mode) == ("card", 200, "patient-view", "live")
    assert entry.hook_instance == "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
    assert entry.model_version == "1.2.0"
    assert entry.bundle_fingerprint == linear.bundle.fingerprint
    assert entry.as_of_policy == "clock"
    assert entry.refusals == {"other-patient": 1}
    assert entry.missing_features == ("mean_pressure_last_24h", "systolic_pressure_last_24h", "shock_index")
    assert entry.patient_pseudonym == PSEUDONYMS.of("p1")
    assert entry.probability == pytest.approx(0.0079, abs=1e-4)
    assert entry.feature_vector is not None
    np.testing.assert_allclose(float32_array(entry.feature_vector)[:3], [80, 36.8, 0.8], rtol=1e-6)
    assert entry.contributions is not None
    assert entry.base_value is not None
    assert entry.logit == pytest.approx(entry.base_value + float(float32_array(entry.contributions).sum()), abs=1e-5)
    (kept,) = host.journal.cards_of(entry.call_id)
    assert (kept.card_uuid, kept.indicator, kept.suppressed) == (card.uuid, "info", None)


def replayed(entry: CallEntry, served: ServedModel) -> Assessment:
    """The assessment as the journal's row tells it."""
    evidence = msgspec.convert(entry.evidence, Evidence)
    assert entry.logit is not None
    assert entry.probability is not None
    assert entry.base_value is not None
    assert entry.feature_vector is not None
    assert entry.index_time is not None
    refusals = Refusals()
    for one in evidence.refusals:
        refusals.add(one.reason, one.concept, count=one.count)
    contributions = None if entry.contributions is None else float32_array(entry.contributions)
    return Assessment(
        served=served,
        index_time=round(entry.index_time.timestamp() * 1e6),
        as_of="clock",
        vector=float32_array(entry.feature_vector),
        scored=Scored(entry.logit, entry.probability, entry.base_value, contributions, evidence.unexplained),
        contributors=evidence.contributors,
        absent=evidence.absent,
        stale=evidence.stale,
        unmet=evidence.unmet,
        required_missing=evidence.required_missing,
        refusals=refusals,
        sex=evidence.sex,
    )


def test_the_account_alone_gives_the_same_card_again(host: Host, linear: ServedModel) -> None:
    many = (
        *vitals(),
        observation("creatinine", 2.0, 30),
        observation("mean_pressure", 60, 40),
        observation("creatinine", 3.0, of="p2"),
        observation("heart_rate", 90, status="preliminary"),
    )
    response = host.call(request(prefetch=prefetch(observations=searchset(*many))), accept_language="de")
    (card,) = cards(response).cards
    again = render(replayed(host.last_call(), linear), card_uuid=str(card.uuid), language="de", settings=CARDS)
    assert encode_response(CdsResponse(cards=(again,))) == response.content


def test_a_card_that_would_be_late_leaves_without_its_explanation_and_says_so(
    linear: ServedModel, tmp_path: Path
) -> None:
    with open_host(tmp_path, linear, deadline_ms=1e-3) as host:
        card, entry = host.card(request()), host.last_call()
    with open_host(tmp_path, linear, deadline_ms=60_000) as host:
        patient_one = host.card(request())
    assert "There was no time left to explain this estimate. The risk itself is complete." in (card.detail or "")
    assert card.summary == patient_one.summary
    assert "no time left" not in (patient_one.detail or "")
    assert entry.contributions is None
    again = replayed(entry, linear)
    assert render(again, card_uuid=card.uuid or "", language="en", settings=CARDS) == card


def test_below_the_minimum_data_the_account_has_no_risk(host: Host) -> None:
    card = host.card(request(prefetch=prefetch(observations=None)))
    entry = host.last_call()
    assert card.summary.endswith("no estimate, data are missing")
    assert (entry.status, entry.probability, entry.contributions) == ("insufficient-data", None, None)
    assert entry.evidence["unmet"][0]["concepts"] == ["creatinine"]


ERRORS = [
    pytest.param(request(prefetch=None), 412, "incomplete", id="nothing prefetched"),
    pytest.param(request(prefetch=prefetch(observations=OUTCOME)), 412, "incomplete", id="a failed query"),
    pytest.param(request(prefetch=prefetch(patient=patient("p2"))), 400, "value", id="another patient"),
]


@pytest.mark.parametrize(("body", "status", "code"), ERRORS)
def test_an_error_is_in_the_account_with_its_answer_and_without_the_patient(
    body: Any, status: int, code: str, host: Host
) -> None:
    response = host.call(body)
    assert refused(response, status)["code"] == code
    entry = host.last_call()
    assert (entry.status, entry.http_status, entry.error_code) == ("error", status, code)
    assert entry.response_body == response.content
    assert entry.patient_pseudonym is None
    assert host.journal.cards_of(entry.call_id) == ()


def test_a_fault_of_ours_is_a_500_and_in_the_account_too(linear: ServedModel, tmp_path: Path) -> None:
    """A card without a base rate cannot be written: a fault that no call should meet, and none may hide."""
    manifest = msgspec.structs.replace(linear.bundle.manifest, base_rate=0.0)
    broken = dataclasses.replace(linear, bundle=dataclasses.replace(linear.bundle, manifest=manifest))
    with open_host(tmp_path, broken) as host:
        issue = failed(host.call(request()), 500)
        entry = host.last_call()
    assert issue["diagnostics"] == (
        "The service failed and has no answer for this call. Do not read this as the absence of risk."
    )
    assert (entry.status, entry.http_status, entry.error_code) == ("error", 500, "exception")


def test_no_card_leaves_while_the_journal_cannot_take_it(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with write_lock(host.folder / "journal.db"):
        issue = failed(host.call(request()), 503)
    assert issue == {
        "severity": "error",
        "code": "transient",
        "diagnostics": "Expected the journal to take this call; it could not. Try again later.",
    }
    assert host.journal.calls() == ()
    assert "journal write failed" in caplog.text
    assert host.card(request()).uuid is not None


def test_a_closed_journal_answers_no_call_and_no_feedback(host: Host) -> None:
    host.journal.close()
    assert failed(host.call(request()), 503)["code"] == "transient"
    assert failed(host.client.post(FEEDBACK, overridden("c")), 503)["code"] == "transient"


def test_the_row_is_committed_before_the_answer_leaves(linear: ServedModel, tmp_path: Path) -> None:
    """A second connection sees the row as soon as the caller has the card."""
    with open_host(tmp_path, linear) as host:
        host.card(request())
        with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
            assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)


def test_feedback_is_kept_with_the_card_and_the_model_it_is_about(host: Host, linear: ServedModel) -> None:
    card = host.card(request())
    reason = {"reason": {"code": "input-incorrect", "system": "urn:bedside:override-reasons"}, "userComment": "K 2,9"}
    response = host.client.post(FEEDBACK, overridden(str(card.uuid), overrideReason=reason))
    assert (response.status_code, response.content) == (200, b"")
    (kept,) = host.journal.feedback_for(str(card.uuid))
    assert kept.known_card
    assert kept.call_id == host.last_call().call_id
    assert kept.bundle_fingerprint == linear.bundle.fingerprint
    assert kept.entry.override_reason_code == "input-incorrect"
    assert kept.entry.user_comment == "K 2,9"
    assert kept.entry.outcome_timestamp.isoformat() == "2026-03-14T09:35:00+00:00"


def test_an_accepted_suggestion_is_kept_even_of_a_card_that_is_not_known(host: Host) -> None:
    entry = {
        "card": "unknown",
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": "s1"}, {"id": "s2"}],
        "outcomeTimestamp": "2026-03-14T10:35:00Z",
    }
    assert host.client.post(FEEDBACK, {"feedback": [entry]}).status_code == 200
    (kept,) = host.journal.feedback_for("unknown")
    assert not kept.known_card
    assert kept.entry.accepted_suggestion_ids == ("s1", "s2")


def other_model(folder: Path, **changes: Any) -> ServedModel:
    entry = tiny_entry(folder, id="other", **changes)
    return serve(entry, write_bundle(folder / "bundle", entry.spec, linear_graph(base=0.0), linear_rows()))


def test_two_models_on_one_hook_answer_each_for_itself(linear: ServedModel, tmp_path: Path) -> None:
    with open_host(tmp_path, linear, other_model(tmp_path / "other")) as host:
        services = strict_json(host.client.send("GET", "/cds-services").content)["services"]
        assert [(one["id"], one["hook"]) for one in services] == [("tiny", "patient-view"), ("other", "patient-view")]
        tiny, other = host.card(request(), "tiny"), host.card(request(), "other")
        assert "0.8 %" in tiny.summary
        assert "30 %" in other.summary
        assert [entry.service_id for entry in host.journal.calls()] == ["other", "tiny"]


def test_one_model_on_two_hooks_is_listed_once_per_hook(tmp_path: Path) -> None:
    served = other_model(tmp_path / "other", hooks=("patient-view", "encounter-start"))
    with open_host(tmp_path, served) as host:
        services = strict_json(host.client.send("GET", "/cds-services").content)["services"]
        context = {"userId": "Practitioner/ward", "patientId": "p1", "encounterId": "e1"}
        card = host.card(request(hook="encounter-start", context=context), "other")
    assert [one["hook"] for one in services] == ["patient-view", "encounter-start"]
    assert "30 %" in card.summary


def test_calls_at_once_are_all_answered_and_all_in_the_account(host: Host) -> None:
    bodies = [
        request(prefetch=prefetch(observations=searchset(*vitals(), observation("heart_rate", 110 + i, 0.1))))
        for i in range(24)
    ]
    answers = host.client.send_all([Call("POST", "/cds-services/tiny", body) for body in bodies])
    assert all(f"{110 + i} /min" in str(cards(answer).cards[0].detail) for i, answer in enumerate(answers))
    assert len(host.journal.calls()) == 24


@pytest.mark.parametrize(
    ("prefetched", "location"),
    [
        pytest.param(
            {"observations": searchset(*vitals(), observation("heart_rate", 70, 71.9), next_url="https://x")},
            "prefetch.observations",
            id="does not go back far enough",
        ),
        pytest.param(
            {"observations": searchset(observation("heart_rate", 70, 80), *vitals(), next_url="https://x")},
            "prefetch.observations",
            id="not newest first: nothing is known of the rest",
        ),
        pytest.param({"observations": searchset(next_url="https://x")}, "prefetch.observations", id="an empty page"),
        pytest.param(
            {"conditions": searchset(next_url="https://x")}, "prefetch.conditions", id="diagnoses know no window"
        ),
        pytest.param(
            {"medication_requests": searchset(gentamicin(), next_url="https://x")},
            "prefetch.medication-requests",
            id="orders come whole",
        ),
    ],
)
def test_half_a_search_result_is_no_search_result(prefetched: dict[str, Any], location: str, host: Host) -> None:
    issue = refused(host.call(request(prefetch=prefetch(**prefetched))), 412)
    assert issue["expression"] == [location]
    assert "got a page with a next link" in issue["diagnostics"]


def test_a_page_that_goes_back_beyond_all_windows_is_enough(host: Host) -> None:
    newest_first = [
        observation("temperature", 36.8, 1),
        observation("heart_rate", 80, 2),
        observation("creatinine", 1, 60),
    ]
    page = searchset(*newest_first, observation("heart_rate", 70, 72.1), next_url="https://x")
    assert host.card(request(prefetch=prefetch(observations=page))).summary.startswith("Risk of trouble")


def test_in_demonstrations_the_window_ends_at_the_latest_observation(linear: ServedModel, tmp_path: Path) -> None:
    long_ago = [
        observation(name, value, 9_000 + i)
        for i, (name, value) in enumerate((("heart_rate", 80.0), ("temperature", 37.0), ("creatinine", 1.0)))
    ]
    with open_host(tmp_path, linear, as_of="latest-observation") as host:
        card = host.card(request(prefetch=prefetch(observations=searchset(*long_ago))))
        entry = host.last_call()
    assert "the time of the latest value sent, not for now (demonstration mode)" in str(card.detail)
    assert entry.as_of_policy == "latest-observation"
    assert entry.index_time is not None
    assert entry.index_time.isoformat() == at(9_000)


def test_a_card_is_one_event_in_the_log_without_a_word_of_the_patient(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bedside.services")
    host.card(request())
    (record,) = [record for record in caplog.records if record.name == "bedside.services"]
    fields = vars(record)
    assert record.message == "card"
    assert (fields["service_id"], fields["status"], fields["indicator"]) == ("tiny", "card", "info")
    assert fields["call_id"] == str(host.last_call().call_id)


def test_the_pseudonym_depends_on_the_site_s_key(host: Host, linear: ServedModel) -> None:
    other = BedsideServices(
        models={"tiny": linear},
        journal=host.journal,
        pseudonyms=Pseudonyms(key=b"another key of thirty-two bytes!"),
        cards=CARDS,
        language="en",
        as_of="clock",
        clock=host.services.clock,
    )
    host.card(request())
    first = host.last_call().patient_pseudonym
    asyncio.run(_call(other))
    assert host.last_call().patient_pseudonym != first


async def _call(services: BedsideServices) -> None:
    await services.call("tiny", decode_request(json.dumps(request()).encode()), {}, None)
