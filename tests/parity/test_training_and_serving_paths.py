"""Parity: what a model learned from and what it is served with are the same float32 numbers.

Once as files of a bulk export through the training's reader, once as a CDS Hooks request through the server's.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR
from features.kernel import compute
from features.reading.reader import Record
from features.times import to_datetime
from models.catalog import CatalogEntry, catalog
from serving.assess import ServedModel, assess, serve
from tests.bundles import linear_graph, random_rows, write_bundle
from tests.contract.charts import rewrite
from training.readers import fhir_ndjson
from training.rows import clinical_model
from training.synthetic import PatientResources, generate, read_patients, sample_request

PATIENTS, SEED, TIMES_PER_PATIENT = 40, 7, 3
# Models that are asked by orders learn from the moments of orders: tests/parity/test_draft_orders.py.
ENTRIES = {entry.spec.id: entry for entry in catalog() if not entry.spec.triggers}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a bulk export, with times that only a report has, periods and statements among them."""
    path = tmp_path_factory.mktemp("export")
    generate(path / "plain", patients=PATIENTS, seed=SEED)
    rewrite(path / "plain", path / "charts")
    return path / "charts"


@pytest.fixture(scope="module")
def exported(folder: Path) -> Record:
    record, _ = fhir_ndjson.read_record(folder, lambda *_: None)
    return record


def moments(record: Record) -> Iterator[tuple[int, int]]:
    """Patients and times: the first hours of a stay, its middle and its end."""
    for stay in record.stays:
        patient = record.events.patients.index(stay.patient)
        end = stay.end if stay.end is not None else stay.start + 86_400_000_000
        for part in (1, 5, 9):
            yield patient, stay.start + (end - stay.start) * part // 9


@pytest.fixture(scope="module", params=ENTRIES.values(), ids=list(ENTRIES))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """Each model of the catalog as a server has it, around a graph that only tests would load."""
    entry: CatalogEntry = request.param
    graph = linear_graph(width=len(entry.spec.features))
    folder = tmp_path_factory.mktemp("served")
    bundle = write_bundle(folder / "bundle", entry.spec, graph, random_rows(entry.spec))
    return serve(entry, bundle, ask_reports=True)  # some of the charts' results are dated by their reports alone


def asked(served: ServedModel, resources: PatientResources, at: int) -> NDArray[np.float32]:
    """The feature vector that the server computes from a request at that time."""
    request = sample_request(resources, served.templates, at=to_datetime(at))
    answers = [msgspec.Raw(json.dumps(one).encode()) for one in request["prefetch"].values() if one is not None]
    return assess(served, request["context"]["patientId"], answers, now=at).vector


def test_files_and_a_request_give_the_same_numbers(served: ServedModel, folder: Path, exported: Record) -> None:
    """To the last bit, at all hours of the stays and at the times that the model's own cohort chooses."""
    cohort = clinical_model(served.entry).cohort(exported)
    chosen = zip(cohort.patients.tolist(), cohort.times.tolist(), strict=True)
    rows = [*moments(exported), *islice(chosen, 0, None, 20)]
    assert len(rows) >= PATIENTS * TIMES_PER_PATIENT
    patients, times = np.array(rows).T
    learned = compute(exported.events, patients, times, served.entry.spec.features)
    assert np.isfinite(learned).any(axis=0).mean() > 0.5
    resources = read_patients(sorted(folder.glob("*.ndjson")), exported.events.patients)
    for (patient, at), expected in zip(rows, learned, strict=True):
        found = asked(served, resources[exported.events.patients[patient]], at)
        np.testing.assert_array_equal(found, expected, err_msg=f"at {to_datetime(at).isoformat()}")


def test_a_later_result_makes_the_two_paths_differ(served: ServedModel, folder: Path, exported: Record) -> None:
    """The comparison above can fail: an hour later, some patient has other numbers."""
    resources = read_patients(sorted(folder.glob("*.ndjson")), exported.events.patients)
    rows = list(islice(moments(exported), 30))
    patients, times = np.array(rows).T
    learned = compute(exported.events, patients, times + 3 * MICROSECONDS_PER_HOUR, served.entry.spec.features)
    same = [
        np.array_equal(asked(served, resources[exported.events.patients[patient]], at), expected, equal_nan=True)
        for (patient, at), expected in zip(rows, learned, strict=True)
    ]
    assert not any(same)
