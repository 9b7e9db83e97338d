"""scikit-learn's forests and single trees: shares of training rows, learned NaN directions, any number of classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from tests.training.export.cohorts import classes, outcomes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session

_FOREST = {"n_estimators": 12, "max_depth": 6, "random_state": 0}


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from([RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, ExtraTreeClassifier]),
    seed=st.integers(0, 10_000),
    features=st.integers(1, 10),
    missing=st.sampled_from([0.0, 0.02, 0.5, 0.95]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
    depth=st.sampled_from([1, 4, None]),
    class_count=st.sampled_from([2, 3]),
    weighted=st.booleans(),
)
def test_random_classifiers_are_exported_exactly(
    kind: type[BaseEstimator],
    seed: int,
    features: int,
    missing: float,
    scale: float,
    depth: int | None,
    class_count: int,
    *,
    weighted: bool,
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing, scale=scale)
    labels = classes(labels) if class_count > 2 else labels
    forest = {} if kind in (DecisionTreeClassifier, ExtraTreeClassifier) else {"n_estimators": 5}
    weights = np.random.default_rng(seed).gamma(1.0, size=len(rows)) + 1e-6 if weighted else None
    estimator = kind(max_depth=depth, random_state=seed, class_weight="balanced", **forest)
    estimator.fit(rows, labels, sample_weight=weights)
    proof = prove(exported(estimator, features), estimator, None, rows[:40], seed=seed)
    assert proof.rows_against_shap > 0
    assert proof.largest_prediction_difference is not None


@settings(max_examples=8, deadline=None)
@given(
    kind=st.sampled_from([RandomForestRegressor, ExtraTreesRegressor, DecisionTreeRegressor]),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_random_regressors_are_exported_exactly(
    kind: type[BaseEstimator], seed: int, scale: float, missing: float
) -> None:
    rows, labels = cohort(seed=seed, missing=missing)
    forest = {} if kind is DecisionTreeRegressor else {"n_estimators": 5}
    estimator = kind(max_depth=7, random_state=seed, **forest).fit(rows, outcomes(labels, scale=scale, seed=seed))
    prove(exported(estimator, 5), estimator, None, rows[:40], seed=seed)


def test_the_learned_direction_of_missing_values_is_kept() -> None:
    """The usual converter loses it: nearly every row is wrong."""
    rows, labels = cohort(missing=0.4)
    estimator = RandomForestClassifier(**_FOREST).fit(rows, labels)
    _, probability, *_ = open_session(exported(estimator, 5)).run(None, {"features": rows})
    np.testing.assert_allclose(probability, estimator.predict_proba(rows)[:, 1], atol=1e-7)


def test_a_line_on_the_probability_gives_the_binary_form() -> None:
    rows, labels = cohort()
    estimator = RandomForestClassifier(**_FOREST).fit(rows, labels)
    graph = exported(estimator, 5, CALIBRATION)
    outputs = [output.name for output in open_session(graph).get_outputs()]
    assert outputs == ["logit", "probability", "contributions", "base_value"]
    prove(graph, estimator, CALIBRATION, rows[:40])


def test_one_leaf_forests_become_the_constant() -> None:
    rows, labels = cohort()
    estimator = RandomForestClassifier(n_estimators=3, min_samples_split=1000, random_state=0).fit(rows, labels)
    proof = prove(exported(estimator, 5), estimator, None, rows[:20])
    assert proof.thresholds_covered == 0


def test_a_leaf_without_weight_is_refused() -> None:
    rows, labels = cohort(missing=0.0)
    weights = (rows[:, 0] > 0).astype(np.float64)
    estimator = DecisionTreeClassifier(random_state=0, min_samples_leaf=1).fit(rows, labels, sample_weight=weights)
    if (estimator.tree_.weighted_n_node_samples <= 0).any():
        with pytest.raises(NotExportableError, match="sample weights of 0"):
            exported(estimator, 5)
    else:
        prove(exported(estimator, 5), estimator, None, rows[:20])


def test_several_outcomes_and_one_class_are_refused() -> None:
    rows, labels = cohort()
    with pytest.raises(NotExportableError, match="one outcome"):
        exported(RandomForestClassifier(**_FOREST).fit(rows, np.stack([labels, labels], axis=1)), 5)
    with pytest.raises(NotExportableError, match="two or more classes"):
        exported(RandomForestClassifier(**_FOREST).fit(rows, np.zeros(len(rows))), 5)
