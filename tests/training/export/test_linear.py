"""The logistic baseline: exact against scikit-learn in double precision."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.training.export.examples import CALIBRATION, baseline, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_graph


@pytest.mark.parametrize("add_indicator", [True, False], ids=["with missing indicators", "without"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_graph_is_the_pipeline(scale: float, *, add_indicator: bool) -> None:
    rows, labels = cohort(scale=scale)
    pipeline = baseline(rows, labels, add_indicator=add_indicator)
    proof = prove(exported(pipeline, 5, CALIBRATION), pipeline, CALIBRATION, rows[:100])
    assert proof.rows_against_shap > 0


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


def test_the_base_value_is_the_logit_at_the_training_mean() -> None:
    rows, labels = cohort()
    pipeline = baseline(rows, labels, add_indicator=False)
    outputs = run_graph(open_session(exported(pipeline, 5)), rows)
    np.testing.assert_allclose(outputs.logit.mean(), outputs.base_value, atol=1e-5)
    np.testing.assert_allclose(outputs.contributions.mean(axis=0), np.zeros(5), atol=1e-5)


@pytest.mark.parametrize(
    ("pipeline", "advice"),
    [
        pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), "got the steps", id="no imputer"),
        pytest.param(
            make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler(), LogisticRegression()),
            "got the steps",
            id="another scaler",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(strategy="mean"), StandardScaler(), LogisticRegression()),
            "strategy='median'",
            id="mean imputation",
        ),
        pytest.param(
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler(with_mean=False), LogisticRegression()),
            "with_mean=True",
            id="not centred",
        ),
    ],
)
def test_other_steps_and_settings_are_refused(pipeline: Pipeline, advice: str) -> None:
    rows, labels = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match=advice):
        exported(pipeline.fit(rows, labels), 5)


def test_three_classes_are_refused() -> None:
    rows, _ = cohort()
    pipeline = baseline(rows, np.arange(len(rows)) % 3)
    with pytest.raises(NotExportableError, match="binary outcome"):
        exported(pipeline, 5)


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
