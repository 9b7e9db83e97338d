"""Draft orders of invented patients: what a hook would have sent the instant before an order was signed."""

from datetime import timedelta
from pathlib import Path

import msgspec

from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.times import parse, to_datetime
from training.synthetic import PatientResources, drafts_at, read_patients, sample_request

MICROSECOND = timedelta(microseconds=1)


def ordered(folder: Path) -> list[tuple[PatientResources, str, str]]:
    """Patients with the ids and times of their orders."""
    patients = read_patients(sorted(folder.glob("*.ndjson")), {f"synthetic-{n:05d}" for n in range(1, 81)})
    return [
        (one, held.resource["id"], held.resource["authoredOn"])
        for one in patients.values()
        for held in one.held.get("MedicationRequest", ())
    ]


def test_each_order_was_a_draft_just_before_it_was_signed_and_at_no_other_time(cohort_folder: Path) -> None:
    every = ordered(cohort_folder)
    assert len(every) > 50
    for resources, name, authored in every:
        signed = to_datetime(parse(authored).last)
        (draft,) = [one for one in drafts_at(resources, signed - MICROSECOND) if one["id"] == name]
        assert (draft["status"], "authoredOn" in draft) == ("draft", False)
        assert drafts_at(resources, signed) == ()
        assert drafts_at(resources, signed - 2 * MICROSECOND) == ()


def test_a_draft_can_be_read_from_the_request_alone(cohort_folder: Path) -> None:
    """Whether its drug is coded or referred to, as hospitals differ in it."""
    forms = set()
    for resources, _, authored in ordered(cohort_folder):
        drafts = drafts_at(resources, to_datetime(parse(authored).last) - MICROSECOND)
        request = sample_request(resources, {}, at=to_datetime(parse(authored).last), hook="order-sign", drafts=drafts)
        reader = Reader(load_interpreter(), patient=resources.patient)
        for draft in reader.read_drafts(_json(request["context"]["draftOrders"]), at=0):
            assert (draft.refused, len(draft.concepts)) == (None, 1)
        forms |= {"contained" in one for one in drafts}
    assert forms == {True, False}


def test_at_order_select_all_drafts_of_a_sample_were_just_chosen(cohort_folder: Path) -> None:
    resources, name, authored = ordered(cohort_folder)[0]
    at = to_datetime(parse(authored).last) - MICROSECOND
    drafts = drafts_at(resources, at)
    context = sample_request(resources, {}, at=at, hook="order-select", drafts=drafts)["context"]
    assert f"MedicationRequest/{name}" in context["selections"]
    assert len(context["selections"]) == len(context["draftOrders"]["entry"])


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
