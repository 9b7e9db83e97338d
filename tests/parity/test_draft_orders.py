"""Parity of orders: the row that a model learned from and what it is served with just before the same order was signed.

In training the order is in the record, signed; at the call it is a draft in the hook's context and in no record.
"""

import json
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from cds_hooks.request import decode_request
from features.kernel import compute
from features.reading.reader import Record
from features.times import to_datetime
from models.catalog import catalog
from models.spec import ORDER_HOOKS
from serving.assess import ServedModel, serve
from serving.prefetched import assess_request, orders_of
from tests.bundles import linear_graph, random_rows, write_bundle
from tests.contract.charts import rewrite
from training.readers import fhir_ndjson
from training.rows import clinical_model
from training.synthetic import PatientResources, drafts_at, generate, read_patients, sample_request

ENTRIES = {entry.spec.id: entry for entry in catalog() if ORDER_HOOKS.intersection(entry.spec.hooks)}
PATIENTS, SEED = 60, 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export")
    generate(path / "plain", patients=PATIENTS, seed=SEED)
    rewrite(path / "plain", path / "charts")
    return path / "charts"


@pytest.fixture(scope="module")
def exported(folder: Path) -> Record:
    record, _ = fhir_ndjson.read_record(folder, lambda *_: None)
    return record


@pytest.fixture(scope="module", params=ENTRIES.values(), ids=list(ENTRIES))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    entry = request.param
    folder = tmp_path_factory.mktemp("served")
    bundle = write_bundle(
        folder / "bundle", entry.spec, linear_graph(width=len(entry.spec.features)), random_rows(entry.spec)
    )
    return serve(entry, bundle, ask_reports=True)


def asked(served: ServedModel, resources: PatientResources, at: int, hook: str) -> tuple[NDArray[np.float32], str]:
    """The feature vector of a call at that time with the drafts of then, and what was due to it."""
    when = to_datetime(at)
    body = sample_request(resources, served.templates, at=when, hook=hook, drafts=drafts_at(resources, when))
    request = decode_request(json.dumps(body).encode())
    orders = orders_of(served, request, at)
    assert orders is not None
    return assess_request(served, request, now=at, as_of="clock").vector, orders.due


@pytest.mark.parametrize("hook", sorted(ORDER_HOOKS))
def test_a_signed_order_and_its_draft_give_the_same_numbers(
    hook: str, served: ServedModel, folder: Path, exported: Record
) -> None:
    """To the last bit, and the model is asked exactly where its own row has a trigger."""
    spec = served.entry.spec
    cohort = clinical_model(served.entry).cohort(exported)
    learned = compute(exported.events, cohort.patients, cohort.times, spec.features)
    triggers = [spec.features.ids.index(f"{name}_active") for name in spec.triggers]
    is_asked = learned[:, triggers].max(axis=1) > 0
    assert is_asked.any()
    assert not is_asked.all()
    resources = read_patients(sorted(folder.glob("*.ndjson")), exported.events.patients)
    rows = zip(cohort.patients.tolist(), cohort.times.tolist(), learned, is_asked, strict=True)
    for patient, at, expected, is_due in islice(rows, 0, None, 2):
        found, due = asked(served, resources[exported.events.patients[patient]], at, hook)
        np.testing.assert_array_equal(found, expected, err_msg=f"at {to_datetime(at).isoformat()}")
        assert due == ("risk" if is_due else "nothing")


def test_an_order_that_is_left_out_of_the_call_makes_the_two_differ(
    served: ServedModel, folder: Path, exported: Record
) -> None:
    """The comparison above can fail: without its draft no row is the same."""
    cohort = clinical_model(served.entry).cohort(exported)
    resources = read_patients(sorted(folder.glob("*.ndjson")), exported.events.patients)
    learned = compute(exported.events, cohort.patients[:20], cohort.times[:20], served.entry.spec.features)
    for patient, at, expected in zip(cohort.patients.tolist(), cohort.times.tolist(), learned, strict=False):
        of_patient = resources[exported.events.patients[patient]]
        body = sample_request(of_patient, served.templates, at=to_datetime(at), hook="order-sign")
        request = decode_request(msgspec.json.encode(body))
        assert not np.array_equal(assess_request(served, request, now=at, as_of="clock").vector, expected)
