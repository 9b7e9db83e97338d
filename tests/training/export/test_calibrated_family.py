"""`CalibratedClassifierCV`: scikit-learn's own probabilities, where the usual converters are off by up to 0.53."""

import lightgbm
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.training.export.cohorts import classes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_outputs
from training.export.trees import Float32Array, FloatArray, IntArray

# Whether a small network has converged is not what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*lbfgs failed to converge")


def _boosted() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=15, num_leaves=7, verbose=-1, n_jobs=1, random_state=0)


def _forest() -> RandomForestClassifier:
    return RandomForestClassifier(10, min_samples_leaf=5, random_state=0)


def _logistic() -> Pipeline:
    return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression())


def _network() -> Pipeline:
    return make_pipeline(
        SimpleImputer(), StandardScaler(), MLPClassifier((6,), alpha=1.0, solver="lbfgs", random_state=0)
    )


def _fitted(estimator: BaseEstimator, rows: Float32Array, labels: IntArray) -> BaseEstimator:
    return estimator.fit(rows.astype(np.float64), labels)


def _library(estimator: BaseEstimator, rows: Float32Array) -> FloatArray:
    found: FloatArray = estimator.predict_proba(rows.astype(np.float64))[:, 1]
    return found


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(
    ("inner", "has_contributions"),
    [
        pytest.param(_boosted(), True, id="LightGBM, of its probability"),
        pytest.param(_forest(), True, id="a forest, of its probability"),
        pytest.param(HistGradientBoostingClassifier(max_iter=15), True, id="boosting, of its log-odds"),
        pytest.param(_logistic(), True, id="a logistic pipeline, of its log-odds"),
        pytest.param(_network(), False, id="a network, of its probability"),
    ],
)
def test_one_calibrator_gives_the_very_probability(
    inner: BaseEstimator, method: str, *, has_contributions: bool
) -> None:
    rows, labels = cohort()
    estimator = _fitted(CalibratedClassifierCV(inner, method=method, ensemble=False), rows, labels)
    graph = exported(estimator, 5)
    proof = prove(graph, estimator, None, rows[:100])
    assert (proof.largest_additivity_difference is not None) == has_contributions
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served[:, 0], _library(estimator, rows), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(
    "inner", [_boosted(), _forest(), _logistic()], ids=["LightGBM", "a forest", "a logistic pipeline"]
)
def test_several_calibrated_estimators_are_their_mean(inner: BaseEstimator, method: str) -> None:
    rows, labels = cohort()
    estimator = _fitted(CalibratedClassifierCV(inner, method=method, cv=3), rows, labels)
    graph = exported(estimator, 5)
    prove(graph, estimator, None, rows[:60])
    assert [output.name for output in open_session(graph).get_outputs()] == ["score", "probability"]
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served[:, 0], _library(estimator, rows), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(("folds", "explained"), [(True, "score"), (False, "logit")], ids=["several", "one"])
def test_imputer_scaler_and_calibrator_in_one_pipeline(method: str, folds: bool, explained: str) -> None:  # noqa: FBT001
    """The usual converter is off by 0.08 in some rows here, with isotonic calibration."""
    rows, labels = cohort()
    calibrator = CalibratedClassifierCV(LogisticRegression(), method=method, ensemble=folds)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), calibrator)
    estimator = _fitted(pipeline, rows, labels)
    graph = exported(estimator, 5)
    prove(graph, estimator, None, rows[:60])
    assert open_session(graph).get_outputs()[0].name == explained
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served[:, 0], _library(estimator, rows), rtol=1e-6, atol=1e-12)


def test_a_frozen_estimator_is_calibrated_as_it_is() -> None:
    rows, labels = cohort()
    frozen = FrozenEstimator(_fitted(_logistic(), rows[:200], labels[:200]))
    estimator = _fitted(CalibratedClassifierCV(frozen), rows[200:], labels[200:])
    graph = exported(estimator, 5)
    proof = prove(graph, estimator, None, rows[:60])
    assert proof.rows_against_shap > 0
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served[:, 0], _library(estimator, rows), rtol=1e-6)


def test_a_logistic_sigmoid_is_explained_on_the_calibrated_log_odds() -> None:
    rows, labels = cohort()
    estimator = _fitted(CalibratedClassifierCV(_logistic(), ensemble=False), rows, labels)
    found = run_outputs(open_session(exported(estimator, 5)), rows)
    expected = _library(estimator, rows)
    np.testing.assert_allclose(found.explained[:, 0], np.log(expected / (1 - expected)), atol=1e-5)


def test_a_calibrator_behind_a_calibrated_estimator_is_refused() -> None:
    rows, labels = cohort()
    estimator = _fitted(CalibratedClassifierCV(_forest(), ensemble=False), rows, labels)
    with pytest.raises(NotExportableError, match="calibrated already"):
        exported(estimator, 5, CALIBRATION)
    twice = _fitted(CalibratedClassifierCV(FrozenEstimator(estimator)), rows, labels)
    with pytest.raises(NotExportableError, match="calibrate once"):
        exported(twice, 5)


def test_a_sigmoid_that_turns_the_ranking_round_is_refused() -> None:
    rows, labels = cohort()
    for inner in (_boosted(), _forest(), _logistic()):
        frozen = FrozenEstimator(_fitted(inner, rows, labels))
        turned = _fitted(CalibratedClassifierCV(frozen), rows, 1 - labels)
        with pytest.raises(NotExportableError, match="ranking"):
            exported(turned, 5)


@pytest.mark.parametrize(
    ("method", "count", "said"),
    [
        pytest.param("temperature", 2, "method='sigmoid' or 'isotonic'", id="temperature scaling"),
        pytest.param("sigmoid", 3, "binary outcome", id="three classes"),
    ],
)
def test_other_calibrations_are_refused(method: str, count: int, said: str) -> None:
    rows, labels = cohort()
    labels = labels if count == 2 else classes(labels, count=count)
    estimator = _fitted(CalibratedClassifierCV(_logistic(), method=method, ensemble=False), rows, labels)
    with pytest.raises(NotExportableError, match=said):
        exported(estimator, 5)
