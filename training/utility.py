"""The normalised utility of the PhysioNet/CinC challenge 2019: alarms are worth what their timing is.

Source: Reyna et al. 2020, doi:10.1097/CCM.0000000000004145, with the constants of the official evaluation.
Each hour of a stay earns a utility that depends on whether an alarm is on. As it adds up over hours, an alarm
*gains* a fixed amount over silence in each hour, and

    normalised utility = (observed - silent) / (best - silent) = Σ gain where alarmed / Σ gain where positive,

because the best alarms are those whose gain is positive. 1 is perfect, 0 is never to alarm, below 0 is harm.
Labels follow the challenge's files: positive from 6 h before onset on, so onset is 6 h after the first
positive label.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.resample import Estimate, Progress, bootstrap, estimate, number_patients

# Hours relative to the onset of sepsis, as the challenge sets them.
EARLIEST_USEFUL_H = -12
OPTIMAL_H = -6
LATEST_USEFUL_H = 3
# Utility of one hour.
BEST_TRUE_POSITIVE = 1.0
WORST_FALSE_NEGATIVE = -2.0
FALSE_POSITIVE = -0.05
TRUE_NEGATIVE = 0.0


class UtilityError(ValueError):
    """The rows are not whole stays, hour by hour, or none of them can gain from an alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestThreshold:
    """The threshold with the highest normalised utility, and that utility on the rows it was chosen on."""

    threshold: float
    utility: float


def normalised_utility(
    labels: NDArray[np.bool_], predictions: NDArray[np.bool_], patients: NDArray[Any], *, hours: NDArray[Any]
) -> float:
    """Return the normalised utility of these alarms.

    Every hour of a stay counts: an hour that the model does not score belongs in here without alarm.

    Args:
        labels: bool[N], positive from 6 h before onset on, as published.
        predictions: bool[N], True where an alarm is on.
        patients: the patient (stay) of each row; a patient's rows stand together.
        hours: the hour of each row, rising by exactly 1 within a patient.

    Raises:
        UtilityError: shapes differ, a patient's rows are apart or miss an hour, or no patient is septic.
    """
    gains = _gains(labels, patients, hours)
    if predictions.shape != labels.shape or predictions.dtype != np.bool_:
        raise UtilityError(
            f"Expected a boolean prediction for each of {labels.size} rows, got {predictions.shape} of type "
            f"{predictions.dtype}."
        )
    return float(gains[predictions].sum() / _attainable(gains))


def utility_curve(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    patients: NDArray[Any],
    *,
    hours: NDArray[Any],
    thresholds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the normalised utility of alarming where `probability >= threshold`, float64[T].

    One sort serves all thresholds; arguments and errors otherwise as `normalised_utility`.
    """
    gains = _gains(labels, patients, hours)
    if probabilities.shape != labels.shape or np.isnan(probabilities).any():
        raise UtilityError(f"Expected a probability for each of {labels.size} rows, got NaN or {probabilities.shape}.")
    order = np.argsort(probabilities)
    gain_from_here_up = np.append(np.cumsum(gains[order][::-1])[::-1], 0.0)
    first_alarm = np.searchsorted(probabilities[order], thresholds, side="left")
    return np.asarray(gain_from_here_up[first_alarm] / _attainable(gains))


def best_threshold(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    patients: NDArray[Any],
    *,
    hours: NDArray[Any],
    thresholds: NDArray[np.float64],
) -> BestThreshold:
    """Choose the threshold with the highest normalised utility; of equals the highest, which alarms least.

    Choose on other patients than those whose utility is reported. Arguments and errors as `utility_curve`.
    """
    falling = np.sort(thresholds)[::-1]
    utilities = utility_curve(labels, probabilities, patients, hours=hours, thresholds=falling)
    best = int(np.argmax(utilities))
    return BestThreshold(threshold=float(falling[best]), utility=float(utilities[best]))


def utility_estimate(
    labels: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    patients: NDArray[Any],
    *,
    hours: NDArray[Any],
    rng: np.random.Generator,
    resamples: int = 200,
    progress: Progress | None = None,
) -> Estimate:
    """Return `normalised_utility` with its 95 % interval by bootstrap over patients."""
    value = normalised_utility(labels, predictions, patients, hours=hours)
    gains = _gains(labels, patients, hours)
    numbers, count = number_patients(patients)
    earned = np.bincount(numbers, weights=np.where(predictions, gains, 0.0), minlength=count)
    attainable = np.bincount(numbers, weights=np.maximum(gains, 0.0), minlength=count)

    def utility(multiplicities: NDArray[np.int64]) -> NDArray[np.float64]:
        best = multiplicities @ attainable
        return np.array([multiplicities @ earned / best if best > 0 else np.nan])

    samples = bootstrap(utility, patients=count, resamples=resamples, rng=rng, progress=progress)
    return estimate(value, samples[:, 0])


def _gains(labels: NDArray[np.bool_], patients: NDArray[Any], hours: NDArray[Any]) -> NDArray[np.float64]:
    """Return what an alarm gains over silence in each row, float64[N]."""
    starts = _stay_starts(labels, patients, hours)
    lengths = np.diff(np.append(starts, labels.size))
    hour_of_stay = np.arange(labels.size) - np.repeat(starts, lengths)
    first_positive = np.minimum.reduceat(np.where(labels, hour_of_stay, labels.size), starts)
    septic = np.repeat(first_positive < labels.size, lengths)
    since_onset = hour_of_stay - np.repeat(first_positive - OPTIMAL_H, lengths)
    return np.where(septic, _gain_if_septic(since_onset), FALSE_POSITIVE - TRUE_NEGATIVE)


def _gain_if_septic(since_onset_h: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the gain of an alarm in a septic patient, this many hours after onset (before: negative)."""
    rising = BEST_TRUE_POSITIVE * (since_onset_h - EARLIEST_USEFUL_H) / (OPTIMAL_H - EARLIEST_USEFUL_H)
    passed = (since_onset_h - OPTIMAL_H) / (LATEST_USEFUL_H - OPTIMAL_H)
    alarm = np.where(since_onset_h <= OPTIMAL_H, np.maximum(rising, FALSE_POSITIVE), BEST_TRUE_POSITIVE * (1 - passed))
    silence = np.where(since_onset_h <= OPTIMAL_H, 0.0, WORST_FALSE_NEGATIVE * passed)
    return np.where(since_onset_h <= LATEST_USEFUL_H, alarm - silence, 0.0)


def _attainable(gains: NDArray[np.float64]) -> float:
    """Return what the best possible alarms gain in all."""
    attainable = float(np.maximum(gains, 0.0).sum())
    if attainable == 0:
        raise UtilityError("Expected a septic patient with an hour in which an alarm helps, got none.")
    return attainable


def _stay_starts(labels: NDArray[np.bool_], patients: NDArray[Any], hours: NDArray[Any]) -> NDArray[np.intp]:
    """Return the row at which each stay starts, after checking that the rows are stays hour by hour."""
    if labels.ndim != 1 or labels.size == 0 or labels.dtype != np.bool_:
        raise UtilityError(f"Expected boolean labels in 1-D, got {labels.shape} of type {labels.dtype}.")
    if patients.shape != labels.shape or hours.shape != labels.shape:
        raise UtilityError(
            f"Expected a patient and an hour for each of {labels.size} rows, got {patients.shape} and {hours.shape}."
        )
    changes = patients[1:] != patients[:-1]
    starts = np.append(0, np.flatnonzero(changes) + 1)
    if np.unique(patients[starts]).size < starts.size:
        raise UtilityError("Expected each patient's rows together; some patient's are apart. Sort by patient and hour.")
    broken = np.flatnonzero(~changes & (np.diff(hours) != 1))
    if broken.size:
        raise UtilityError(
            f"Expected hours that rise by 1 within a patient; {broken.size} rows do not, the first is row "
            f"{broken[0] + 1}. Sort by patient and hour, and put unscored hours in without alarm."
        )
    return starts
