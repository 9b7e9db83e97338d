"""The benchmark model: what the figures say that it is, and served as any model."""

import re
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from benchmarks.bodies import explained_card, patient_view
from benchmarks.make_model import MISSING_SHARE, benchmark_model, train, training_rows
from benchmarks.memory_journal import MemoryJournal
from benchmarks.model import BenchmarkModel, benchmark_ids, benchmark_spec
from benchmarks.serve import served_model
from benchmarks.stages import one_call
from models.catalog import find
from training.export.parity import open_session

TREES = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkModel:
    return benchmark_model(tmp_path_factory.mktemp("bench"), copies=2, trees=TREES)


def test_it_has_thirty_features_and_a_fifth_of_its_values_missing() -> None:
    rows, labels = training_rows()
    assert rows.shape[1] == len(benchmark_spec().features) == 30
    assert np.isnan(rows).mean() == pytest.approx(MISSING_SHARE, abs=0.005)
    assert 0.1 < labels.mean() < 0.5


def test_every_tree_has_all_its_leaves() -> None:
    booster = train(*training_rows(), trees=TREES)
    assert [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]] == [31] * TREES


def test_the_booster_the_graph_and_its_scoring_part_are_one_model(model: BenchmarkModel) -> None:
    rows = model.rows[:50]
    expected = lightgbm.Booster(model_file=str(model.booster)).predict(rows)
    for graph in (model.graph, model.score.read_bytes()):
        (found,) = open_session(graph).run(["probability"], {"features": rows})
        assert found == pytest.approx(expected, abs=1e-6)


def test_a_second_call_makes_nothing_anew(model: BenchmarkModel) -> None:
    before = model.booster.stat().st_mtime_ns
    again = benchmark_model(model.folder.parent, copies=2, trees=TREES)
    assert (again, again.booster.stat().st_mtime_ns) == (model, before)


@pytest.mark.parametrize("model_id", benchmark_ids(2))
@pytest.mark.parametrize("observations", [60, 1000], ids="{} Observations".format)
def test_a_call_is_scored_and_explained(model: BenchmarkModel, model_id: str, observations: int) -> None:
    served = served_model(model_id, model)
    with one_call(served, patient_view(served.entry.spec, observations=observations)) as call:
        assert explained_card() in call()


@pytest.mark.parametrize("observations", [60, 1000], ids="{} Observations".format)
def test_a_call_of_the_released_model_is_scored_and_explained_too(model: BenchmarkModel, observations: int) -> None:
    """Its minimum data are in the body: a card that says that data are missing would be measured for nothing."""
    body = patient_view(find("sepsis").spec, observations=observations)
    with one_call(served_model("sepsis", model), body) as call:
        assert explained_card() in call()


def test_the_bodies_are_as_large_as_the_figures_say() -> None:
    sizes = [len(patient_view(benchmark_spec(), observations=observations)) for observations in (60, 1000)]
    assert sizes == [pytest.approx(55_000, rel=0.05), pytest.approx(900_000, rel=0.05)]


def test_a_journal_that_keeps_nothing_acknowledges_at_once() -> None:
    with MemoryJournal() as journal:
        assert journal.submit().done()


def test_nothing_of_this_machine_is_in_the_bundle(model: BenchmarkModel) -> None:
    manifest = (model.bundle_folder("benchmark") / "manifest.json").read_text(encoding="utf-8")
    assert not re.search(re.escape(str(Path.cwd())), manifest)
