"""The proof: holds for random models, and fails for every fault that exports are known for."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from tests.training.export.examples import CALIBRATION, cohort, exported, trained
from training.export import Calibration, ParityError, lightgbm_reader, prove
from training.export.family import Scale
from training.export.lightgbm_reader import read_lightgbm
from training.export.probes import probe_rows
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.02, 0.5, 0.95]),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]),
    slope=st.sampled_from([0.01, 0.8, 1.0, 30.0]),
    boosting=st.sampled_from(["gbdt", "dart", "goss"]),
    leaves=st.sampled_from([2, 9, 40]),
)
def test_random_models_are_exported_exactly(
    seed: int, features: int, missing: float, scale: float, slope: float, boosting: str, leaves: int
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing, scale=scale)
    model = trained(rows, labels, boosting=boosting, num_leaves=leaves, seed=seed, min_data_in_leaf=1)
    calibration = Calibration(slope=slope, intercept=-2.0)
    proof = prove(exported(model, features, calibration), model, calibration, rows[:60], seed=seed, shap_rows=16)
    assert proof.rows_tried > proof.real_rows


def test_every_threshold_is_met_exactly_and_one_step_to_both_sides() -> None:
    rows, labels = cohort(missing=0.0)
    ensemble = read_lightgbm(trained(rows, labels))
    read = TreeSum(ensemble=ensemble, scale=Scale.LOG_ODDS)
    probes = probe_rows(rows[:10], read.thresholds, np.random.default_rng(0))
    count = 0
    for feature in range(5):
        mine = [tree.threshold[tree.column == feature] for tree in ensemble.trees]
        thresholds = np.unique(np.concatenate(mine))
        tried = set(probes.rows[:, feature].tolist())
        for step in (
            thresholds,
            np.nextafter(thresholds, np.float32(np.inf)),
            np.nextafter(thresholds, -np.float32(np.inf)),
        ):
            assert set(step.tolist()) <= tried
        count += len(thresholds)
    assert probes.thresholds_covered == count
    assert np.isnan(probes.rows).all(axis=1).any()


def test_thresholds_rounded_to_the_nearest_float32_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the usual converters do."""

    def nearest(thresholds: FloatArray) -> Float32Array:
        return thresholds.astype(np.float32)

    rows, labels = cohort()
    model = trained(rows, labels)
    monkeypatch.setattr(lightgbm_reader, "round_down_to_float32", nearest)
    with pytest.raises(ParityError, match="logit"):
        prove(exported(model, 5), model, None, rows[:50])


@pytest.mark.parametrize(
    ("initializer_suffix", "what"),
    [
        pytest.param("cover_ratio", "contributions", id="other covers"),
        pytest.param("leaf_value", "additivity", id="explanation of other leaves"),
        pytest.param("conditions/nan_passes", "contributions", id="NaN in the other direction"),
        pytest.param("conditions/upper", "contributions", id="other conditions"),
        pytest.param("base", "base value", id="another base value"),
    ],
)
def test_a_tampered_graph_fails(initializer_suffix: str, what: str) -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    graph = onnx.load_from_string(exported(model, 5))
    for tensor in graph.graph.initializer:
        if tensor.name.endswith(initializer_suffix):
            values = numpy_helper.to_array(tensor)
            changed = ~values if values.dtype == np.bool_ else (values * 0.9).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    with pytest.raises(ParityError, match=what):
        prove(graph.SerializeToString(), model, None, rows[:50])


def test_a_scoring_tree_with_swapped_missing_directions_fails() -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    graph = onnx.load_from_string(exported(model, 5))
    (scoring,) = (node for node in graph.graph.node if node.op_type == "TreeEnsembleRegressor")
    (directions,) = (a for a in scoring.attribute if a.name == "nodes_missing_value_tracks_true")
    directions.ints[:] = [1 - direction for direction in directions.ints]
    with pytest.raises(ParityError, match="logit"):
        prove(graph.SerializeToString(), model, None, rows[:50])


def test_a_graph_of_another_calibration_fails() -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    with pytest.raises(ParityError, match="logit"):
        prove(exported(model, 5, CALIBRATION), model, None, rows[:50])


def test_the_proof_says_what_was_tried() -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    proof = prove(exported(model, 5, CALIBRATION), model, CALIBRATION, rows[:50])
    stored = proof.as_dict()
    assert (proof.real_rows, proof.rows_against_shap) == (50, 32)
    assert set(proof.library_versions) >= {"lightgbm", "onnxruntime", "shap"}
    assert stored["largest_logit_difference"] == proof.largest_logit_difference <= 1e-5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(np.zeros((3, 5)), "float64", id="doubles"),
        pytest.param(np.zeros((0, 5), dtype=np.float32), "N >= 1", id="no rows"),
        pytest.param(np.full((1, 5), np.inf, dtype=np.float32), "infinities", id="an infinity"),
    ],
)
def test_rows_that_prove_nothing_are_refused(rows: Float32Array, said: str) -> None:
    training_rows, labels = cohort()
    model = trained(training_rows, labels)
    with pytest.raises(ValueError, match=said):
        prove(exported(model, 5), model, None, rows)
