"""How good probabilities are: discrimination, calibration and clinical use, with intervals over patients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import tally as measures
from training.performance import (
    DecisionCurve,
    OperatingEstimates,
    OperatingPoint,
    Performance,
    ReliabilityBin,
)
from training.resample import Estimate, Progress, bootstrap, estimate, number_patients
from training.tally import RATES, SATURATION, SUMMARIES, Ranking, Tally, rates, summarise

_NOTHING: Mapping[str, NDArray[np.bool_]] = MappingProxyType({})
# The decision curve is drawn at this many thresholds, from a tenth of the prevalence to ten times it.
_CURVE_POINTS = 60
_CURVE_REACH = 10.0
_CURVE_END = 0.95


class EvaluationError(ValueError):
    """Labels and probabilities from which the measure asked for does not follow."""


def auroc(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve; ties count one half."""
    return _value(measures.auroc, labels, probabilities)


def auprc(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Return the area under the precision-recall curve as average precision; chance gives the prevalence."""
    return _value(measures.auprc, labels, probabilities)


def brier(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Return the mean squared distance of probability and outcome."""
    return _value(measures.brier, labels, probabilities)


def calibration_slope(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Return the slope of a logistic regression of the outcome on the logit; below 1: too extreme.

    Weak calibration as in Van Calster et al. 2016 (doi:10.1016/j.jclinepi.2015.12.005) and 2019
    (doi:10.1186/s12916-019-1466-7).
    """
    return _value(measures.calibration_slope, labels, probabilities)


def calibration_intercept(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """Return calibration-in-the-large: the intercept with the slope fixed to 1 (the logit as offset).

    Not the intercept that is fitted beside the slope. Below 0: probabilities too high on the whole. Sources
    as `calibration_slope`.
    """
    return _value(measures.calibration_intercept, labels, probabilities)


def at_threshold(labels: NDArray[np.bool_], probabilities: NDArray[np.float64], threshold: float) -> OperatingPoint:
    """Return sensitivity, PPV, burden and net benefit of alarming where `probability >= threshold`."""
    tally = _ranking(labels, probabilities).tally()
    measures = rates(tally, _checked_thresholds([threshold]))[0]
    return OperatingPoint(threshold=threshold, **dict(zip(RATES, map(_or_none, measures), strict=True)))


def threshold_for_alert_rate(probabilities: NDArray[np.float64], alert_rate: float) -> float:
    """Return the lowest of these probabilities that, as a threshold, alarms in at most this share of rows."""
    if not 0 < alert_rate <= 1 or probabilities.size == 0:
        raise EvaluationError(f"Expected rows and an alert rate in (0, 1], got {probabilities.size}, {alert_rate}.")
    distinct, counts = np.unique(probabilities, return_counts=True)
    within = np.cumsum(counts[::-1])[::-1] <= alert_rate * probabilities.size
    if not within.any():
        raise EvaluationError(
            f"Expected a threshold with an alert rate of at most {alert_rate}; the highest probability "
            f"alone is shared by {counts[-1]} of {probabilities.size} rows. Allow a larger alert rate."
        )
    return float(distinct[within][0])


def reliability(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Cut the rows, by probability, into bins of nearly equal size; equal probabilities are never parted."""
    _check_rows(labels, probabilities)
    if bins < 1:
        raise EvaluationError(f"Expected at least one bin, got {bins}.")
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    bin_of_row = np.searchsorted(edges, probabilities, side="left")
    counts = np.bincount(bin_of_row)
    filled = np.flatnonzero(counts)
    mean_probability = np.bincount(bin_of_row, weights=probabilities)[filled] / counts[filled]
    observed = np.bincount(bin_of_row, weights=labels)[filled] / counts[filled]
    return tuple(
        ReliabilityBin(mean_probability=float(mean), observed=float(share), rows=int(rows))
        for mean, share, rows in zip(mean_probability, observed, counts[filled], strict=True)
    )


def decision_curve(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    thresholds: Sequence[float] | NDArray[np.float64],
    *,
    rules: Mapping[str, NDArray[np.bool_]] = _NOTHING,
) -> DecisionCurve:
    """Return net benefit over thresholds, against treating all or none and rules (name, bool[N] alarms)."""
    at = _checked_thresholds(thresholds)
    net_benefit = rates(_ranking(labels, probabilities).tally(), at)[:, RATES.index("net_benefit")]
    return DecisionCurve(
        thresholds=tuple(at.tolist()),
        model=tuple(net_benefit.tolist()),
        treat_all=_net_benefit_of(np.ones_like(labels), labels, at, "treat all"),
        rules={name: _net_benefit_of(alarms, labels, at, name) for name, alarms in rules.items()},
    )


def evaluate(
    labels: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    *,
    thresholds: Sequence[float],
    patients: NDArray[Any],
    rng: np.random.Generator,
    resamples: int = 200,
    subgroups: Mapping[str, NDArray[np.bool_]] = _NOTHING,
    rules: Mapping[str, NDArray[np.bool_]] = _NOTHING,
    progress: Progress | None = None,
) -> Performance:
    """Measure everything, with 95 % percentile intervals from a bootstrap over patients.

    Args:
        labels: bool[N] with both outcomes.
        probabilities: float64[N] in [0, 1].
        thresholds: operating points, each in (0, 1).
        patients: the patient of each row, any 1-D array of N; integers are fastest.
        rng: the only source of chance.
        resamples: how many samples of patients to draw, for each subgroup as well.
        subgroups: name and mask, bool[N]; one without both outcomes is refused by name.
        rules: name and alarms, bool[N], of what is used today, for the decision curve.
        progress: called with (done, resamples) after each resample of all rows.

    Raises:
        EvaluationError: shapes or types differ, a probability is NaN or outside [0, 1], a threshold is
            outside (0, 1), or only one outcome is present.
    """
    _check_outcomes(labels, probabilities)
    at = _checked_thresholds(thresholds)
    if patients.shape != labels.shape:
        raise EvaluationError(f"Expected a patient for each of {labels.size} rows, got {patients.shape}.")
    for name, alarms in rules.items():
        _check_mask(f"rule {name!r}", alarms, labels)
    refused = _refuse_subgroups(labels, subgroups)
    everyone = np.ones_like(labels)

    def measure_part(mask: NDArray[np.bool_], report: Progress | None = None) -> Performance:
        numbers, count = number_patients(patients[mask])
        part = _Part(labels=labels[mask], probabilities=probabilities[mask], numbers=numbers, patients=count)
        part_rules = {name: alarms[mask] for name, alarms in rules.items()}
        estimates = _estimates(part, at, rng, resamples, report)
        return _performance(part, at, estimates, part_rules, resamples)

    whole = measure_part(everyone, progress)
    parts = {name: measure_part(mask) for name, mask in subgroups.items() if name not in refused}
    return replace(whole, subgroups=parts, subgroups_refused=refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of the rows, with their patients numbered from 0."""

    labels: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    numbers: NDArray[np.intp]
    patients: int


def _estimates(
    part: _Part,
    thresholds: NDArray[np.float64],
    rng: np.random.Generator,
    resamples: int,
    progress: Progress | None,
) -> list[Estimate]:
    """Return the `SUMMARIES`, then the `RATES` of each threshold, with intervals: 6 + 7 T estimates."""
    ranking = _ranking(part.labels, part.probabilities)
    patient_of_rank = ranking.sort(part.numbers)

    def measure(multiplicities: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = multiplicities.astype(np.float64)[patient_of_rank]
        return _measures(ranking.tally(weights), thresholds, coarse=True)

    point = _measures(ranking.tally(), thresholds, coarse=False)
    samples = bootstrap(measure, patients=part.patients, resamples=resamples, rng=rng, progress=progress)
    return [estimate(value, samples[:, place]) for place, value in enumerate(point)]


def _performance(
    part: _Part,
    thresholds: NDArray[np.float64],
    estimates: list[Estimate],
    rules: Mapping[str, NDArray[np.bool_]],
    resamples: int,
) -> Performance:
    summaries = dict(zip(SUMMARIES, estimates, strict=False))
    near_0_or_1 = np.abs(part.probabilities - 0.5) > 0.5 - SATURATION
    curve_thresholds = _curve_thresholds(part.labels)
    return Performance(
        rows=part.labels.size,
        patients=part.patients,
        positives=int(part.labels.sum()),
        positive_patients=np.unique(part.numbers[part.labels]).size,
        saturated=int(near_0_or_1.sum()),
        resamples=resamples,
        prevalence=summaries["prevalence"],
        auroc=summaries["auroc"],
        auprc=summaries["auprc"],
        brier=summaries["brier"],
        calibration_slope=summaries["calibration_slope"],
        calibration_intercept=summaries["calibration_intercept"],
        operating_points=_operating_points(thresholds, estimates[len(SUMMARIES) :]),
        reliability=reliability(part.labels, part.probabilities),
        decision_curve=decision_curve(part.labels, part.probabilities, curve_thresholds, rules=rules),
    )


def _measures(tally: Tally, thresholds: NDArray[np.float64], *, coarse: bool) -> NDArray[np.float64]:
    return np.append(summarise(tally, coarse=coarse), rates(tally, thresholds))


def _operating_points(thresholds: NDArray[np.float64], estimates: list[Estimate]) -> tuple[OperatingEstimates, ...]:
    of_threshold = (estimates[start : start + len(RATES)] for start in range(0, len(estimates), len(RATES)))
    return tuple(
        OperatingEstimates(threshold=float(threshold), **dict(zip(RATES, measured, strict=True)))
        for threshold, measured in zip(thresholds, of_threshold, strict=True)
    )


def _refuse_subgroups(labels: NDArray[np.bool_], subgroups: Mapping[str, NDArray[np.bool_]]) -> dict[str, str]:
    """Return why a subgroup cannot be measured, for each that cannot."""
    refused = {}
    for name, mask in subgroups.items():
        _check_mask(f"subgroup {name!r}", mask, labels)
        positives = int((labels & mask).sum())
        if positives in {0, mask.sum()}:
            refused[name] = f"{mask.sum()} rows, {positives} of them positive; both outcomes are needed"
    return refused


def _curve_thresholds(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    prevalence = labels.mean()
    end = min(prevalence * _CURVE_REACH, _CURVE_END)
    return np.linspace(min(prevalence / _CURVE_REACH, end / 2), end, _CURVE_POINTS)


def _net_benefit_of(
    alarms: NDArray[np.bool_], labels: NDArray[np.bool_], thresholds: NDArray[np.float64], name: str
) -> tuple[float, ...]:
    """Return the net benefit per row of fixed alarms, weighed at each threshold."""
    _check_mask(f"rule {name!r}", alarms, labels)
    true_positive, false_positive = (alarms & labels).mean(), (alarms & ~labels).mean()
    return tuple((true_positive - false_positive * thresholds / (1 - thresholds)).tolist())


def _value(measure: Callable[[Tally], float], labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    value = measure(_ranking(labels, probabilities).tally())
    if np.isnan(value):
        raise EvaluationError(
            "Expected probabilities at which both outcomes mix; they separate the outcomes perfectly or are all "
            "the same, and then there is no calibration slope."
        )
    return value


def _ranking(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Ranking:
    _check_outcomes(labels, probabilities)
    return Ranking(labels, probabilities)


def _check_outcomes(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> None:
    _check_rows(labels, probabilities)
    if labels.all() or not labels.any():
        raise EvaluationError(
            f"Expected both outcomes among the labels, got {labels.sum()} positive of {labels.size} rows."
        )


def _check_rows(labels: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> None:
    if labels.ndim != 1 or labels.shape != probabilities.shape or labels.dtype != np.bool_:
        raise EvaluationError(
            f"Expected 1-D boolean labels and probabilities of one length, got {labels.shape} of type "
            f"{labels.dtype} and {probabilities.shape}."
        )
    wrong = ~((probabilities >= 0) & (probabilities <= 1))
    if wrong.any():
        raise EvaluationError(
            f"Expected probabilities in [0, 1]; {wrong.sum()} of {wrong.size} are outside or NaN, the "
            f"first in row {np.argmax(wrong)}."
        )


def _check_mask(what: str, mask: NDArray[np.bool_], labels: NDArray[np.bool_]) -> None:
    if mask.shape != labels.shape or mask.dtype != np.bool_:
        raise EvaluationError(
            f"Expected a boolean for each of {labels.size} rows in {what}, got {mask.shape} of type {mask.dtype}."
        )


def _checked_thresholds(thresholds: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.asarray(thresholds, dtype=np.float64)
    if at.ndim != 1 or not ((at > 0) & (at < 1)).all():
        raise EvaluationError(f"Expected thresholds between 0 and 1, both excluded, got {at.tolist()}.")
    return at


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
