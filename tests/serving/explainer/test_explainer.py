"""The compiled explainer: LightGBM's own contributions, and the graph's, for whatever trees a graph holds."""

import os
import subprocess
import sys
from collections.abc import Callable

import lightgbm
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from models.onnx_file import read_onnx
from serving.explainer import Explainer, NoLibrary, NotExplainable, explainer_of, load_library
from serving.explainer.explainer import quadrature
from tests.training.export.examples import CALIBRATION, baseline, cohort, exported, trained
from training.export.parity import open_session, run_graph

try:
    load_library()
except NoLibrary as reason:
    pytest.skip(f"no compiled explainer: {reason}", allow_module_level=True)


Change = Callable[[onnx.NodeProto], object]


def _explainer(booster: lightgbm.Booster, features: int) -> Explainer:
    return explainer_of(read_onnx(exported(booster, features)), features)


def _apart(found: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """The largest difference, in units of the row's largest contribution or 1."""
    scale = np.maximum(1.0, np.abs(expected).max(axis=1, keepdims=True))
    return float((np.abs(found - expected) / scale).max())


def _with_missing(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows, and one of which nothing is known."""
    return np.concatenate([rows, np.full((1, rows.shape[1]), np.nan, np.float32)])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.02, 0.5, 0.95]),
    leaves=st.sampled_from([2, 9, 40]),
    boosting=st.sampled_from(["gbdt", "dart", "goss"]),
)
def test_random_models_are_explained_as_lightgbm_does(
    seed: int, features: int, missing: float, leaves: int, boosting: str
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing)
    booster = trained(rows, labels, boosting=boosting, num_leaves=leaves, seed=seed, min_data_in_leaf=1)
    rows = _with_missing(rows[:60])
    expected = np.asarray(booster.predict(rows, pred_contrib=True))[:, :-1]
    if not expected.any():  # a model without any split has no trees to read
        with pytest.raises(NotExplainable, match="0 sums of trees"):
            _explainer(booster, features)
        return
    explainer = _explainer(booster, features)
    assert _apart(explainer.explain(rows), expected) < 1e-5


def test_paths_of_more_features_than_one_block_of_nodes_can_integrate_are_exact() -> None:
    """A chain of 40 tests on 40 features needs a rule of 20 nodes: three blocks of eight."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3_000, 40)).astype(np.float32)
    labels = np.asarray((rows > -2.5).all(axis=1), np.int64)
    booster = trained(rows, labels, num_leaves=64, min_data_in_leaf=1, rounds=3, feature_fraction=1.0)
    explainer = _explainer(booster, 40)
    assert explainer.blocks > 1
    expected = np.asarray(booster.predict(rows[:200], pred_contrib=True))[:, :-1]
    assert _apart(explainer.explain(rows[:200]), expected) < 1e-5


def test_values_on_a_threshold_and_beside_it_are_explained_as_the_graph_does() -> None:
    rows, labels = cohort()
    booster = trained(rows, labels)
    graph = exported(booster, 5, CALIBRATION)
    (node,) = (one for one in read_onnx(graph).nodes if one.operator == "TreeEnsembleRegressor")
    thresholds = np.unique(node.tensor("nodes_values_as_tensor")).astype(np.float32)
    near = np.concatenate([thresholds, np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf)])
    tried = np.resize(np.random.default_rng(1).permutation(near), (len(near), 5)).astype(np.float32)
    tried = np.where(np.isfinite(tried), tried, np.float32(0))
    expected = run_graph(open_session(graph), tried).contributions
    assert _apart(explainer_of(read_onnx(graph), 5).explain(tried), expected) < 1e-5


def test_every_width_of_vectors_gives_the_same_bits() -> None:
    """A hospital's servers may be of different ages; their cards may not differ."""
    rows, labels = cohort(features=8, rows=2_000)
    explainer = _explainer(trained(rows, labels, rounds=80, num_leaves=31), 8)
    wide, narrow = explainer.explain(rows[:100]), explainer.explain(rows[:100], narrow=True)
    assert wide.tobytes() == narrow.tobytes()


def test_a_row_gives_the_same_bits_alone_and_among_others_also_from_a_slice() -> None:
    rows, labels = cohort()
    explainer = _explainer(trained(rows, labels), 5)
    together = explainer.explain(rows[:50])
    for at in range(50):
        assert explainer.explain(rows[at : at + 1]).tobytes() == together[at : at + 1].tobytes()
    assert explainer.explain(rows[:100:2]).tobytes() == explainer.explain(rows[:100:2].copy()).tobytes()


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(np.zeros((1, 5)), id="doubles"),
        pytest.param(np.zeros(5, np.float32), id="one dimension"),
        pytest.param(np.zeros((1, 4), np.float32), id="a feature less"),
    ],
)
def test_rows_of_another_shape_or_type_are_refused(rows: NDArray[np.float32]) -> None:
    made, labels = cohort()
    with pytest.raises(ValueError, match=r"Expected float32 rows \[N, 5\]"):
        _explainer(trained(made, labels), 5).explain(rows)


def test_a_graph_without_trees_explains_itself() -> None:
    rows, labels = cohort()
    with pytest.raises(NotExplainable, match="0 sums of trees"):
        explainer_of(read_onnx(exported(baseline(rows, labels), 5)), 5)


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(one for one in node.attribute if one.name == name)


def _without(name: str) -> Change:
    return lambda node: node.attribute.remove(_attribute(node, name))


def _with_integer(name: str, at: int, value: int) -> Change:
    return lambda node: _attribute(node, name).ints.__setitem__(at, value)


def _with_tensor(name: str, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    def apply(node: onnx.NodeProto) -> None:
        tensor = _attribute(node, name).t
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor))))

    return apply


@pytest.mark.parametrize(
    ("change", "because"),
    [
        pytest.param(_without("nodes_hitrates_as_tensor"), "no covers", id="no covers"),
        pytest.param(
            _with_tensor("nodes_hitrates_as_tensor", lambda covers: covers * 0),
            "reached by no training row",
            id="a cover of 0",
        ),
        pytest.param(
            lambda node: _attribute(node, "nodes_modes").strings.__setitem__(0, b"BRANCH_LT"),
            "tests other than x <= t",
            id="another test",
        ),
        pytest.param(
            _with_tensor("nodes_values_as_tensor", lambda thresholds: thresholds + 1e-12),
            "no float32 values",
            id="a threshold between two float32 values",
        ),
        pytest.param(
            lambda node: node.input.__setitem__(0, "features"),
            "do not read the features as they come",
            id="features that were changed first",
        ),
        pytest.param(
            _with_integer("nodes_featureids", 0, 5), "features that a row does not have", id="a feature beyond"
        ),
        pytest.param(_with_integer("target_ids", 0, 1), "targets that it does not have", id="a target beyond"),
        pytest.param(_with_integer("nodes_truenodeids", 1, 0), "a node has two ways to it", id="a circle"),
        pytest.param(_with_integer("nodes_truenodeids", 0, 1_000), "do not fit together", id="a child that is nowhere"),
        pytest.param(
            lambda node: _attribute(node, "nodes_truenodeids").ints.pop(), "do not fit together", id="a list too short"
        ),
    ],
)
def test_trees_that_cannot_be_explained_from_their_graph_are_left_to_it(change: Change, because: str) -> None:
    rows, labels = cohort()
    model = onnx.load_from_string(exported(trained(rows, labels), 5))
    (node,) = (one for one in model.graph.node if one.op_type == "TreeEnsembleRegressor")
    change(node)
    with pytest.raises(NotExplainable, match=because):
        explainer_of(read_onnx(model.SerializeToString()), 5)


def test_the_kernel_can_be_switched_off() -> None:
    program = "from serving.explainer import load_library; load_library()"
    environment = {**os.environ, "BEDSIDE_EXPLAINER": "graph"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "NoLibrary: BEDSIDE_EXPLAINER=graph" in done.stderr


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_rule_of_n_nodes_integrates_every_power_below_2_n(blocks: int) -> None:
    rule = quadrature(blocks)[-blocks:].astype(np.float64)
    points, weights = rule[:, 0].ravel(), rule[:, 2].ravel()
    for power in range(16 * blocks):
        assert weights @ points**power == pytest.approx(1 / (power + 1), rel=1e-5)
    np.testing.assert_allclose(rule[:, 0] + rule[:, 1], 1, atol=1e-7)
