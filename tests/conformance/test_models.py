"""What only a server with a model can be held to: C, P, X and Z, with records whose guidance is known."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from markdown_it import MarkdownIt

from cds_hooks.conformance.discovery import Service
from cds_hooks.conformance.finding import Verdict
from cds_hooks.conformance.templates import template_findings
from cds_hooks.prefetch import classify
from features.prefetch import BLOOD_PRESSURE, PULSE_OXIMETRY
from serving.assess import ServedModel
from tests.conformance.client import Call, cards, refused
from tests.conformance.requests import TOKEN, without
from tests.fhir_builders import (
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
from tests.hosts import Host, open_host

MARKUP = "<img src=x onerror=alert(1)>"
ILL = (observation("creatinine", 4.0, 2), observation("heart_rate", 130, 1), observation("temperature", 39.5, 1))


def seen(*resources: Json, **changes: Any) -> Json:
    """A call with these Observations."""
    return request(prefetch=prefetch(observations=searchset(*resources), **changes))


def test_P_06_templates_keep_to_what_most_servers_search_by_but_for_the_medications_that_orders_refer_to(
    host: Host,
) -> None:
    """Without _include nobody would know what was given; see docs/conformance.md."""
    (described,) = host.services.registry.services
    service = Service(id=described.id, hook=described.hook, templates=described.prefetch)
    uncommon = [each.evidence for each in template_findings(service) if each.verdict is Verdict.NOT_MET]
    assert len(uncommon) == 3
    assert [each for each in uncommon if "_include=" not in each] == []


def test_P_09_observations_are_asked_for_by_the_codes_that_the_model_reads_and_no_other(linear: ServedModel) -> None:
    vocabulary = linear.interpreter.vocabulary
    concepts = [vocabulary.concept(each) for each in linear.entry.spec.features.concepts]
    read = {f"{code.system}|{code.code}" for concept in concepts for code in concept.codes}
    panels = {f"{system}|{code}" for system, code in (*BLOOD_PRESSURE, *PULSE_OXIMETRY)}
    queries = [parse_qs(template.partition("?")[2]) for template in linear.templates.values()]
    asked = {token for query in queries for tokens in query.get("code", ()) for token in tokens.split(",")}
    assert asked
    assert asked <= read | panels


def test_X_25_another_patients_data_give_no_card(host: Host) -> None:
    refused(host.call(request(prefetch=prefetch(patient=patient("p2")))), 400)
    strangers = host.card(seen(*(observation("creatinine", 4.0, 2, of="p2"), *ILL[1:])))
    assert "entry of another patient" in str(strangers.detail)


ODD: dict[str, Json] = {
    "no value": observation("creatinine", 1, valueQuantity=None),
    "no code": observation("creatinine", 1, code=None),
    "no unit": observation("creatinine", 1, valueQuantity={"value": 1}),
    "no time": observation("creatinine", 1, effectiveDateTime=None),
    "no status": observation("creatinine", 1, status=None),
    "a comparator": observation("creatinine", 1, valueQuantity=quantity(1, "mg/dL", comparator="<")),
    "a text": observation("creatinine", 1, valueQuantity=None, valueString="eighty"),
    "a huge value": observation("creatinine", 1e300),
    "a month as time": observation("creatinine", 1, effectiveDateTime="2026-03"),
    "nothing at all": {"resourceType": "Observation"},
}


@pytest.mark.parametrize("odd", ODD)
def test_X_31_C_22_an_odd_observation_is_no_fault_and_prints_nothing_odd(host: Host, odd: str) -> None:
    card = host.card(seen(*vitals(), ODD[odd]))
    shown = f"{card.summary}\n{card.detail}"
    assert not re.search(r"\b(nan|inf|None|NaN)\b|np\.|\{\{|\}\}", shown)


def test_X_31_a_bare_patient_is_no_fault(host: Host) -> None:
    assert host.card(request(prefetch=prefetch(patient={"resourceType": "Patient", "id": "p1"}))).summary


def _probability(host: Host, body: Json) -> float | None:
    host.card(body)
    return host.last_call().probability


def test_X_32_what_was_entered_in_error_does_not_count(host: Host) -> None:
    ordinary = _probability(host, seen(*vitals()))
    mistaken = observation("creatinine", 9.0, 1, status="entered-in-error")
    assert _probability(host, seen(*vitals(), mistaken)) == ordinary
    assert _probability(host, seen(*vitals(), observation("creatinine", 9.0, 1))) != ordinary


def test_X_33_a_wrong_unit_changes_the_answer(host: Host) -> None:
    right = _probability(host, seen(*ILL))
    wrong = observation("creatinine", 4.0, 2, valueQuantity=quantity(4.0, "mmol/L"))
    assert _probability(host, seen(wrong, *ILL[1:])) != right


def test_X_34_Z_02_data_of_ten_years_ago_give_no_estimate_and_every_card_says_of_when_it_is(host: Host) -> None:
    old = [observation(concept, 80, 87_600) for concept in ("creatinine", "heart_rate", "temperature")]
    card = host.card(seen(*old))
    assert host.last_call().status == "insufficient-data"
    for each in (card, host.card(seen(*vitals()))):
        assert "14 Mar 2026" in str(each.detail)


def test_X_38_the_first_of_several_pages_is_known_for_what_it_is(host: Host) -> None:
    page = searchset(*vitals(), next_url="https://ehr.example/2")
    assert classify(msgspec.Raw(msgspec.json.encode(page))).next_url == "https://ehr.example/2"
    assert refused(host.call(request(prefetch=prefetch(observations=page))), 412)["code"] == "incomplete"


@pytest.mark.parametrize("scope", ["patient/Observation.rs", "patient/Observation.read", "launch", "", None])
def test_X_39_nothing_depends_on_how_scopes_are_spelt(host: Host, scope: str | None) -> None:
    token = {**TOKEN, "scope": scope} if scope is not None else without(TOKEN, "scope")
    body = request(fhirServer="https://ehr.example/fhir", fhirAuthorization=token)
    assert host.card(body).summary == host.card(request()).summary


def test_C_09_the_detail_is_markdown_without_html(host: Host) -> None:
    detail = str(host.card(seen(*ILL)).detail)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(detail)
    kinds = {token.type for token in (*tokens, *(child for token in tokens for child in token.children or ()))}
    assert "strong_open" in kinds
    assert not kinds & {"html_block", "html_inline"}


def test_C_15_C_23_the_source_leads_to_the_models_facts_and_not_to_the_patient(host: Host) -> None:
    first, second = host.card(request()), host.card(seen(*ILL))
    assert first.source.url == second.source.url == "https://bedside.example/models/tiny"


def test_C_17_the_source_names_the_model_and_its_version(host: Host, linear: ServedModel) -> None:
    label = host.card(request()).source.label
    assert linear.entry.words["en"].title in label
    assert linear.bundle.manifest.version in label


def test_C_21_markup_of_the_record_reaches_no_card(host: Host) -> None:
    marked = observation(
        "creatinine",
        4.0,
        2,
        code={"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": MARKUP}], "text": MARKUP},
        note=[{"text": MARKUP}],
    )
    unit = observation("creatinine", 4.0, 2, valueQuantity=quantity(4.0, MARKUP))
    body = request(
        prefetch=prefetch(
            patient=patient(name=[{"family": MARKUP}]),
            observations=searchset(*vitals(), marked, unit),
            conditions=searchset(kidney_disease(code={"text": MARKUP})),
            medication_requests=searchset(gentamicin(note=[{"text": MARKUP}])),
        )
    )
    assert b"<img" not in host.call(body).content


def test_R_26_the_very_ill_and_the_healthy_do_not_get_the_same_card_and_calls_at_once_do_not_mix(host: Host) -> None:
    bodies = [seen(*(ILL if number % 2 else vitals())) for number in range(12)]
    answers = host.client.send_all([Call("POST", "/cds-services/tiny", body) for body in bodies])
    summaries = [cards(answer).cards[0].summary for answer in answers]
    assert summaries == [summaries[0], summaries[1]] * 6
    assert summaries[0] != summaries[1]


def test_Z_05_a_card_suggests_nothing_and_links_only_to_this_server(host: Host) -> None:
    card = host.card(seen(*ILL))
    assert card.suggestions == ()
    assert all(link.url.startswith("https://bedside.example/") for link in card.links)


def test_Z_06_neither_token_nor_jwt_nor_patient_is_logged(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """tests/end_to_end/test_canaries.py plants many more."""
    caplog.set_level(logging.DEBUG)
    context = {"userId": "Practitioner/CANARY-user", "patientId": "CANARY-patient"}
    named = prefetch(patient=patient("CANARY-patient"), observations=searchset(*vitals(of="CANARY-patient")))
    access = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": TOKEN}
    for body in (request(context=context, prefetch=named, **access), request(context=context, prefetch=None, **access)):
        host.call(body, authorization="Bearer CANARY-JWT")
    assert "bedside.services" in {record.name for record in caplog.records}
    assert "CANARY" not in "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)


def test_Z_07_feedback_survives_a_restart_and_is_tied_to_model_and_version(linear: ServedModel, tmp_path: Path) -> None:
    with open_host(tmp_path, linear) as host:
        card = host.card(request())
        entry = {"card": card.uuid, "outcome": "overridden", "outcomeTimestamp": "2026-03-14T09:40:00Z"}
        assert host.client.post("/cds-services/tiny/feedback", {"feedback": [entry]}).status_code == 200
    with open_host(tmp_path, linear) as again:
        (kept,) = again.journal.feedback_for(str(card.uuid))
    assert kept.entry.service_id == "tiny"
    assert kept.model_version == linear.bundle.manifest.version
    assert kept.bundle_fingerprint == linear.bundle.fingerprint
