"""The scoring nodes: covers beside the splits, and scores in double precision where steps follow."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from tests.training.export.cohorts import classes, wards, with_unseen
from tests.training.export.examples import cohort, exported, trained
from training.export.builder import GraphBuilder
from training.export.families import adapter_of
from training.export.lightgbm_reader import read_lightgbm
from training.export.scoring import add_tree_score
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, TreeEnsemble


def test_each_split_and_leaf_carries_its_cover() -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    graph = onnx.load_from_string(exported(model, 5)).graph
    (scoring,) = (node for node in graph.node if node.op_type == "TreeEnsembleRegressor")
    assert scoring.name == "score/trees"
    given = {attribute.name: attribute for attribute in scoring.attribute}
    covers = numpy_helper.to_array(given["nodes_hitrates_as_tensor"].t)
    assert covers.dtype == np.float64
    first = read_lightgbm(model).trees[0]
    expected = [*first.node_cover, *first.leaf_cover]
    assert covers[: len(expected)].tolist() == expected
    assert covers[0] == len(rows)


def test_leaves_with_several_values_give_one_weight_per_target() -> None:
    rows, labels = cohort()
    forest = RandomForestClassifier(n_estimators=2, max_depth=2, random_state=0).fit(rows, classes(labels))
    graph = onnx.load_from_string(exported(forest, 5)).graph
    (scoring,) = (node for node in graph.node if node.name == "score/trees")
    given = {attribute.name: attribute for attribute in scoring.attribute}
    leaves = sum(mode == b"LEAF" for mode in given["nodes_modes"].strings)
    assert list(given["target_ids"].ints) == [0, 1, 2] * leaves


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(RandomForestClassifier(n_estimators=30, random_state=0), id="a forest of three classes"),
        pytest.param(
            HistGradientBoostingClassifier(max_iter=10, categorical_features=[0, 2], random_state=0), id="categories"
        ),
    ],
)
def test_scores_are_double_where_a_calibrator_has_steps(estimator: object) -> None:
    rows, labels = wards()
    fitted = estimator.fit(rows, classes(labels))  # type: ignore[attr-defined]
    adapter = adapter_of(fitted)
    read = adapter.read(fitted)
    assert isinstance(read, TreeSum)
    tried = with_unseen(rows)
    np.testing.assert_allclose(
        _double_scores(read.ensemble, tried), adapter.reference(fitted, tried).scores, atol=1e-14
    )


def _double_scores(ensemble: TreeEnsemble, rows: Float32Array) -> FloatArray:
    graph = GraphBuilder(double_scores=True)
    scores = add_tree_score(graph, "features", ensemble)
    body = helper.make_graph(
        graph.nodes,
        "double",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", ensemble.feature_count])],
        [helper.make_tensor_value_info(scores, TensorProto.DOUBLE, ["N", ensemble.target_count])],
        initializer=graph.constants,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(body, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"features": rows})[0])
