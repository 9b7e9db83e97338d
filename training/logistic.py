"""Logistic regression on one logit, by maximum likelihood: what calibration is fitted and judged with."""

import numpy as np
from numpy.typing import NDArray

# Newton's method on this concave likelihood needs 5 to 10 steps; 100 means that no maximum is near.
_STEPS = 100
# Once a step promises to raise the mean log-likelihood of a row by less than this, it is the last: before it
# the coefficients are right to about 1e-6, and each step squares the error.
_TOLERANCE = 1e-12
# A step is halved no further than this; what still looks like a fall is rounding.
_SHORTEST_STEP = 1e-12


class CalibrationError(ValueError):
    """No logistic line can be fitted to these rows."""


def recalibrate(
    logits: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> tuple[float, float]:
    """Fit slope and intercept where each logit stands for a weight of positive and of negative rows.

    All three float64[K]; weights of 0 are allowed.

    Raises:
        CalibrationError: a logit is not finite, only one outcome is present, or the logits separate the outcomes
            perfectly (the best slope would be infinite).
    """
    _check_outcomes(logits, positives, negatives)
    _check_overlap(logits[positives > 0], logits[negatives > 0])
    # Centred and scaled, both coefficients are of one size, and Newton's equations well conditioned.
    present = logits[positives + negatives > 0]
    centre, scale = present.mean(), present.std()
    design = np.stack([np.ones_like(logits), (logits - centre) / scale], axis=1)
    level, steepness = _maximise(design, np.zeros_like(logits), positives, negatives)
    slope = steepness / scale
    return float(slope), float(level - slope * centre)


def recalibrate_in_the_large(
    logits: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> float:
    """Fit only the intercept, the slope held at 1; else as `recalibrate`, but any overlap will do."""
    _check_outcomes(logits, positives, negatives)
    (intercept,) = _maximise(np.ones((logits.size, 1)), logits, positives, negatives)
    return float(intercept)


def _maximise(
    design: NDArray[np.float64],
    offset: NDArray[np.float64],
    positives: NDArray[np.float64],
    negatives: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Maximise the binomial likelihood of `offset + design @ coefficients` by (halved) Newton steps."""
    weights = positives + negatives
    enough = _TOLERANCE * weights.sum()
    coefficients = np.zeros(design.shape[1])

    def log_likelihood(at: NDArray[np.float64]) -> np.float64:
        log_odds = offset + design @ at
        return np.float64(positives @ log_odds - weights @ np.logaddexp(0.0, log_odds))

    height = log_likelihood(coefficients)
    for _ in range(_STEPS):
        probabilities = _sigmoid(offset + design @ coefficients)
        gradient = design.T @ (positives - weights * probabilities)
        curvature = (design * (weights * probabilities * (1 - probabilities))[:, np.newaxis]).T @ design
        step = _newton_step(curvature, gradient)
        if gradient @ step < enough:
            return np.asarray(coefficients + step)
        while (risen := log_likelihood(coefficients + step)) < height and np.abs(step).max() > _SHORTEST_STEP:
            step = step / 2
        coefficients, height = coefficients + step, risen
    raise CalibrationError(
        f"Expected the likelihood to reach its maximum in {_STEPS} Newton steps; check the logits for outliers."
    )


def _newton_step(curvature: NDArray[np.float64], gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return np.asarray(np.linalg.solve(curvature, gradient))
    except np.linalg.LinAlgError as error:
        raise CalibrationError(
            "Expected logits in a usable range; all of these round to a probability of 0 or 1."
        ) from error


def _check_outcomes(
    logits: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> None:
    if not np.isfinite(logits).all():
        raise CalibrationError(f"Expected finite logits, {(~np.isfinite(logits)).sum()} of {logits.size} are not.")
    if not (positives.any() and negatives.any()):
        raise CalibrationError(
            f"Expected both outcomes, got {positives.sum():g} positive and {negatives.sum():g} negative rows."
        )


def _check_overlap(positive_logits: NDArray[np.float64], negative_logits: NDArray[np.float64]) -> None:
    """Refuse what has no finite maximum (Albert and Anderson 1984, doi:10.1093/biomet/71.1.1)."""
    above = positive_logits.min() >= negative_logits.max()
    below = positive_logits.max() <= negative_logits.min()
    if above or below:
        raise CalibrationError(
            "Expected logits at which both outcomes mix; they separate them perfectly or are all the same. "
            "Use more rows, and rows that the estimator was not trained on."
        )


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logit)) without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
