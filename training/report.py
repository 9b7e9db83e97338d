"""The report: everything measured of a model on its data sets, and the thresholds that follow from it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import Band, BandPerformance
from models.spec import ModelSpec, RiskBand, ThresholdRule
from training import calibrate, evaluate, split, utility
from training.cross_validation import OutOfFold, sigmoid
from training.dataset import Progress
from training.performance import OperatingEstimates, Performance
from training.resample import Estimate
from training.rows import Rows

# Thresholds tried for the utility: fine where risks are small.
UTILITY_THRESHOLDS = np.geomspace(1e-3, 0.5, 200)


class BandError(ValueError):
    """The bands' thresholds do not ascend on these data; the message names them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One estimator on one set of rows.

    `utility` is the challenge's normalised utility (Reyna 2020) with the alarm threshold, None where the model has
    no band chosen by it; `utility_curve` its value over `UTILITY_THRESHOLDS`.
    """

    performance: Performance
    utility: Estimate | None = None
    utility_curve: NDArray[np.float64] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = self.performance.as_dict()
        if self.utility is not None:
            plain["utility"] = {
                "value": self.utility.value,
                "lower": self.utility.lower,
                "upper": self.utility.upper,
            }
        return plain


def choose_bands(spec: ModelSpec, rows: Rows, probabilities: NDArray[np.float64]) -> tuple[Band, ...]:
    """The risk bands with the probabilities at which they begin, chosen on out-of-fold probabilities."""
    bands: list[Band] = []
    for band in spec.bands:
        lower, reason = (0.0, "the rest") if band.rule is None else _lower(band.rule, rows, probabilities)
        bands.append(Band(id=band.id, indicator=band.indicator, lower_probability=lower, reason=reason))
    return tuple(bands)


def require_ascending(bands: tuple[Band, ...]) -> None:
    """Each band begins above the one before it; a bundle in which one does not would never be served.

    Raises:
        BandError: one does not.
    """
    for below, band in pairwise(bands):
        if not below.lower_probability < band.lower_probability:
            raise BandError(
                f"Expected bands that ascend, but {band.id} ({band.reason}) begins at {band.lower_probability:.4g} and "
                f"{below.id} ({below.reason}) at {below.lower_probability:.4g}. Choose other rules in the spec."
            )


def _lower(rule: ThresholdRule, rows: Rows, probabilities: NDArray[np.float64]) -> tuple[float, str]:
    match rule.kind:
        case "best_utility":
            best = _best_threshold(rows, probabilities, np.ones_like(rows.labels))
            return best, "highest normalised utility (Reyna 2020) on out-of-fold probabilities"
        case "alert_rate":
            share = float(rule.value or 0)
            lower = evaluate.threshold_for_alert_rate(probabilities, share)
            return lower, f"alarms at no more than {100 * share:g} % of index times"
        case "times_base_rate":
            multiple = float(rule.value or 0)
            return multiple * float(rows.labels.mean()), f"{multiple:g} times the base rate"


def _best_threshold(rows: Rows, probabilities: NDArray[np.float64], keep: NDArray[np.bool_]) -> float:
    return utility.best_threshold(
        rows.labels[keep],
        probabilities[keep],
        rows.patients[keep],
        hours=rows.hours[keep],
        thresholds=UTILITY_THRESHOLDS,
    ).threshold


def has_utility(spec: ModelSpec) -> bool:
    """Whether the challenge's utility is measured: where a band is chosen by it."""
    return any(band.rule is not None and band.rule.kind == "best_utility" for band in spec.bands)


def measure_out_of_fold(
    spec: ModelSpec,
    rows: Rows,
    found: OutOfFold,
    bands: tuple[Band, ...],
    *,
    seed: int,
    resamples: int,
    progress: Progress,
) -> Measured:
    """Measure out-of-fold probabilities; the utility's threshold for each fold is chosen on the other folds."""
    alarms = None
    if has_utility(spec):
        alarms = np.empty_like(rows.labels)
        for fold in np.unique(found.folds):
            test = found.folds == fold
            alarms[test] = found.probabilities[test] >= _best_threshold(rows, found.probabilities, ~test)
    return _measure(rows, found.probabilities, alarms, bands, seed, resamples, progress)


def measure(
    spec: ModelSpec,
    rows: Rows,
    probabilities: NDArray[np.float64],
    bands: tuple[Band, ...],
    *,
    seed: int,
    resamples: int,
    progress: Progress,
) -> Measured:
    """Measure probabilities on rows that had no part in the model or its thresholds."""
    alarms = None
    if has_utility(spec):
        chosen = next(one for one in zip(spec.bands, bands, strict=True) if _by_utility(one[0]))[1]
        alarms = probabilities >= chosen.lower_probability
    return _measure(rows, probabilities, alarms, bands, seed, resamples, progress)


def _by_utility(band: RiskBand) -> bool:
    return band.rule is not None and band.rule.kind == "best_utility"


def _measure(
    rows: Rows,
    probabilities: NDArray[np.float64],
    alarms: NDArray[np.bool_] | None,
    bands: tuple[Band, ...],
    seed: int,
    resamples: int,
    progress: Progress,
) -> Measured:
    performance = evaluate.evaluate(
        rows.labels,
        probabilities,
        thresholds=[band.lower_probability for band in bands[1:]],
        patients=rows.patients,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        subgroups=rows.subgroups,
        progress=lambda done, total: progress("resampling patients", done, total),
    )
    if alarms is None:
        return Measured(performance=performance)
    estimate = utility.utility_estimate(
        rows.labels,
        alarms,
        rows.patients,
        hours=rows.hours,
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )
    curve = utility.utility_curve(
        rows.labels, probabilities, rows.patients, hours=rows.hours, thresholds=UTILITY_THRESHOLDS
    )
    return Measured(performance=performance, utility=estimate, utility_curve=curve)


def recalibrated(rows: Rows, logits: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Probabilities of a site after recalibration on its own patients: each half by the other half's."""
    half = split.patient_folds(rows.patients, rows.labels, folds=2, rng=np.random.default_rng(seed))
    probabilities = np.empty_like(logits)
    for one in (0, 1):
        test = half == one
        fitted = calibrate.fit_platt(logits[~test], rows.labels[~test])
        probabilities[test] = sigmoid(calibrate.apply(fitted, logits[test]))
    return probabilities


def band_performance(bands: tuple[Band, ...], points: tuple[OperatingEstimates, ...]) -> dict[str, BandPerformance]:
    """What a card says of an alarm in each band but the first."""
    return {
        band.id: BandPerformance(
            sensitivity=point.sensitivity.value,
            ppv=point.ppv.value,
            alert_rate=point.alert_rate.value,
            number_needed_to_evaluate=point.number_needed_to_evaluate.value,
        )
        for band, point in zip(bands[1:], points, strict=True)
    }
