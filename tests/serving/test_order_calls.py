"""Calls of the order hooks, from the request to the card and to what the journal keeps."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.words import Language
from serving.assess import ServedModel
from serving.journal_entries import float32_array
from tests.conformance.client import cards, failed, strict_json
from tests.fhir_builders import Json, gentamicin, observation, patient, prefetch, searchset, vitals
from tests.hosts import PSEUDONYMS, Host, open_host
from tests.serving.ordering import GENTAMICIN, IBUPROFEN, PANTOPRAZOLE, PARACETAMOL, draft, order_request, ordering

CHOSEN = ["MedicationRequest/d1"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ordering(tmp_path_factory.mktemp("ordering"))


@pytest.fixture
def orders(served: ServedModel, tmp_path: Path) -> Iterator[Host]:
    with open_host(tmp_path, served) as host:
        yield host


def detail(host: Host, body: Json, **headers: str) -> str:
    return host.card(body, **headers).detail or ""


def test_discovery_offers_the_model_on_both_order_hooks(orders: Host) -> None:
    services = strict_json(orders.client.send("GET", "/cds-services").content)["services"]
    assert [(one["hook"], one["id"]) for one in services] == [("order-select", "tiny"), ("order-sign", "tiny")]
    assert {tuple(sorted(one["prefetch"])) for one in services} == {tuple(sorted(prefetch()))}


@pytest.mark.parametrize("chosen", [None, CHOSEN], ids=["order-sign", "order-select"])
@pytest.mark.parametrize(
    ("language", "first"),
    [
        ("en", "About to be ordered: **Ibuprofen (NSAID)**."),
        ("de", "Vor der Verordnung: **Ibuprofen (NSAR)**."),
    ],
)
def test_the_card_begins_with_the_order_that_asked(
    language: Language, first: str, chosen: list[str] | None, orders: Host
) -> None:
    body = order_request(draft(IBUPROFEN), draft(PARACETAMOL, "d2"), chosen=chosen)
    assert detail(orders, body, accept_language=language).startswith(f"{first}\n\n**")
    entry = orders.last_call()
    assert (entry.status, entry.hook) == ("card", body["hook"])
    assert entry.evidence["orders"] == [{"concept": "nephrotoxic_nsaid_draft", "name": "Ibuprofen"}]


def test_the_card_says_what_its_number_is_not(orders: Host) -> None:
    assert "How much of it is due to the order, it does not say." in detail(orders, order_request(draft(IBUPROFEN)))


@pytest.mark.parametrize(
    ("drafts", "active"),
    [
        pytest.param([draft(GENTAMICIN)], 1.0, id="the drug that the model reads"),
        pytest.param([draft(IBUPROFEN)], 0.0, id="another one"),
        pytest.param([draft(IBUPROFEN), draft(GENTAMICIN, "d2")], 1.0, id="both"),
    ],
)
def test_the_model_reads_what_is_about_to_be_ordered(drafts: list[Json], active: float, orders: Host) -> None:
    """As a feature of its own: an order in the record is another, and stays what it is."""
    signed = prefetch(medication_requests=searchset(gentamicin(10)))
    orders.card(order_request(*drafts, prefetch=signed))
    (vector,) = [entry.feature_vector for entry in [orders.last_call()]]
    assert vector is not None
    assert float32_array(vector)[-1] == active
    assert float32_array(vector)[7] == 1.0  # aminoglycoside_present_72h


def test_at_order_select_all_drafts_are_read_though_only_the_chosen_ask(orders: Host) -> None:
    text = detail(orders, order_request(draft(IBUPROFEN), draft(GENTAMICIN, "d2"), chosen=CHOSEN))
    assert text.startswith("About to be ordered: **Ibuprofen (NSAID)**.")
    vector = orders.last_call().feature_vector
    assert vector is not None
    assert float32_array(vector)[-1] == 1.0


def test_a_contributor_is_told_as_an_order(orders: Host) -> None:
    assert "**Order: Aminoglycoside antibiotic** about to be placed." in detail(
        orders, order_request(draft(GENTAMICIN))
    )


def test_an_order_that_was_signed_is_no_draft_any_more(orders: Host) -> None:
    """It was one the instant before, as a training row sees it; at the call that is past."""
    body = order_request(draft(IBUPROFEN), prefetch=prefetch(medication_requests=searchset(gentamicin(0.001))))
    assert "about to be placed" not in detail(orders, body)
    vector = orders.last_call().feature_vector
    assert vector is not None
    assert float32_array(vector)[-1] == 0.0


def test_an_order_under_revision_stands_beside_its_draft(orders: Host) -> None:
    """The record holds the order of the same id; neither replaces the other."""
    signed = prefetch(medication_requests=searchset(gentamicin(10, id="d1")))
    orders.card(order_request(draft(GENTAMICIN, "d1"), prefetch=signed))
    entry = orders.last_call()
    assert entry.feature_vector is not None
    assert float32_array(entry.feature_vector)[[7, -1]].tolist() == [1.0, 1.0]
    assert entry.refusals == {}


@pytest.mark.parametrize("chosen", [None, CHOSEN], ids=["order-sign", "order-select"])
def test_an_order_that_asks_for_nothing_is_answered_with_no_card_and_no_record_is_needed(
    chosen: list[str] | None, orders: Host
) -> None:
    body = order_request(draft(PANTOPRAZOLE), chosen=chosen, prefetch=None)
    assert orders.call(body).json() == {"cards": []}
    entry = orders.last_call()
    assert (entry.status, entry.http_status, entry.refusals) == ("not-triggered", 200, {"code-not-mapped": 1})
    assert entry.patient_pseudonym == PSEUDONYMS.of("p1")
    assert (entry.feature_vector, entry.evidence, entry.missing_features) == (None, None, ())
    assert orders.journal.cards_of(entry.call_id) == ()
    (counts,) = orders.journal.counts()
    assert (counts.calls, counts.not_triggered, counts.cards_shown, counts.errors) == (1, 1, 0, 0)


def test_an_order_that_asks_needs_the_record(orders: Host) -> None:
    failed(orders.call(order_request(draft(IBUPROFEN), prefetch=None)), 412)


def test_an_order_that_asks_where_too_little_is_known_is_told_so(orders: Host) -> None:
    text = detail(orders, order_request(draft(IBUPROFEN), prefetch=prefetch(observations=searchset())))
    assert text.startswith("About to be ordered: **Ibuprofen (NSAID)**.\n\n**No estimate is shown, because too little")
    assert orders.last_call().status == "insufficient-data"


@pytest.mark.parametrize(
    ("language", "summary", "first"),
    [
        ("en", "no estimate, an order could not be read", "**No estimate is shown, because draft orders could not be"),
        ("de", "keine Schätzung, eine Verordnung war nicht lesbar", "**Es wird keine Schätzung gezeigt, weil Verordn"),
    ],
)
def test_an_order_that_cannot_be_read_is_never_an_empty_list(
    language: Language, summary: str, first: str, orders: Host
) -> None:
    card = orders.card(order_request(draft({"text": "something"}), prefetch=None), accept_language=language)
    assert card.summary.endswith(summary)
    assert (card.detail or "").startswith(first)
    assert card.indicator == "info"
    entry = orders.last_call()
    assert (entry.status, entry.refusals) == ("insufficient-data", {"reference-unresolved": 1})
    assert entry.evidence["unclear_orders"] == 1


def test_an_order_that_cannot_be_read_beside_one_that_asks_is_told_on_its_card(orders: Host) -> None:
    text = detail(orders, order_request(draft(IBUPROFEN), draft({"text": "something"}, "d2")))
    assert "Sent, but not used: 1 × drug or specimen not resolvable." in text


def test_an_order_of_another_patient_is_an_error(orders: Host) -> None:
    outcome = failed(orders.call(order_request(draft(IBUPROFEN, of="p2"))), 400)
    assert "Expected draft orders of the patient of context.patientId" in json.dumps(outcome)
    assert orders.last_call().status == "error"


def test_five_hundred_drafts_are_answered(orders: Host) -> None:
    many = [draft(PARACETAMOL, f"d{number}") for number in range(500)]
    assert orders.call(order_request(*many)).json() == {"cards": []}
    assert orders.last_call().refusals == {"code-not-mapped": 500}


def test_a_demonstrations_orders_hold_at_the_latest_observation(served: ServedModel, tmp_path: Path) -> None:
    """The index time is in the past there, and the order would come after it."""
    with open_host(tmp_path, served, as_of="latest-observation") as host:
        host.card(order_request(draft(GENTAMICIN)))
        entry = host.last_call()
    assert entry.feature_vector is not None
    assert entry.index_time is not None
    assert entry.index_time < entry.received_at
    assert np.array_equal(float32_array(entry.feature_vector)[-1:], [1.0])
    assert entry.refusals == {}


CANARY = "CANARY"


def planted(drug: Json, **fields: Any) -> Json:
    """A draft that has a canary wherever a text may stand."""
    return draft(
        drug, "CANARY-draft", of="CANARY-patient", note=[{"text": CANARY}], requester={"display": CANARY}, **fields
    )


PREFETCHED = prefetch(
    patient=patient("CANARY-patient"),
    observations=searchset(*vitals(of="CANARY-patient"), observation("creatinine", 0.9, of="CANARY-patient")),
)
WITH_TEXT = {"text": "CANARY-text", **IBUPROFEN}
UNKNOWN = {"coding": [{"system": "https://x.example", "code": "CANARY-code", "display": "CANARY-display"}]}


@pytest.mark.parametrize(
    ("drafts", "status"),
    [
        pytest.param([planted(WITH_TEXT)], "card", id="that asks"),
        pytest.param([planted(UNKNOWN)], "not-triggered", id="that asks for nothing"),
        pytest.param([planted({"text": CANARY})], "insufficient-data", id="that cannot be read"),
        pytest.param([planted(WITH_TEXT, subject={"reference": "Patient/CANARY-2"})], "error", id="of another patient"),
        pytest.param([planted(WITH_TEXT, status=[CANARY])], "insufficient-data", id="that is broken"),
    ],
)
def test_drafts_leave_no_canary_in_log_answer_or_journal(
    drafts: list[Json], status: str, served: ServedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "bedside.services", "cds_hooks", "sqlalchemy.engine"):
        caplog.set_level(logging.DEBUG, logger=name)
    context = {"userId": "Practitioner/CANARY", "patientId": "CANARY-patient"}
    body = order_request(*drafts, prefetch=PREFETCHED)
    body["context"] |= context
    with open_host(tmp_path, served) as host:
        response = host.call(body)
        assert host.last_call().status == status
    logged = "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("journal.db*"))
    assert (CANARY in logged, CANARY.encode() in kept, CANARY in response.text) == (False, False, False)
    if status == "card":
        assert "Ibuprofen (NSAID)" in str(cards(response).cards[0].detail)
