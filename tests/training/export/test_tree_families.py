"""What holds for every family of trees: tiny risks, huge logits, wrong graphs found out, files that open anywhere."""

import lightgbm
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from tests.training.export.cohorts import classes
from tests.training.export.examples import cohort, exported
from training.export import Calibration, ParityError, prove
from training.export.parity import open_session

_FAMILIES = [
    pytest.param(lightgbm.LGBMClassifier(n_estimators=6, min_child_samples=5, verbose=-1, n_jobs=1), id="LightGBM"),
    pytest.param(RandomForestClassifier(n_estimators=6, max_depth=5, random_state=0), id="random forest"),
    pytest.param(ExtraTreesClassifier(n_estimators=6, max_depth=5, random_state=0), id="extra trees"),
    pytest.param(DecisionTreeClassifier(max_depth=5, random_state=0), id="one tree"),
    pytest.param(HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5, random_state=0), id="histograms"),
    pytest.param(
        make_pipeline(SimpleImputer(), GradientBoostingClassifier(n_estimators=6, random_state=0)),
        id="gradient boosting behind an imputer",
    ),
]


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(Calibration(slope=1.0, intercept=-20.723), id="risks of one in a billion"),
        pytest.param(Calibration(slope=60.0, intercept=10.0), id="huge logits"),
        pytest.param(Calibration(slope=1e-4, intercept=0.0), id="nearly no information"),
    ],
)
def test_tiny_risks_and_huge_logits_are_exact(family: BaseEstimator, line: Calibration) -> None:
    rows, labels = cohort()
    estimator = clone(family).fit(rows, labels)
    proof = prove(exported(estimator, 5, line), estimator, line, rows[:40])
    assert proof.largest_probability_difference <= 1e-6


@pytest.mark.parametrize("family", _FAMILIES)
def test_several_classes_have_one_set_of_contributions_each(family: BaseEstimator) -> None:
    rows, labels = cohort()
    estimator = clone(family).fit(rows, classes(labels, count=4))
    session = open_session(exported(estimator, 5))
    shapes = {output.name: output.shape[1:] for output in session.get_outputs()}
    assert shapes["contributions"] == [4, 5]
    assert shapes["probabilities"] == [4]
    for count in (0, 1, 9):
        outputs = dict(zip(shapes, session.run(None, {"features": rows[:count]}), strict=True))
        assert outputs["contributions"].shape == (count, 4, 5)
        np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), np.ones(count), atol=1e-6)


@pytest.mark.parametrize("family", _FAMILIES)
@pytest.mark.parametrize("part", ["cover_ratio", "leaf_value", "conditions/upper"])
def test_an_explanation_of_another_model_is_found_out(family: BaseEstimator, part: str) -> None:
    rows, labels = cohort()
    estimator = clone(family).fit(rows, labels)
    graph = onnx.load_from_string(exported(estimator, 5))
    for tensor in graph.graph.initializer:
        if tensor.name.endswith(part):
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array((values * 0.9).astype(values.dtype), tensor.name))
    with pytest.raises(ParityError, match=r"contributions|additivity"):
        prove(graph.SerializeToString(), estimator, None, rows[:40])


@pytest.mark.parametrize("family", _FAMILIES)
def test_thresholds_one_float32_step_too_high_are_found_out(family: BaseEstimator) -> None:
    """What rounding to the nearest float32 does to about half of them."""
    rows, labels = cohort()
    estimator = clone(family).fit(rows, labels)
    graph = onnx.load_from_string(exported(estimator, 5))
    (scoring,) = (node for node in graph.graph.node if node.op_type == "TreeEnsembleRegressor")
    (thresholds,) = (a for a in scoring.attribute if a.name == "nodes_values_as_tensor")
    above = np.nextafter(numpy_helper.to_array(thresholds.t).astype(np.float32), np.float32(np.inf))
    thresholds.t.CopyFrom(numpy_helper.from_array(above.astype(np.float64)))
    with pytest.raises(ParityError, match="logit"):
        prove(graph.SerializeToString(), estimator, None, rows[:40])
