"""XGBoost, where it is installed: strict comparisons, base scores, best iterations, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.export.cohorts import classes, outcomes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_outputs

xgboost: Any = pytest.importorskip("xgboost")

_SETTINGS = {"n_estimators": 8, "max_depth": 4, "n_jobs": 1, "random_state": 0}


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 10),
    missing=st.sampled_from([0.0, 0.02, 0.5, 0.95]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
    depth=st.sampled_from([1, 4, 9]),
    class_count=st.sampled_from([2, 3]),
    base_score=st.sampled_from([None, 0.01, 0.5]),
    parallel=st.sampled_from([1, 3]),
)
def test_random_classifiers_are_exported_exactly(
    seed: int,
    features: int,
    missing: float,
    scale: float,
    depth: int,
    class_count: int,
    base_score: float | None,
    parallel: int,
) -> None:
    rows, labels = cohort(seed=seed, features=features, missing=missing, scale=scale)
    labels = classes(labels) if class_count > 2 else labels
    estimator = xgboost.XGBClassifier(
        **{**_SETTINGS, "max_depth": depth}, min_child_weight=0.1, base_score=base_score, num_parallel_tree=parallel
    ).fit(rows, labels)
    graph = exported(estimator, features)
    proof = prove(graph, estimator, None, rows[:40], seed=seed)
    assert proof.rows_against_shap > 0
    shares = run_outputs(open_session(graph), rows[:40]).served
    expected = estimator.predict_proba(rows[:40])
    np.testing.assert_allclose(shares, expected if class_count > 2 else expected[:, 1:], atol=2e-6)


def test_contributions_are_those_of_xgboost_to_its_float32() -> None:
    rows, labels = cohort()
    estimator = xgboost.XGBClassifier(**_SETTINGS).fit(rows, classes(labels))
    outputs = run_outputs(open_session(exported(estimator, 5)), rows[:60])
    matrix = xgboost.DMatrix(rows[:60])
    expected = estimator.get_booster().predict(matrix, pred_contribs=True, strict_shape=True)
    assert outputs.contributions is not None
    assert outputs.base_values is not None
    np.testing.assert_allclose(outputs.contributions, expected[:, :, :-1], atol=2e-6)
    np.testing.assert_allclose(outputs.base_values, expected[0, :, -1], atol=2e-6)


@pytest.mark.parametrize(
    "objective",
    [
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:squaredlogerror",
        "count:poisson",
        "reg:gamma",
        "reg:tweedie",
    ],
)
def test_regressors_are_exported_with_their_link(objective: str) -> None:
    rows, labels = cohort()
    estimator = xgboost.XGBRegressor(**_SETTINGS, objective=objective).fit(rows, outcomes(labels))
    graph = exported(estimator, 5)
    prove(graph, estimator, None, rows[:40])
    predictions = run_outputs(open_session(graph), rows[:40]).served[:, 0]
    np.testing.assert_allclose(predictions, estimator.predict(rows[:40]), rtol=1e-5)


def test_a_value_on_a_threshold_goes_right_and_one_step_below_left() -> None:
    rows, labels = cohort(features=1, missing=0.0)
    estimator = xgboost.XGBClassifier(**{**_SETTINGS, "n_estimators": 1, "max_depth": 1}).fit(rows, labels)
    threshold = np.float32(estimator.get_booster().trees_to_dataframe()["Split"][0])
    beside = np.array([[threshold], [np.nextafter(threshold, np.float32(-np.inf))]], dtype=np.float32)
    _, probability, *_ = open_session(exported(estimator, 1)).run(None, {"features": beside})
    np.testing.assert_allclose(probability, estimator.predict_proba(beside)[:, 1], atol=1e-7)
    assert probability[0] != probability[1]


def test_the_best_iteration_is_exported_of_an_estimator_and_all_of_a_booster() -> None:
    rows, labels = cohort()
    estimator = xgboost.XGBClassifier(**{**_SETTINGS, "n_estimators": 60}, early_stopping_rounds=3)
    estimator.fit(rows[:300], labels[:300], eval_set=[(rows[300:], labels[300:])], verbose=False)
    booster = estimator.get_booster()
    assert estimator.best_iteration + 1 < booster.num_boosted_rounds()
    for model, expected in (
        (estimator, estimator.predict(rows[:40], output_margin=True)),
        (booster, booster.predict(xgboost.DMatrix(rows[:40]), output_margin=True)),
    ):
        graph = exported(model, 5, CALIBRATION)
        prove(graph, model, CALIBRATION, rows[:40])
        logit, *_ = open_session(graph).run(None, {"features": rows[:40]})
        np.testing.assert_allclose(logit, expected * CALIBRATION.slope + CALIBRATION.intercept, atol=2e-6)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        pytest.param({"booster": "dart"}, "booster='gbtree'", id="dart"),
        pytest.param({"booster": "gblinear"}, "booster='gbtree'", id="linear"),
        pytest.param({"objective": "binary:hinge"}, "objective='binary:logistic'", id="hinge"),
        pytest.param({"missing": 0.0}, "NaN for missing values", id="another missing value"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*gblinear:UserWarning", "ignore:.*not used:UserWarning")
def test_a_setting_without_an_exact_graph_is_refused(setting: dict[str, Any], advice: str) -> None:
    rows, labels = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match=advice):
        exported(xgboost.XGBClassifier(**{"n_estimators": 2, "n_jobs": 1, **setting}).fit(rows, labels), 5)


def test_several_values_in_a_leaf_and_categories_are_refused() -> None:
    rows, labels = cohort(missing=0.0)
    several = xgboost.XGBClassifier(**_SETTINGS, multi_strategy="multi_output_tree").fit(rows, classes(labels))
    with pytest.raises(NotExportableError, match="one_output_per_tree"):
        exported(several, 5)
    rows[:, 0] = np.arange(len(rows)) % 7
    data = xgboost.DMatrix(
        rows, labels ^ (rows[:, 0] % 2 == 1), feature_types=["c", "q", "q", "q", "q"], enable_categorical=True
    )
    with pytest.raises(NotExportableError, match="one 0/1 feature per category"):
        exported(xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 2), 5)
