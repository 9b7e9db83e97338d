"""Outcomes counted at each distinct probability: all that a measure of performance needs to know of the rows.

Rows with one probability can be exchanged, so every measure is a function of the tally, and a bootstrap
sample is the same sorted rows under other weights: one sort serves all resamples, and ties are exact by
construction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.logistic import CalibrationError, recalibrate, recalibrate_in_the_large

# Float32's step below 1: nearer to 0 or 1 a probability is saturated, and its logit is taken at this
# distance.
SATURATION = 2.0**-24
# Calibration of a resample is fitted on this many steps of the logit instead of each distinct one: a step is
# at most 2 x 16.6 / 4096 = 0.008 wide, far below the width of any interval.
_LOGIT_STEPS = 4096

RATES = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "alert_rate",
    "number_needed_to_evaluate",
    "net_benefit",
)
SUMMARIES = ("prevalence", "auroc", "auprc", "brier", "calibration_slope", "calibration_intercept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Weights of positive and negative rows at each distinct probability, ascending; all float64[K]."""

    probabilities: NDArray[np.float64]
    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]


class Ranking:
    """Rows sorted once by probability, to be tallied under any weights.

    Args:
        labels: bool[N].
        probabilities: float64[N], without NaN.
    """

    __slots__ = ("_order", "_positive", "_probabilities", "_starts")

    def __init__(self, labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> None:
        self._order = np.argsort(probabilities)
        ranked = probabilities[self._order].astype(np.float64)
        self._positive = labels[self._order].astype(np.float64)
        self._starts = np.append(0, np.flatnonzero(ranked[1:] != ranked[:-1]) + 1)
        self._probabilities = ranked[self._starts]

    def sort(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return one number per row, intp[N], in the order in which `tally` expects its weights."""
        return rows[self._order]

    def tally(self, weights: NDArray[np.float64] | None = None) -> Tally:
        """Tally the rows under weights, float64[N] as sorted by `sort`; without any, each row counts once."""
        if weights is None:
            weights = np.ones_like(self._positive)
        positives = weights * self._positive
        if self._starts.size < self._positive.size:
            positives = np.add.reduceat(positives, self._starts)
            weights = np.add.reduceat(weights, self._starts)
        return Tally(probabilities=self._probabilities, positives=positives, negatives=weights - positives)


def summarise(tally: Tally, *, coarse: bool = False) -> NDArray[np.float64]:
    """Return the numbers named in `SUMMARIES`, float64[6], NaN where undefined.

    Args:
        tally: may lack an outcome; then all but prevalence and Brier score are NaN.
        coarse: fit the calibration on steps of the logit; for resamples.
    """
    if not (tally.positives.any() and tally.negatives.any()):
        return np.array([prevalence(tally), np.nan, np.nan, brier(tally), np.nan, np.nan])
    calibrated = _coarsen(tally) if coarse else tally
    return np.array(
        [
            prevalence(tally),
            auroc(tally),
            auprc(tally),
            brier(tally),
            calibration_slope(calibrated),
            calibration_intercept(calibrated),
        ]
    )


def rates(tally: Tally, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers named in `RATES` of alarming at `probability >= threshold`: float64[T, 7], else NaN.

    Net benefit per row is `TP/n - FP/n * threshold / (1 - threshold)` (Vickers and Elkin 2006,
    doi:10.1177/0272989X06295361). The number needed to evaluate is 1 / PPV: alarms looked at for one true
    one.
    """
    first = np.searchsorted(tally.probabilities, thresholds, side="left")
    true_positive, positive = _from_here_up(tally.positives, first)
    false_positive, negative = _from_here_up(tally.negatives, first)
    rows, alarms = positive + negative, true_positive + false_positive
    with np.errstate(invalid="ignore", divide="ignore"):
        odds = thresholds / (1 - thresholds)
        measures = np.stack(
            [
                true_positive / positive,
                (negative - false_positive) / negative,
                true_positive / alarms,
                (negative - false_positive) / (rows - alarms),
                alarms / rows,
                alarms / true_positive,
                true_positive / rows - false_positive / rows * odds,
            ],
            axis=1,
        )
    return np.where(np.isfinite(measures), measures, np.nan)


def _from_here_up(weights: NDArray[np.float64], first: NDArray[np.intp]) -> tuple[NDArray[np.float64], np.float64]:
    """Return the weight from each of these places up, and the weight of all."""
    total_before = np.append(0.0, np.cumsum(weights))
    return total_before[-1] - total_before[first], total_before[-1]


def prevalence(tally: Tally) -> float:
    """Return the share of rows that are positive."""
    positive = tally.positives.sum()
    return float(positive / (positive + tally.negatives.sum()))


def auroc(tally: Tally) -> float:
    """Return P(probability of a positive > of a negative) + P(equal) / 2 (Hanley and McNeil 1982)."""
    beaten = np.cumsum(tally.negatives) - tally.negatives / 2
    return float(tally.positives @ beaten / (tally.positives.sum() * tally.negatives.sum()))


def auprc(tally: Tally) -> float:
    """Return average precision: PPV averaged over the positives, a step curve without interpolation."""
    true_positive = np.cumsum(tally.positives[::-1])
    alarms = true_positive + np.cumsum(tally.negatives[::-1])
    ppv = np.divide(true_positive, alarms, out=np.zeros_like(alarms), where=alarms > 0)
    return float(tally.positives[::-1] @ ppv / true_positive[-1])


def brier(tally: Tally) -> float:
    """Return the mean squared distance of probability and outcome."""
    distance = tally.positives @ (1 - tally.probabilities) ** 2 + tally.negatives @ tally.probabilities**2
    return float(distance / (tally.positives.sum() + tally.negatives.sum()))


def calibration_slope(tally: Tally) -> float:
    """Return the slope of the outcome on the logit, NaN where the likelihood has no maximum."""
    try:
        slope, _ = recalibrate(logits(tally.probabilities), tally.positives, tally.negatives)
    except CalibrationError:  # outcomes separated or probabilities all the same: no slope, and NaN says so
        return float("nan")
    return slope


def calibration_intercept(tally: Tally) -> float:
    """Return the intercept of the outcome on the logit with the slope fixed to 1."""
    return recalibrate_in_the_large(logits(tally.probabilities), tally.positives, tally.negatives)


def logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds, with saturated probabilities taken at `SATURATION` from 0 or 1."""
    inside = np.clip(probabilities, SATURATION, 1 - SATURATION)
    return np.asarray(np.log(inside / (1 - inside)))


def _coarsen(tally: Tally) -> Tally:
    """Merge neighbours that share a step of the logit, at their mean logit."""
    at = logits(tally.probabilities)
    steps = np.floor((at - at[0]) / max(at[-1] - at[0], SATURATION) * _LOGIT_STEPS)
    starts = np.append(0, np.flatnonzero(np.diff(steps)) + 1)
    weights = tally.positives + tally.negatives
    merged = np.add.reduceat(weights, starts)
    mean = np.divide(np.add.reduceat(weights * at, starts), merged, out=at[starts], where=merged > 0)
    return Tally(
        probabilities=1 / (1 + np.exp(-mean)),
        positives=np.add.reduceat(tally.positives, starts),
        negatives=np.add.reduceat(tally.negatives, starts),
    )
