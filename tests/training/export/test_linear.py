"""Linear scores behind steps: exact against scikit-learn in double precision, exact SHAP values by feature."""

import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    RidgeCV,
    SGDClassifier,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC

from tests.training.export.coalitions import shapley_values
from tests.training.export.cohorts import classes, outcomes, wards, with_unseen
from tests.training.export.examples import CALIBRATION, baseline, cohort, exported
from training.export import ExportError, NotExportableError, ParityError, prove
from training.export.parity import open_session, run_graph, run_outputs
from training.export.trees import Float32Array

WARDS = (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, drop="first"), [0, 2])
VALUES = (make_pipeline(SimpleImputer(add_indicator=True), SplineTransformer(extrapolation="linear")), [1, 3])


@pytest.mark.parametrize("add_indicator", [True, False], ids=["with missing indicators", "without"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_graph_is_the_pipeline(scale: float, *, add_indicator: bool) -> None:
    rows, labels = cohort(scale=scale)
    pipeline = baseline(rows, labels, add_indicator=add_indicator)
    proof = prove(exported(pipeline, 5, CALIBRATION), pipeline, CALIBRATION, rows[:100])
    assert proof.rows_against_shap > 0


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(make_pipeline(SimpleImputer(strategy="mean"), LogisticRegression()), id="no scaler"),
        pytest.param(
            make_pipeline(StandardScaler(), SimpleImputer(), MinMaxScaler(clip=True), LogisticRegression()),
            id="scaled before and after",
        ),
        pytest.param(
            make_pipeline(make_pipeline(SimpleImputer(), RobustScaler()), make_pipeline(LogisticRegression())),
            id="pipelines in a pipeline",
        ),
        pytest.param(
            make_pipeline(SplineTransformer(handle_missing="zeros"), LogisticRegression()),
            id="splines of what is there",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(), SplineTransformer(knots="quantile"), StandardScaler(), LogisticRegression()),
            id="splines, standardised",
        ),
        pytest.param(
            make_pipeline(make_column_transformer(WARDS, VALUES), LogisticRegression()), id="categories and splines"
        ),
        pytest.param(
            make_pipeline(
                make_column_transformer(VALUES, remainder=SimpleImputer(add_indicator=True)), LogisticRegression()
            ),
            id="the rest imputed",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(), StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
            id="stochastic gradient descent",
        ),
    ],
)
def test_every_kind_of_steps_is_exported_exactly(pipeline: Pipeline) -> None:
    """Against scikit-learn and `shap`, also for categories never seen and on each knot."""
    rows, labels = wards()
    pipeline.fit(rows.astype(np.float64), labels)
    with_background = exported(pipeline, 4, CALIBRATION, rows[:200])
    proof = prove(with_background, pipeline, CALIBRATION, with_unseen(rows[:60]), background=rows[:200])
    assert proof.rows_against_shap > 0
    assert proof.largest_contribution_difference is not None


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(LinearRegression(), id="least squares"),
        pytest.param(RidgeCV(), id="ridge"),
        pytest.param(Lasso(alpha=0.1), id="lasso"),
        pytest.param(ElasticNet(alpha=0.1), id="elastic net"),
    ],
)
def test_a_regression_gives_its_prediction(estimator: BaseEstimator) -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), estimator)
    pipeline.fit(rows.astype(np.float64), outcomes(labels))
    graph = exported(pipeline, 5)
    prove(graph, pipeline, None, rows[:60])
    session = open_session(graph)
    assert [output.name for output in session.get_outputs()] == ["prediction", "contributions", "base_value"]
    np.testing.assert_allclose(run_outputs(session, rows).explained[:, 0], pipeline.predict(rows), rtol=1e-5)


def test_several_classes_have_contributions_each() -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression())
    pipeline.fit(rows.astype(np.float64), classes(labels))
    graph = exported(pipeline, 5)
    prove(graph, pipeline, None, rows[:60])
    found = run_outputs(open_session(graph), rows)
    assert found.contributions is not None
    assert found.contributions.shape == (400, 3, 5)
    np.testing.assert_allclose(found.served, pipeline.predict_proba(rows.astype(np.float64)), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 6),
    missing=st.sampled_from([0.02, 0.5, 0.9]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    strategy=st.sampled_from(["mean", "median", "most_frequent", "constant"]),
    penalty=st.sampled_from([1e-4, 1.0, 1e4]),
    class_weight=st.sampled_from([None, "balanced"]),
)
def test_random_models_are_exported_exactly(
    seed: int, features: int, missing: float, scale: float, strategy: str, penalty: float, class_weight: str | None
) -> None:
    rows, labels = cohort(seed=seed, rows=150, features=features, missing=missing, scale=scale)
    imputer = SimpleImputer(strategy=strategy, add_indicator=True, keep_empty_features=True)
    regression = LogisticRegression(C=penalty, class_weight=class_weight, solver="newton-cholesky")
    pipeline = make_pipeline(RobustScaler(), imputer, regression).fit(rows.astype(np.float64), labels)
    prove(exported(pipeline, features, CALIBRATION, rows), pipeline, CALIBRATION, rows[:40], background=rows, seed=seed)


def test_contributions_are_the_shapley_values_of_the_game_against_the_background() -> None:
    """By Shapley's definition and scikit-learn's score: a coalition is worth the mean over the background."""
    rows, labels = wards(rows=120)
    pipeline = make_pipeline(make_column_transformer(WARDS, VALUES), LogisticRegression())
    pipeline.fit(rows.astype(np.float64), labels)
    background = rows[:25]
    found = run_graph(open_session(exported(pipeline, 4, background=background)), rows[40:48])

    for at, row in enumerate(rows[40:48]):

        def worth(known: frozenset[int], row: Float32Array = row) -> float:
            mixed = np.where(np.isin(np.arange(4), list(known)), row, background)
            return float(pipeline.decision_function(mixed.astype(np.float64)).mean())

        np.testing.assert_allclose(found.contributions[at], shapley_values(worth, 4), atol=2e-6)
        assert found.base_value == pytest.approx(worth(frozenset()), abs=2e-6)


def test_indicators_of_some_features_only_are_added_to_their_own_feature() -> None:
    rows, labels = cohort()
    rows[:, [0, 3]] = np.nan_to_num(rows[:, [0, 3]])
    pipeline = baseline(rows, labels)
    prove(exported(pipeline, 5), pipeline, None, rows[:50])


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("keep_empty_features", [True, False])
def test_a_feature_never_observed_in_training_contributes_nothing_of_its_value(*, keep_empty_features: bool) -> None:
    rows, labels = cohort()
    rows[:, 1] = np.nan
    imputer = SimpleImputer(strategy="median", keep_empty_features=keep_empty_features)
    pipeline = make_pipeline(imputer, StandardScaler(), LogisticRegression()).fit(rows, labels)
    session = open_session(exported(pipeline, 5))
    outputs = run_graph(session, rows[:20])
    np.testing.assert_allclose(
        outputs.logit, pipeline.decision_function(rows[:20].astype(np.float64)), rtol=1e-6, atol=1e-6
    )
    assert outputs.contributions[:, 1].tolist() == [0.0] * 20


@pytest.mark.parametrize("with_mean", [True, False], ids=["centred", "not centred"])
def test_the_base_value_is_the_mean_logit_in_training(*, with_mean: bool) -> None:
    rows, labels = cohort()
    imputer = SimpleImputer(strategy="median")
    pipeline = make_pipeline(imputer, StandardScaler(with_mean=with_mean), LogisticRegression()).fit(rows, labels)
    outputs = run_graph(open_session(exported(pipeline, 5)), rows)
    np.testing.assert_allclose(outputs.logit.mean(), outputs.base_value, atol=1e-5)
    np.testing.assert_allclose(outputs.contributions.mean(axis=0), np.zeros(5), atol=1e-5)


def test_a_background_takes_the_place_of_the_training_rows() -> None:
    rows, labels = cohort()
    pipeline = baseline(rows, labels)
    outputs = run_graph(open_session(exported(pipeline, 5, background=rows[:7])), rows[:7])
    np.testing.assert_allclose(outputs.logit.mean(), outputs.base_value, atol=1e-5)


def test_a_graph_explained_against_another_background_fails() -> None:
    rows, labels = cohort()
    pipeline = baseline(rows, labels)
    with pytest.raises(ParityError, match="base value"):
        prove(exported(pipeline, 5, background=rows[:7]), pipeline, None, rows[:50])


def test_contributions_of_another_feature_fail() -> None:
    """The proof asks scikit-learn which column moves with which feature, not the reader."""
    rows, labels = cohort()
    pipeline = baseline(rows, labels)
    graph = onnx.load_from_string(exported(pipeline, 5))
    (by_feature,) = (t for t in graph.graph.initializer if t.name.endswith("coefficients_by_feature"))
    swapped = onnx.numpy_helper.to_array(by_feature)[:, ::-1].copy()
    by_feature.CopyFrom(onnx.numpy_helper.from_array(swapped, by_feature.name))
    with pytest.raises(ParityError, match="contributions"):
        prove(graph.SerializeToString(), pipeline, None, rows[:50])


def test_means_that_nobody_knows_are_asked_for() -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, labels)
    with pytest.raises(NotExportableError, match="background=rows"):
        exported(pipeline, 5)


@pytest.mark.parametrize(
    ("background", "said"),
    [
        pytest.param(np.zeros((3, 5)), "float64", id="doubles"),
        pytest.param(np.zeros((0, 5), dtype=np.float32), "N >= 1", id="no rows"),
        pytest.param(np.zeros((3, 4), dtype=np.float32), r"\[N, 5\]", id="too narrow"),
        pytest.param(np.full((1, 5), np.inf, dtype=np.float32), "infinite", id="an infinity"),
    ],
)
def test_a_background_of_other_rows_is_refused(background: Float32Array, said: str) -> None:
    rows, labels = cohort()
    with pytest.raises(ExportError, match=said):
        exported(baseline(rows, labels), 5, background=background)


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), id="no imputer"),
        pytest.param(
            make_pipeline(
                make_column_transformer((SimpleImputer(), [0, 1]), remainder="passthrough"), LogisticRegression()
            ),
            id="some features not imputed",
        ),
        pytest.param(make_pipeline(SplineTransformer(), LogisticRegression()), id="splines of NaN"),
        pytest.param(LogisticRegression(), id="no step at all"),
    ],
)
def test_an_estimator_that_a_missing_value_would_reach_is_refused(pipeline: BaseEstimator) -> None:
    rows, labels = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match=r"refuses NaN.*put SimpleImputer in front"):
        exported(pipeline.fit(rows, labels), 5, background=rows)


@pytest.mark.parametrize(
    ("estimator", "advice"),
    [
        pytest.param(LinearSVC(), "use LogisticRegression", id="a support vector machine"),
        pytest.param(RidgeClassifier(), "use LogisticRegression", id="a ridge classifier"),
        pytest.param(SGDClassifier(loss="hinge"), "loss='log_loss'", id="hinge loss"),
    ],
)
def test_scores_without_a_probability_are_refused(estimator: BaseEstimator, advice: str) -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), estimator).fit(rows, labels)
    with pytest.raises(NotExportableError, match=advice):
        exported(pipeline, 5)


def test_several_classes_by_gradient_descent_are_refused() -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), SGDClassifier(loss="log_loss"))
    with pytest.raises(NotExportableError, match="do not add up to 1"):
        exported(pipeline.fit(rows, classes(labels)), 5)


def test_several_classes_fitted_one_by_one_are_refused() -> None:
    """What liblinear did with three classes until scikit-learn 1.8 forbade it: no softmax belongs to its scores."""
    rows, labels = cohort()
    pipeline = baseline(rows, classes(labels))
    pipeline[-1].solver = "liblinear"
    with pytest.raises(NotExportableError, match="use solver='lbfgs'"):
        exported(pipeline, 5)


def test_several_outcomes_at_once_are_refused() -> None:
    rows, labels = cohort()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression())
    with pytest.raises(NotExportableError, match="one outcome"):
        exported(pipeline.fit(rows, np.stack([labels, 1 - labels], axis=1)), 5)


def test_a_pipeline_fitted_on_a_data_frame_is_refused() -> None:
    rows, labels = cohort()
    frame = pd.DataFrame(rows, columns=list("abcde"))
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    with pytest.raises(NotExportableError, match="data frame"):
        exported(pipeline.fit(frame, labels), 5)


def test_an_unfitted_pipeline_is_refused() -> None:
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
    with pytest.raises(NotExportableError, match="isn't fitted"):
        exported(pipeline, 5)
