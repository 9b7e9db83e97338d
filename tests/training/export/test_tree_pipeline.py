"""Trees behind an imputer: folded into the trees, one contribution for a quantity and its missing indicator."""

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.training.export.coalitions import expected_leaf, shapley_values
from tests.training.export.cohorts import classes, outcomes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_graph
from training.export.trees import Float32Array


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 8),
    missing=st.sampled_from([0.02, 0.5, 0.95]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
    strategy=st.sampled_from(["median", "mean", "most_frequent", "constant"]),
    setting=st.sampled_from([{}, {"init": "zero"}, {"loss": "exponential"}, {"n_iter_no_change": 2}]),
    class_count=st.sampled_from([2, 3]),
    add_indicator=st.booleans(),
)
def test_random_gradient_boosting_is_exported_exactly(
    seed: int,
    features: int,
    missing: float,
    scale: float,
    strategy: str,
    setting: dict[str, Any],
    class_count: int,
    *,
    add_indicator: bool,
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing, scale=scale)
    labels = classes(labels) if class_count > 2 and "loss" not in setting else labels
    imputer = SimpleImputer(strategy=strategy, add_indicator=add_indicator, keep_empty_features=True)
    trees = GradientBoostingClassifier(n_estimators=6, random_state=seed, **setting)
    pipeline = make_pipeline(imputer, trees).fit(rows, labels)
    prove(exported(pipeline, features), pipeline, None, rows[:40], seed=seed)


@pytest.mark.parametrize("add_indicator", [True, False], ids=["with missing indicators", "without"])
@pytest.mark.parametrize(
    "trees",
    [
        pytest.param(RandomForestClassifier(n_estimators=6, max_depth=5, random_state=0), id="forest"),
        pytest.param(HistGradientBoostingClassifier(max_iter=5, random_state=0), id="histogram gradient boosting"),
        pytest.param(lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1), id="LightGBM"),
    ],
)
def test_other_trees_behind_an_imputer_are_exported(trees: BaseEstimator, *, add_indicator: bool) -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(strategy="median", add_indicator=add_indicator), trees).fit(rows, labels)
    proof = prove(exported(pipeline, 5, CALIBRATION), pipeline, CALIBRATION, rows[:40])
    assert (proof.rows_against_shap > 0) != add_indicator


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_regressors_are_exported(loss: str) -> None:
    rows, labels = cohort()
    trees = GradientBoostingRegressor(loss=loss, n_estimators=6, random_state=0)
    pipeline = make_pipeline(SimpleImputer(), trees).fit(rows, outcomes(labels, scale=100))
    prove(exported(pipeline, 5), pipeline, None, rows[:40])


def test_a_quantity_and_its_indicator_are_explained_as_one() -> None:
    """Shapley's definition on scikit-learn's own nodes, where both columns of a feature are known or neither is."""
    rows, labels = cohort(features=4, missing=0.4)
    trees = RandomForestClassifier(n_estimators=4, max_depth=5, random_state=0)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), trees).fit(rows, labels)
    assert any((member.tree_.feature >= 4).any() for member in trees.estimators_)
    found = run_graph(open_session(exported(pipeline, 4)), rows[:12])
    expected = np.array([_shapley_values(pipeline, row) for row in rows[:12]])
    np.testing.assert_allclose(found.contributions, expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("keep_empty_features", [True, False])
def test_a_feature_never_observed_in_training_changes_nothing(*, keep_empty_features: bool) -> None:
    rows, labels = cohort()
    rows[:, 1] = np.nan
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=keep_empty_features)
    trees = GradientBoostingClassifier(n_estimators=6, random_state=0)
    pipeline = make_pipeline(imputer, trees).fit(rows, labels)
    graph = exported(pipeline, 5)
    prove(graph, pipeline, None, rows[:20])
    rows[:, 1] = np.linspace(-3, 3, len(rows))
    assert run_graph(open_session(graph), rows[:20]).contributions[:, 1].tolist() == [0.0] * 20


@pytest.mark.parametrize(
    ("pipeline", "advice"),
    [
        pytest.param(
            make_pipeline(SimpleImputer(), StandardScaler(), GradientBoostingClassifier(n_estimators=2)),
            "trees need no scaler",
            id="a scaler",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(missing_values=0.0), RandomForestClassifier(n_estimators=2)),
            "missing_values=nan",
            id="another missing value",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(), HistGradientBoostingClassifier(max_iter=2, categorical_features=[0])),
            "categorical split",
            id="categories",
        ),
        pytest.param(
            make_pipeline(
                SimpleImputer(), GradientBoostingClassifier(n_estimators=2, init=RandomForestClassifier(n_estimators=2))
            ),
            "init=None or 'zero'",
            id="an initial estimator",
        ),
    ],
)
def test_what_has_no_exact_graph_is_refused(pipeline: Pipeline, advice: str) -> None:
    rows, labels = cohort(missing=0.0)
    rows[:, 0] = np.arange(len(rows)) % 7
    with pytest.raises(NotExportableError, match=advice):
        exported(pipeline.fit(rows, labels ^ (rows[:, 0] % 3 == 1)), 5)


def test_gradient_boosting_alone_takes_no_missing_values_and_is_refused() -> None:
    rows, labels = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match="behind a SimpleImputer"):
        exported(GradientBoostingClassifier(n_estimators=2).fit(rows, labels), 5)


def _shapley_values(pipeline: Pipeline, row: Float32Array) -> np.ndarray:
    (columns,) = pipeline[0].transform(row[np.newaxis])
    owners = [*range(4), *pipeline[0].indicator_.features_]
    members = [member.tree_ for member in pipeline[-1].estimators_]

    def worth_in(tree: Any, known: frozenset[int]) -> float:
        def children(at: int) -> list[tuple[int, float, bool]] | None:
            if tree.children_left[at] < 0:
                return None
            left = bool(columns[tree.feature[at]] <= tree.threshold[at])
            return [
                (int(child), float(tree.weighted_n_node_samples[child]), goes)
                for child, goes in ((tree.children_left[at], left), (tree.children_right[at], not left))
            ]

        return expected_leaf(
            children, lambda at: int(owners[tree.feature[at]]), lambda at: float(tree.value[at, 0, 1]), known
        )

    return np.array(shapley_values(lambda known: float(np.mean([worth_in(tree, known) for tree in members])), 4))
