"""The explanation's precision: float32 as long as that holds the bound, double beyond."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from tests.training.export.cohorts import outcomes
from tests.training.export.examples import cohort, exported, trained
from training.export import Calibration
from training.export.families import adapter_of
from training.export.lightgbm_reader import read_lightgbm
from training.export.parity import open_session, run_graph, run_outputs
from training.export.precision import DOUBLE, FLOAT32, Precision, precision_for


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        pytest.param(1.0, FLOAT32, id="a learnt risk"),
        pytest.param(30.0, DOUBLE, id="behind a steep line"),
    ],
)
def test_large_leaves_are_explained_in_double(slope: float, expected: Precision) -> None:
    rows, labels = cohort()
    ensemble = read_lightgbm(trained(rows, labels))
    assert precision_for(ensemble.calibrated(Calibration(slope=slope, intercept=0.0))) == expected


@pytest.mark.parametrize("slope", [1.0, 30.0, 1e4])
def test_contributions_are_within_the_bound_whatever_the_slope(slope: float) -> None:
    """Relative to the row's largest contribution float32's own rounding is all that is left."""
    rows, labels = cohort(seed=0, features=10, missing=0.95)
    model = trained(rows, labels, num_leaves=40, min_data_in_leaf=1)
    found = run_graph(open_session(exported(model, 10, Calibration(slope=slope, intercept=-2.0))), rows[:60])
    expected = model.predict(rows[:60], pred_contrib=True)[:, :-1] * slope
    size = np.maximum(1.0, np.abs(expected).max(axis=1, keepdims=True))
    np.testing.assert_array_less(np.abs(found.contributions - expected) / size, 1e-6)


def test_an_outcome_in_millions_is_explained_to_the_same_digits() -> None:
    rows, labels = cohort()
    estimator = HistGradientBoostingRegressor(max_iter=20, min_samples_leaf=3, random_state=0)
    estimator.fit(rows, outcomes(labels, scale=1e6))
    explain = adapter_of(estimator).shap
    assert explain is not None
    found = run_outputs(open_session(exported(estimator, 5)), rows[:40]).contributions
    assert found is not None
    expected = explain(estimator, rows[:40])[1]
    size = np.abs(expected).max(axis=2, keepdims=True)
    np.testing.assert_array_less(np.abs(found - expected) / size, 1e-6)
