"""Orders: which draft orders ask for guidance, which don't, and which nobody can read."""

from typing import Any

import msgspec
import pytest

from cds_hooks.errors import InvalidField
from cds_hooks.request import decode_request
from features.feature import Aggregate, Aggregation, FeatureSet
from features.refusals import Reason
from models.spec import SpecError
from serving.assess import ServedModel
from serving.orders import LONGEST_NAME, Order, Orders, plain_words, vocabulary_of
from serving.prefetched import orders_of
from tests.bundles import tiny_spec
from tests.fhir_builders import Json, request
from tests.serving.assessing import AT
from tests.serving.ordering import (
    ATC,
    GENTAMICIN,
    IBUPROFEN,
    OF_THE_HOUSE,
    PANTOPRAZOLE,
    PARACETAMOL,
    TRIGGERS,
    draft,
    order_request,
    ordering,
)

NSAID = Order(concept="nephrotoxic_nsaid_draft", name="Ibuprofen")
AMINOGLYCOSIDE = Order(concept="aminoglycoside_draft", name="Gentamicin")
CHOSEN = "MedicationRequest/d1"
EXAMINATION = draft(None, resourceType="ServiceRequest", code={"text": "Röntgen Thorax"})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ordering(tmp_path_factory.mktemp("ordering"))


def orders(served: ServedModel, body: Json) -> Orders:
    found = orders_of(served, decode_request(msgspec.json.encode(body)), AT)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "due", "asking"),
    [
        pytest.param(order_request(draft(IBUPROFEN)), "risk", (NSAID,), id="signed: one that asks"),
        pytest.param(order_request(draft(PANTOPRAZOLE)), "nothing", (), id="signed: one that does not"),
        pytest.param(order_request(draft(PARACETAMOL)), "nothing", (), id="signed: of no concept at all"),
        pytest.param(order_request(draft(OF_THE_HOUSE)), "nothing", (), id="signed: coded by the house alone"),
        pytest.param(order_request(), "nothing", (), id="signed: none"),
        pytest.param(
            order_request(draft(PANTOPRAZOLE), draft(GENTAMICIN, "d2"), draft(IBUPROFEN, "d3")),
            "risk",
            (AMINOGLYCOSIDE, NSAID),
            id="signed: two of three",
        ),
        pytest.param(
            order_request(draft(IBUPROFEN), draft(IBUPROFEN, "d2")), "risk", (NSAID,), id="signed: the same one twice"
        ),
        pytest.param(order_request(draft(IBUPROFEN), chosen=[CHOSEN]), "risk", (NSAID,), id="chosen: one that asks"),
        pytest.param(
            order_request(draft(IBUPROFEN), draft(PANTOPRAZOLE, "d2"), chosen=["MedicationRequest/d2"]),
            "nothing",
            (),
            id="chosen: another beside one that asked before",
        ),
        pytest.param(order_request(draft(IBUPROFEN), chosen=[]), "nothing", (), id="chosen: none"),
        pytest.param(order_request(draft(IBUPROFEN), chosen=["NutritionOrder/n1"]), "nothing", (), id="chosen: a diet"),
        pytest.param(order_request(draft(IBUPROFEN, of=None)), "risk", (NSAID,), id="without a subject yet"),
        pytest.param(order_request(draft(IBUPROFEN, status=None)), "risk", (NSAID,), id="without a status"),
        pytest.param(order_request(draft(IBUPROFEN, intent="proposal")), "risk", (NSAID,), id="a proposal still"),
        pytest.param(order_request(draft(IBUPROFEN, status="active")), "nothing", (), id="no draft any more"),
        pytest.param(order_request(draft(IBUPROFEN, doNotPerform=True)), "nothing", (), id="not to be given"),
        pytest.param(order_request(draft(IBUPROFEN, None)), "risk", (NSAID,), id="without an id"),
        pytest.param(order_request(EXAMINATION), "nothing", (), id="an examination that has no code"),
        pytest.param(order_request(chosen=["ServiceRequest/s1"]), "nothing", (), id="chosen: an examination elsewhere"),
    ],
)
def test_which_orders_ask(body: Json, due: str, asking: tuple[Order, ...], served: ServedModel) -> None:
    found = orders(served, body)
    assert (found.due, found.asking, found.unclear) == (due, asking, 0)


def referring(reference: str, **fields: Any) -> Json:
    return draft(None, medicationReference={"reference": reference}, **fields)


DRUG = {"resourceType": "Medication", "id": "m1", "code": IBUPROFEN}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(order_request(referring("#m1", contained=[DRUG])), id="contained"),
        pytest.param(order_request(DRUG, referring("Medication/m1")), id="an entry beside it"),
        pytest.param(order_request(referring("https://ehr.example/Medication/m1"), DRUG), id="absolute, an entry"),
    ],
)
def test_a_drug_that_an_order_refers_to_is_found_in_the_request(body: Json, served: ServedModel) -> None:
    assert orders(served, body).asking == (NSAID,)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(order_request(referring("Medication/m9")), Reason.REFERENCE_UNRESOLVED, id="a drug elsewhere"),
        pytest.param(order_request(draft(None)), Reason.REFERENCE_UNRESOLVED, id="no drug"),
        pytest.param(order_request(draft({"text": "Ibuprofen"})), Reason.REFERENCE_UNRESOLVED, id="a name alone"),
        pytest.param(order_request(draft({"coding": "M01AE01"})), Reason.MALFORMED, id="a broken code"),
        pytest.param(order_request(draft(IBUPROFEN, status=1)), Reason.MALFORMED, id="a broken order"),
        pytest.param(order_request("junk"), Reason.MALFORMED, id="no resource"),
        pytest.param(order_request({"no": "type"}), Reason.MALFORMED, id="a resource of no type"),
        pytest.param(
            order_request(draft(IBUPROFEN, subject={"reference": "Group/g"})),
            Reason.SUBJECT_MISSING,
            id="of no patient",
        ),
        pytest.param(
            order_request(draft(IBUPROFEN, modifierExtension=[{"url": "https://x.example"}])),
            Reason.MODIFIER_EXTENSION,
            id="changed by what is not known",
        ),
        pytest.param(
            order_request(draft(IBUPROFEN), chosen=["MedicationRequest/d9"]),
            Reason.REFERENCE_UNRESOLVED,
            id="chosen, and not among the drafts",
        ),
    ],
)
def test_an_order_that_might_ask_and_cannot_be_read_leaves_a_doubt(
    body: Json, reason: Reason, served: ServedModel
) -> None:
    found = orders(served, body)
    assert (found.due, found.asking, found.unclear) == ("doubt", (), 1)
    assert found.refusals.by_reason() == {reason.value: 1}


def test_one_that_asks_beside_one_that_cannot_be_read_is_enough(served: ServedModel) -> None:
    assert orders(served, order_request("junk", draft(IBUPROFEN))).due == "risk"


@pytest.mark.parametrize("chosen", [None, [CHOSEN]], ids=["signed", "chosen"])
def test_an_order_of_another_patient_is_an_error_wherever_it_stands(
    chosen: list[str] | None, served: ServedModel
) -> None:
    with pytest.raises(InvalidField, match="got one of another") as caught:
        orders(served, order_request(draft(IBUPROFEN), draft(PARACETAMOL, "d2", of="p2"), chosen=chosen))
    assert caught.value.location == "context.draftOrders"


def test_five_hundred_drafts_are_read(served: ServedModel) -> None:
    many = [draft(PARACETAMOL, f"d{number}") for number in range(499)]
    assert orders(served, order_request(*many, draft(IBUPROFEN, "last"))).asking == (NSAID,)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"type": "collection", "id": 7}, id="a Bundle with an id that is none"),
        pytest.param({"total": "many"}, id="fields that nobody reads"),
    ],
)
def test_drafts_that_are_no_valid_r4_ask_like_any_others(change: Json, served: ServedModel) -> None:
    """As the official sandbox sends them: no type, no intent, and objects where R4 has arrays."""
    one = draft(IBUPROFEN, intent=None, category={"text": "x"}, reasonCode={"text": "y"}, dosageInstruction=None)
    body = order_request(one)
    body["context"]["draftOrders"] |= change
    assert orders(served, body).asking == (NSAID,)


def test_other_hooks_and_other_models_have_no_orders(served: ServedModel, linear: ServedModel) -> None:
    of_chart = decode_request(msgspec.json.encode(request()))
    of_order = decode_request(msgspec.json.encode(order_request(draft(IBUPROFEN))))
    assert orders_of(served, of_chart, AT) is None
    assert orders_of(linear, of_order, AT) is None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Ibuprofen 400 MG Oral Tablet", "Ibuprofen 400 MG Oral Tablet"),
        ("100 ML gentamicin 1.2 MG/ML Injection", "100 ML gentamicin 1.2 MG/ML Injection"),
        ("Paracetamol 0,5 % Säfte-Lösung", "Paracetamol 0,5 % Säfte-Lösung"),
        ("**bold** [link](https://evil.example)", "bold link https //evil example"),
        ("www.evil.example", "www evil example"),
        ("<script>alert(1)</script>", "script alert 1 /script"),
        ("- a list\n# a title\n1. one", "a list a title 1 one"),
        ("`code` ~~gone~~ | cell & amp;", "code gone cell amp"),
        ("***", None),
        (None, None),
        ("x" * 200, "x" * LONGEST_NAME),
    ],
)
def test_a_name_from_a_record_is_plain_words_on_a_card(said: str | None, shown: str | None) -> None:
    assert plain_words(said) == shown


def test_the_name_is_of_the_coding_that_was_understood(served: ServedModel) -> None:
    """A text beside it, or another coding's display, may say anything."""
    drug = {"text": "harmless", "coding": [*OF_THE_HOUSE["coding"], {"system": ATC, "code": "J01GB03"}]}
    assert orders(served, order_request(draft(drug))).asking == (Order(concept="aminoglycoside_draft", name=None),)


def test_a_trigger_that_is_no_draft_and_drafts_of_the_past_are_refused_at_start() -> None:
    hooks = ("order-sign",)
    with pytest.raises(SpecError, match="expected triggers that are concepts of drafts, got"):
        vocabulary_of(tiny_spec(hooks=hooks, triggers=("aminoglycoside",)))
    past = Aggregate(concept=TRIGGERS[0], aggregation=Aggregation.COUNT, lookback_hours=24)
    with pytest.raises(SpecError, match="feature aminoglycoside_draft_count_24h: of draft orders expected active"):
        vocabulary_of(tiny_spec(features=FeatureSet((*tiny_spec().features, past))))
