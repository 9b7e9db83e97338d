"""Logistic regression on one logit, by maximum likelihood: what calibration is fitted and judged with."""

import numpy as np
from numpy.typing import NDArray

# Newton's method on this concave likelihood needs 5 to 10 steps; 100 means that no maximum is near.
_STEPS = 100
# Once a step promises to raise the mean log-likelihood of a row by less than this, it is the last: before it
# the coefficients are right to about 1e-6, and each step squares the error.
_TOLERANCE = 1e-12
# A step is halved until it keeps this part of what its slope promised (Armijo's rule), so that none leaps into the
# flat part of the likelihood. Near the maximum a full step keeps one half.
_KEPT = 0.1
# Two intercepts closer than this are the same.
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
    level, steepness = maximise(design, positives, negatives)
    slope = steepness / scale
    return float(slope), float(level - slope * centre)


def recalibrate_in_the_large(
    logits: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> float:
    """Fit only the intercept, the slope held at 1; else as `recalibrate`, but any overlap will do."""
    _check_outcomes(logits, positives, negatives)
    weights = positives + negatives
    positive, negative = positives.sum(), negatives.sum()
    # All logits at the lowest, or at the highest: between these two intercepts lies the one that suits them all.
    log_odds = np.log(positive / negative)
    low, high = log_odds - logits.max(), log_odds - logits.min()
    intercept = (low + high) / 2
    for _ in range(_STEPS):
        probabilities = _sigmoid(logits + intercept)
        excess = weights @ probabilities - positive
        low, high = (low, intercept) if excess > 0 else (intercept, high)
        curvature = weights @ (probabilities * (1 - probabilities))
        inside = abs(excess) < curvature * (high - low)
        newton = intercept - excess / curvature if inside else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - intercept) < _SHORTEST_STEP:
            break
        intercept = following
    return float(intercept)


def maximise(
    design: NDArray[np.float64], positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Maximise the binomial likelihood of the log-odds `design @ coefficients` by Newton steps, halved if too long."""
    weights = positives + negatives
    enough = _TOLERANCE * weights.sum()
    coefficients = np.zeros(design.shape[1])

    def log_likelihood(at: NDArray[np.float64]) -> np.float64:
        log_odds = design @ at
        return np.float64(positives @ log_odds - weights @ np.logaddexp(0.0, log_odds))

    height = log_likelihood(coefficients)
    for _ in range(_STEPS):
        probabilities = _sigmoid(design @ coefficients)
        gradient = design.T @ (positives - weights * probabilities)
        curvature = (design * (weights * probabilities * (1 - probabilities))[:, np.newaxis]).T @ design
        step = _newton_step(curvature, gradient)
        promised = gradient @ step
        if promised < enough:
            return np.asarray(coefficients + step)
        length = 1.0
        while (reached := log_likelihood(coefficients + length * step)) < height + _KEPT * length * promised:
            length /= 2
        coefficients, height = coefficients + length * step, reached
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
