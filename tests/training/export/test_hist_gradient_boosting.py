"""scikit-learn's histogram gradient boosting: NaN directions, categories, every link; explained against brute force."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from tests.training.export.coalitions import expected_leaf, shapley_values
from tests.training.export.cohorts import classes, outcomes, wards, with_unseen
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_graph
from training.export.trees import Float32Array


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 10),
    missing=st.sampled_from([0.0, 0.02, 0.5, 0.95]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
    leaves=st.sampled_from([2, 9, 40]),
    class_count=st.sampled_from([2, 3]),
)
def test_random_classifiers_are_exported_exactly(
    seed: int, features: int, missing: float, scale: float, leaves: int, class_count: int
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing, scale=scale)
    labels = classes(labels) if class_count > 2 else labels
    estimator = HistGradientBoostingClassifier(
        max_iter=6, max_leaf_nodes=leaves, min_samples_leaf=2, random_state=seed, class_weight="balanced"
    ).fit(rows, labels)
    proof = prove(exported(estimator, features), estimator, None, rows[:40], seed=seed)
    assert proof.rows_against_shap > 0


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    categories=st.sampled_from([2, 7, 40, 200]),
    class_count=st.sampled_from([2, 3]),
    step=st.sampled_from([1.0, 0.1, -3.0]),
)
def test_categorical_splits_are_exact_for_any_value(seed: int, categories: int, class_count: int, step: float) -> None:
    """Seen and unseen categories, fractions, negative values, values beyond any integer, and NaN."""
    rows, labels = wards(categories=categories, seed=seed)
    rows[:, 0] *= np.float32(step)
    labels = classes(labels) if class_count > 2 else labels
    estimator = HistGradientBoostingClassifier(
        max_iter=6, min_samples_leaf=2, categorical_features=[0, 2], random_state=seed
    ).fit(rows, labels)
    assert any(one.nodes["is_categorical"].any() for stage in estimator._predictors for one in stage)
    prove(exported(estimator, 4), estimator, None, with_unseen(rows[:40]))


def test_a_category_that_a_double_told_apart_is_unknown_to_float32() -> None:
    rows, labels = wards()
    doubles = rows.astype(np.float64)
    doubles[:, 0] *= 0.1
    estimator = HistGradientBoostingClassifier(max_iter=4, categorical_features=[0], random_state=0)
    estimator.fit(doubles, labels)
    prove(exported(estimator, 4), estimator, None, doubles.astype(np.float32)[:60])


def test_categories_are_explained_as_one_feature() -> None:
    """Neither scikit-learn nor `shap` explains categorical splits: Shapley's definition on scikit-learn's own nodes."""
    rows, labels = wards(categories=6)
    estimator = HistGradientBoostingClassifier(
        max_iter=4, min_samples_leaf=2, categorical_features=[0, 2], random_state=0
    ).fit(rows, labels)
    some = with_unseen(rows[:6])
    expected = np.array([_shapley_values(estimator, row) for row in some])
    found = run_graph(open_session(exported(estimator, 4)), some)
    np.testing.assert_allclose(found.contributions, expected, atol=2e-6)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "poisson", "gamma"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_regressors_are_exported_with_their_link(loss: str, scale: float) -> None:
    rows, labels = cohort()
    settings_of = {"quantile": 0.7} if loss == "quantile" else {}
    estimator = HistGradientBoostingRegressor(loss=loss, max_iter=6, random_state=0, **settings_of)
    estimator.fit(rows, outcomes(labels, scale=scale))
    prove(exported(estimator, 5), estimator, None, rows[:40])


def test_a_line_calibrates_the_log_odds() -> None:
    rows, labels = cohort()
    estimator = HistGradientBoostingClassifier(max_iter=6, random_state=0).fit(rows, labels)
    prove(exported(estimator, 5, CALIBRATION), estimator, CALIBRATION, rows[:40])


def test_a_data_frames_categories_are_refused() -> None:
    rows, labels = cohort()
    frame = pd.DataFrame(rows, columns=list("abcde"))
    frame["ward"] = pd.Categorical(np.where(labels == 1, "north", "south"))
    estimator = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype").fit(frame, labels)
    with pytest.raises(NotExportableError, match="data frame"):
        exported(estimator, 6)


def _shapley_values(estimator: Any, row: Float32Array) -> np.ndarray:
    (encoded,) = estimator._preprocess_X(row[np.newaxis].astype(np.float64), reset=False)
    order = [0, 2, 1, 3]  # scikit-learn puts the categorical features first
    values = np.zeros(4)
    for (one,) in estimator._predictors:
        nodes, bitsets = one.nodes, one.raw_left_cat_bitsets

        def children(at: int, nodes: Any = nodes, bitsets: Any = bitsets) -> list[tuple[int, float, bool]] | None:
            node = nodes[at]
            if node["is_leaf"]:
                return None
            value = encoded[node["feature_idx"]]
            if np.isnan(value):
                left = bool(node["missing_go_to_left"])
            elif node["is_categorical"]:
                left = bool((bitsets[node["bitset_idx"]][int(value) // 32] >> (int(value) % 32)) & 1)
            else:
                left = bool(value <= node["num_threshold"])
            return [
                (int(child), float(nodes[int(child)]["count"]), goes)
                for child, goes in ((node["left"], left), (node["right"], not left))
            ]

        def worth(known: frozenset[int], nodes: Any = nodes, children: Any = children) -> float:
            return expected_leaf(
                children, lambda at: order[nodes[at]["feature_idx"]], lambda at: float(nodes[at]["value"]), known
            )

        values += shapley_values(worth, 4)
    return values
