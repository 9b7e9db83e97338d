"""Calibrators, fitted by maximum likelihood or isotonic regression to scores that the estimator was not trained on."""

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from training.export.calibration import BetaCalibration, Calibration, IsotonicCalibration, Of
from training.logistic import CalibrationError, maximise, recalibrate

__all__ = ["CalibrationError", "apply", "fit_beta", "fit_isotonic", "fit_platt"]


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
    _check_shapes(logits, labels)
    slope, intercept = recalibrate(logits.astype(np.float64), labels.astype(np.float64), (~labels).astype(np.float64))
    return Calibration(slope=slope, intercept=intercept)


def fit_beta(logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> BetaCalibration:
    """Fit the calibrated log-odds `a * ln(p) - b * ln(1 - p) + c`, p = sigmoid(logit), with a, b >= 0.

    Kull, Silva Filho and Flach 2017, "Beta calibration", PMLR 54: 623-631: a logistic regression on ln(p) and
    -ln(1 - p). The likelihood is concave, so that its maximum with a, b >= 0 lies where a = 0 or b = 0 if the free one
    has either below 0.

    Args:
        logits: the uncalibrated log-odds, float64[N], finite.
        labels: bool[N] with both outcomes.

    Raises:
        CalibrationError: as `fit_platt`, or the risk falls as the logit rises.
    """
    _check_shapes(logits, labels)
    if len(np.unique(logits)) < 3:  # noqa: PLR2004 - as many as coefficients
        raise CalibrationError("Expected three different logits or more, for a, b and c; use `fit_platt`.")
    positives = labels.astype(np.float64)
    # Also refuses what has no maximum: both terms rise with the logit, and separate where it does.
    recalibrate(logits.astype(np.float64), positives, 1.0 - positives)
    terms = np.stack([-np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits)], axis=1)
    free = _fit_terms(terms, positives, (0, 1))
    if min(free[0], free[1]) < 0:
        edges = [found for found in (_fit_terms(terms, positives, (at,)) for at in (0, 1)) if min(found[:2]) >= 0]
        if not edges:
            raise CalibrationError("Expected a risk that rises with the logits; it falls. Check the labels.")
        free = max(edges, key=lambda found: _log_likelihood(terms, positives, found))
    a, b, c = free.tolist()
    return BetaCalibration(a=a, b=b, c=c)


def fit_isotonic(scores: NDArray[np.float64], labels: NDArray[np.bool_], *, of: Of) -> IsotonicCalibration:
    """Fit the probability that never falls with the score and is nearest to the labels in squares.

    Zadrozny and Elkan 2002 (doi:10.1145/775047.775151), by scikit-learn; linear between thresholds.

    Args:
        scores: what `of` says of the estimator, float64[N], finite.
        labels: bool[N] with both outcomes.
        of: whether the scores are the estimator's scores or its probabilities.

    Raises:
        CalibrationError: shapes differ, a score is not finite, or only one outcome is present.
    """
    _check_shapes(scores, labels)
    if not np.isfinite(scores).all() or labels.all() or not labels.any():
        raise CalibrationError(
            f"Expected finite scores and both outcomes, got {int((~np.isfinite(scores)).sum())} scores that are not "
            f"and {int(labels.sum())} positive of {len(labels)} rows."
        )
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    return IsotonicCalibration.of_sklearn(isotonic.fit(scores.astype(np.float64), labels.astype(np.float64)), of)


def apply(calibration: Calibration, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the calibrated logits, float64[N]."""
    return np.asarray(calibration.slope * logits + calibration.intercept, dtype=np.float64)


def _check_shapes(logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> None:
    if logits.ndim != 1 or logits.shape != labels.shape or labels.dtype != np.bool_:
        raise CalibrationError(
            f"Expected 1-D logits and boolean labels of one length, got {logits.shape} and "
            f"{labels.shape} of type {labels.dtype}."
        )


def _fit_terms(
    terms: NDArray[np.float64], positives: NDArray[np.float64], used: tuple[int, ...]
) -> NDArray[np.float64]:
    """The coefficients of both terms, 0 for one that isn't used, and the intercept: float64[3]."""
    chosen = terms[:, list(used)]
    centre, scale = chosen.mean(axis=0), chosen.std(axis=0)
    design = np.column_stack([(chosen - centre) / scale, np.ones(len(chosen))])
    *steepness, level = maximise(design, positives, 1.0 - positives)
    found = np.zeros(3)
    found[list(used)] = steepness / scale
    found[2] = level - found[list(used)] @ centre
    return found


def _log_likelihood(
    terms: NDArray[np.float64], positives: NDArray[np.float64], found: NDArray[np.float64]
) -> np.float64:
    log_odds = terms @ found[:2] + found[2]
    return np.float64(positives @ log_odds - np.logaddexp(0.0, log_odds).sum())
