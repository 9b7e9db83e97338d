"""Logistic calibration: the maximum-likelihood line from a logit to the log-odds of what was observed."""

import numpy as np
from numpy.typing import NDArray

from training.export.calibration import Calibration
from training.logistic import CalibrationError, recalibrate

__all__ = ["CalibrationError", "apply", "fit_platt"]


def fit_platt(logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> Calibration:
    """Fit the calibrated logit `slope * logit + intercept` to labels by maximum likelihood.

    Platt 1999 ("Probabilistic outputs for support vector machines"), without his smoothing of the targets: it
    pulls rare outcomes towards one half, and thousands of rows need no such prior. Fit on rows that the
    estimator was not trained on.

    Args:
        logits: the estimator's log-odds, float64[N], finite.
        labels: bool[N] with both outcomes.

    Raises:
        CalibrationError: shapes differ, a logit is not finite, only one outcome is present, or the logits
            separate the outcomes perfectly (the best slope would be infinite).
    """
    if logits.ndim != 1 or logits.shape != labels.shape or labels.dtype != np.bool_:
        raise CalibrationError(
            f"Expected 1-D logits and boolean labels of one length, got {logits.shape} and "
            f"{labels.shape} of type {labels.dtype}."
        )
    slope, intercept = recalibrate(logits.astype(np.float64), labels.astype(np.float64), (~labels).astype(np.float64))
    return Calibration(slope=slope, intercept=intercept)


def apply(calibration: Calibration, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the calibrated logits, float64[N]."""
    return np.asarray(calibration.slope * logits + calibration.intercept, dtype=np.float64)
