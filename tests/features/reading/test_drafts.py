"""Drafts: what is about to be ordered, and when an order that was signed was last a draft."""

from typing import Any, NamedTuple

import pytest

from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.refusals import Reason
from features.times import LATEST, microseconds, to_datetime
from features.vocabulary.code import ATC_WHO
from tests.features.reading.clinic import bundle
from tests.features.reading.resources import NOON, PATIENT, coded, resource
from tests.fhir_builders import NOW

Json = dict[str, Any]
VANCOMYCIN = coded("J01XA01", system=ATC_WHO)
IN_CODE = {"medicationCodeableConcept": VANCOMYCIN}
DRUG = {"resourceType": "Medication", "id": "m", "code": VANCOMYCIN}
BY_REFERENCE = {"medicationReference": {"reference": "Medication/m"}}
BEFORE_NOON, AT_NOON = "2026-11-24T11:59:59.999999", "2026-11-24T12:00:00"


class Held(NamedTuple):
    """An event: from when (and known when) until when, to the microsecond; None where it goes on."""

    concept: str
    time: str
    until: str | None


def signed(**fields: Any) -> Json:
    return resource("MedicationRequest", **({"status": "active", "intent": "order", "authoredOn": NOON} | fields))


def held(reader: Reader) -> list[Held]:
    events = reader.record().events
    assert events.known.tolist() == events.time.tolist()
    return [
        Held(events.concepts[concept], _text(time), None if until == LATEST else _text(until))
        for concept, time, until in zip(
            events.concept.tolist(), events.time.tolist(), events.until.tolist(), strict=True
        )
    ]


def _text(time: int) -> str:
    return to_datetime(time).replace(tzinfo=None).isoformat()


def read(*resources: Json) -> list[Held]:
    reader = Reader(load_interpreter(), patient=PATIENT)
    reader.read_searchset(bundle(*resources))
    return held(reader)


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param((signed(**IN_CODE),), id="in place"),
        pytest.param((signed(**BY_REFERENCE), DRUG), id="by reference"),
        pytest.param((signed(medicationReference={"reference": "#m"}, contained=[DRUG]),), id="contained"),
        pytest.param((signed(**IN_CODE, id="1"), signed(**IN_CODE, id="1")), id="sent twice"),
    ],
)
def test_a_signed_order_was_a_draft_the_instant_before(resources: tuple[Json, ...]) -> None:
    """And no longer: at the time of the order it is an order, and from then on."""
    assert read(*resources) == [
        Held("vancomycin", AT_NOON, None),
        Held("vancomycin_draft", BEFORE_NOON, AT_NOON),
    ]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(signed(**IN_CODE, authoredOn="2026-11-24"), id="an order dated by its day"),
        pytest.param(
            resource("MedicationAdministration", status="completed", effectiveDateTime=NOON, **IN_CODE), id="a dose"
        ),
        pytest.param(
            resource("MedicationStatement", status="active", effectiveDateTime=NOON, **IN_CODE), id="a statement"
        ),
    ],
)
def test_what_tells_no_moment_of_ordering_was_no_draft(told: Json) -> None:
    assert [event.concept for event in read(told)] == ["vancomycin"]


@pytest.mark.parametrize("status", ["draft", "cancelled", "entered-in-error", "unknown"])
def test_an_order_that_never_counted_was_no_draft_either(status: str) -> None:
    assert read(signed(**IN_CODE, status=status)) == []


def test_a_draft_of_a_call_holds_from_then_on_whatever_it_says() -> None:
    reader = Reader(load_interpreter(), patient=PATIENT)
    (found,) = reader.read_drafts(
        bundle(signed(**IN_CODE, id="d1", status="draft", authoredOn="2019-01-01")), at=microseconds(NOW)
    )
    assert (found.reference, found.concepts, found.refused) == ("MedicationRequest/d1", ("vancomycin_draft",), None)
    assert held(reader) == [Held("vancomycin_draft", _text(microseconds(NOW)), None)]


def test_drafts_without_a_patient_are_of_the_patient_of_the_call_if_there_is_one() -> None:
    draft = bundle({name: value for name, value in signed(**IN_CODE, status="draft").items() if name != "subject"})
    (of_call,) = Reader(load_interpreter(), patient=PATIENT).read_drafts(draft, at=0)
    (of_nobody,) = Reader(load_interpreter()).read_drafts(draft, at=0)
    assert (of_call.refused, of_nobody.refused) == (None, Reason.SUBJECT_MISSING)


def test_drafts_are_counted_as_resources_and_their_drugs_with_them() -> None:
    reader = Reader(load_interpreter(), patient=PATIENT)
    reader.read_drafts(bundle(signed(**BY_REFERENCE, status="draft"), DRUG), at=0)
    record = reader.record()
    assert (record.resources, len(record.events), len(record.refusals)) == (2, 1, 0)
