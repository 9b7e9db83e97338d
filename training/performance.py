"""The account of a set of rows: every measure with its interval, as plain frozen data."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from training.resample import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What happens if `probability >= threshold` alarms; None where undefined (no alarm, so no PPV)."""

    threshold: float
    sensitivity: float | None
    specificity: float | None
    ppv: float | None
    npv: float | None
    alert_rate: float | None
    number_needed_to_evaluate: float | None
    net_benefit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingEstimates:
    """An `OperatingPoint` with intervals."""

    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    alert_rate: Estimate
    number_needed_to_evaluate: Estimate
    net_benefit: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Rows of neighbouring probability: their mean probability and the share that was positive."""

    mean_probability: float
    observed: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCurve:
    """Net benefit per row at each threshold; to treat none is 0 everywhere. `rules` are alarms used today."""

    thresholds: tuple[float, ...]
    model: tuple[float, ...]
    treat_all: tuple[float, ...]
    rules: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Everything that is reported about one set of rows.

    `saturated` counts probabilities within 2^-24 of 0 or 1, whose logit is clipped there. `subgroups_refused`
    names the subgroups without a number, with the reason.
    """

    rows: int
    patients: int
    positives: int
    positive_patients: int
    saturated: int
    resamples: int
    prevalence: Estimate
    auroc: Estimate
    auprc: Estimate
    brier: Estimate
    calibration_slope: Estimate
    calibration_intercept: Estimate
    operating_points: tuple[OperatingEstimates, ...]
    reliability: tuple[ReliabilityBin, ...]
    decision_curve: DecisionCurve
    subgroups: dict[str, "Performance"] = field(default_factory=dict)
    subgroups_refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, in the order of the fields."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain
