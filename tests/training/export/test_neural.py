"""Multi-layer perceptrons: exact scores behind steps, and no contributions that a graph could not hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.training.export.cohorts import classes, outcomes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, prove
from training.export.parity import open_session, run_outputs

# L-BFGS is done in a few steps here; whether it has converged is not what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*lbfgs failed to converge")


def _pipeline(network: BaseEstimator) -> Pipeline:
    return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), network)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    layers=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    activation=st.sampled_from(["relu", "tanh", "logistic", "identity"]),
    features=st.integers(1, 8),
    missing=st.sampled_from([0.02, 0.5]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    calibrated=st.booleans(),
)
def test_random_networks_are_exported_exactly(
    seed: int,
    layers: list[int],
    activation: str,
    features: int,
    missing: float,
    scale: float,
    calibrated: bool,  # noqa: FBT001 - Hypothesis gives it by name
) -> None:
    rows, labels = cohort(seed=seed, rows=120, features=features, missing=missing, scale=scale)
    network = MLPClassifier(layers, activation=activation, solver="lbfgs", max_iter=20, random_state=seed)
    pipeline = _pipeline(network).fit(rows.astype(np.float64), labels)
    line = CALIBRATION if calibrated else None
    prove(exported(pipeline, features, line), pipeline, line, rows[:50], seed=seed)


def test_a_network_has_no_contributions() -> None:
    """A runtime explains it by permutation SHAP."""
    rows, labels = cohort()
    pipeline = _pipeline(MLPClassifier((5,), solver="lbfgs", max_iter=20, random_state=0)).fit(
        rows.astype(np.float64), labels
    )
    session = open_session(exported(pipeline, 5))
    assert [output.name for output in session.get_outputs()] == ["logit", "probability"]
    found = run_outputs(session, rows)
    np.testing.assert_allclose(found.served[:, 0], pipeline.predict_proba(rows.astype(np.float64))[:, 1], rtol=2e-6)


def test_several_classes_have_a_logit_each() -> None:
    rows, labels = cohort()
    pipeline = _pipeline(MLPClassifier((6, 4), solver="lbfgs", max_iter=20, random_state=0)).fit(
        rows.astype(np.float64), classes(labels)
    )
    graph = exported(pipeline, 5)
    prove(graph, pipeline, None, rows[:60])
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served, pipeline.predict_proba(rows.astype(np.float64)), atol=1e-6)


def test_a_regression_gives_its_prediction() -> None:
    rows, labels = cohort()
    network = MLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=20, random_state=0)
    pipeline = _pipeline(network).fit(rows.astype(np.float64), outcomes(labels))
    graph = exported(pipeline, 5)
    prove(graph, pipeline, None, rows[:60])
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.explained[:, 0], pipeline.predict(rows.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_a_network_that_a_missing_value_would_reach_is_refused() -> None:
    rows, labels = cohort(missing=0.0)
    network = MLPClassifier((3,), solver="lbfgs", max_iter=5, random_state=0).fit(rows, labels)
    with pytest.raises(NotExportableError, match="put SimpleImputer in front"):
        exported(network, 5)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(
            MLPRegressor(loss="poisson", hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5, random_state=0),
            id="an exponential output",
        ),
        pytest.param(
            MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5, random_state=0), id="two outcomes"
        ),
    ],
)
def test_other_outputs_are_refused(network: MLPRegressor) -> None:
    rows, labels = cohort()
    outcome = outcomes(labels)
    target = outcome if network.loss == "poisson" else np.stack([outcome, -outcome], axis=1)
    with pytest.raises(NotExportableError, match="fit a network for each"):
        exported(_pipeline(network).fit(rows.astype(np.float64), target), 5)
