"""Calibrators: their numbers are checked when built, and read from scikit-learn only if they are probabilities."""

import re

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from training.export import (
    BetaCalibration,
    Calibration,
    IsotonicCalibration,
    NotExportableError,
    Of,
    SigmoidCalibration,
)
from training.export.trees import FloatArray

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("slope", "intercept"), [(NAN, 0.0), (1.0, INF)])
def test_a_number_that_is_not_finite_is_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="finite calibration slope"):
        Calibration(slope=slope, intercept=intercept)


@pytest.mark.parametrize(
    ("slope", "intercept", "said"),
    [
        pytest.param(0.0, 1.0, "positive calibration slope", id="flat"),
        pytest.param(-2.0, 1.0, "positive calibration slope", id="falling"),
        pytest.param(1.0, NAN, "finite calibration slope", id="not a number"),
    ],
)
def test_a_sigmoid_that_does_not_rise_is_refused(slope: float, intercept: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SigmoidCalibration(slope=slope, intercept=intercept)


@pytest.mark.parametrize(
    ("a", "b", "c", "said"),
    [
        pytest.param(-0.1, 1.0, 0.0, "a, b >= 0", id="falls for small risks"),
        pytest.param(1.0, -0.1, 0.0, "a, b >= 0", id="falls for large risks"),
        pytest.param(0.0, 0.0, 0.0, "a, b >= 0", id="constant"),
        pytest.param(1.0, 1.0, INF, "finite calibration a and b and c", id="infinite"),
    ],
)
def test_a_beta_calibration_that_falls_is_refused(a: float, b: float, c: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BetaCalibration(a=a, b=b, c=c)


@pytest.mark.parametrize(
    ("thresholds", "probabilities", "said"),
    [
        pytest.param([0.0, 1.0], [0.1], "float64[M]", id="one too few"),
        pytest.param([], [], "M >= 1", id="none"),
        pytest.param([0.0, 0.0], [0.1, 0.2], "strictly ascending", id="a jump"),
        pytest.param([1.0, 0.0], [0.1, 0.2], "strictly ascending", id="descending thresholds"),
        pytest.param([0.0, INF], [0.1, 0.2], "finite", id="an infinite threshold"),
        pytest.param([0.0, 1.0], [0.2, 0.1], "do not descend", id="descending probabilities"),
        pytest.param([0.0, 1.0], [0.2, 1.1], "[0, 1]", id="no probability"),
        pytest.param([0.0, 5e-324], [0.0, 1.0], "too close together", id="an endless slope"),
    ],
)
def test_steps_that_are_no_calibrator_are_refused(
    thresholds: list[float], probabilities: list[float], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        IsotonicCalibration(thresholds=np.array(thresholds), probabilities=np.array(probabilities), of=Of.SCORE)


def test_single_precision_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        IsotonicCalibration(
            thresholds=np.zeros(1, dtype=np.float32),
            probabilities=np.zeros(1),
            of=Of.SCORE,
        )


def _fitted(isotonic: IsotonicRegression, scores: FloatArray) -> IsotonicRegression:
    return isotonic.fit(scores, np.linspace(0, 1, len(scores)))


@pytest.mark.parametrize(
    ("isotonic", "said"),
    [
        pytest.param(IsotonicRegression(), "out_of_bounds='clip'", id="NaN beyond the thresholds"),
        pytest.param(IsotonicRegression(out_of_bounds="clip", increasing=False), "do not descend", id="descending"),
        pytest.param(IsotonicRegression(out_of_bounds="clip", y_max=2, y_min=1.5), "y_min=0", id="no probabilities"),
    ],
)
def test_an_isotonic_regression_that_is_no_calibrator_is_refused(isotonic: IsotonicRegression, said: str) -> None:
    scores = np.linspace(-2, 2, 9) * (1 if isotonic.increasing else -1)
    with pytest.raises(NotExportableError, match=said):
        IsotonicCalibration.of_sklearn(_fitted(isotonic, scores), Of.SCORE)


def test_an_isotonic_regression_of_single_precision_is_refused() -> None:
    """It would round each score to float32, and a row beside a threshold would get another risk."""
    isotonic = IsotonicRegression(out_of_bounds="clip")
    isotonic.fit(np.linspace(-2, 2, 9, dtype=np.float32), np.linspace(0, 1, 9))
    with pytest.raises(NotExportableError, match="fitted on float64"):
        IsotonicCalibration.of_sklearn(isotonic, Of.SCORE)
