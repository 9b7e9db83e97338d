"""References within a Bundle: `urn:uuid:…` means the entry of that address, for whoever reads resources one by one."""

import json
from pathlib import Path
from typing import Any

import pytest

from features.files.sources import read_ndjson
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.refusals import Refusals
from tests.features.reading.resources import NOON, coded, observation, resource, without_none

Json = dict[str, Any]
ANNA, DRUG, ORDER, RESULT = (f"urn:uuid:{name}" for name in ("anna", "drug", "order", "result"))
GENTAMICIN = coded("J01GB03", system="http://www.whocc.no/atc")


def transaction(**ids: str | None) -> Json:
    """A patient, a result, a drug and its order that know each other by their addresses alone; None: without an id."""
    resources = {
        ANNA: {"resourceType": "Patient", "gender": "female", "birthDate": "1950-03-17", "id": "anna"},
        RESULT: observation(subject={"reference": ANNA}, id="result"),
        DRUG: {"resourceType": "Medication", "code": GENTAMICIN, "id": "drug"},
        ORDER: resource(
            "MedicationRequest", status="active", intent="order", authoredOn=NOON, id="order",
            subject={"reference": ANNA}, medicationReference={"reference": DRUG},
        ),
    }  # fmt: skip
    entries = [
        {
            "fullUrl": url,
            "resource": without_none(one | {"id": ids.get(one["id"], one["id"])}),
            "request": {"method": "POST", "url": one["resourceType"]},
        }
        for url, one in resources.items()
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


BUNDLES = {
    "ids as in the addresses (Synthea)": (transaction(), "anna"),
    "ids of their own": (transaction(anna="4711", drug="m1"), "4711"),
    "no ids yet": (transaction(anna=None, result=None, drug=None, order=None), "anna"),
    "in a Bundle": ({"resourceType": "Bundle", "entry": [{"resource": transaction()}]}, "anna"),
}


def concepts_of(reader: Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    record = reader.record()
    assert len(record.refusals) == 0
    return record.events.patients, record.events.concepts


@pytest.mark.parametrize(("bundle", "patient"), BUNDLES.values(), ids=BUNDLES.keys())
@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "many lines"])
def test_entries_find_one_another_by_their_addresses(
    bundle: Json, patient: str, indent: int | None, tmp_path: Path
) -> None:
    """As a file and as a page of a search, in both of which resources are read one by one."""
    expected = (patient,), ("age", "aminoglycoside", "aminoglycoside_draft", "creatinine", "sex")
    text = json.dumps(bundle, indent=indent)
    page = Reader(load_interpreter())
    page.read_searchset(text.encode())
    assert concepts_of(page) == expected
    file = tmp_path / "bundle.json"
    file.write_text(text, encoding="utf-8")
    broken: list[object] = []
    folder = Reader(load_interpreter())
    folder.read(read_ndjson(file, Refusals(), on_broken=broken.append))
    assert (concepts_of(folder), broken) == (expected, [])


def test_an_address_of_no_entry_stays_as_it_is_and_is_counted() -> None:
    bundle = transaction()
    del bundle["entry"][0]
    reader = Reader(load_interpreter())
    reader.read_searchset(json.dumps(bundle).encode())
    assert {refusal.detail: count for refusal, count in reader.record().refusals} == {"reference to no Patient": 2}


def test_what_only_looks_like_an_address_is_left_alone() -> None:
    """An identifier may have the same words, and a narrative may quote a reference."""
    bundle = transaction()
    quoted = json.dumps({"reference": ANNA})
    bundle["entry"][1]["resource"] |= {"identifier": [{"system": ANNA, "value": quoted}]}
    reader = Reader(load_interpreter())
    reader.read_searchset(json.dumps(bundle).encode())
    assert f"{ANNA}|{quoted}" in reader.take().instances.identifier
