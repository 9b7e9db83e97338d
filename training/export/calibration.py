"""From a score to a calibrated probability: a line that folds into the score, or a map that stands behind it.

A line on the score is what contributions are of. Every other calibrator leaves the score, and so its explanation, as it
is, and maps it to the probability that is served.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from training.export.errors import NotExportableError

FloatArray = npt.NDArray[np.float64]
_Isotonic: TypeAlias = Any  # sklearn.isotonic.IsotonicRegression: scikit-learn publishes no types

# A probability of 0 or 1 has no logarithm; the nearest doubles that 1 - p tells apart from both stand in.
SMALLEST_SHARE = 2.0**-52


class Of(StrEnum):
    """What a calibrator is a function of."""

    SCORE = "score"  # what `decision_function` or `raw_score` gives
    PROBABILITY = "probability"  # what `predict_proba` gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The calibrated logit is `slope * logit + intercept` (Platt 1999).

    An affine map commutes with Shapley values: contributions scale by `slope`, the base value is mapped like
    the logit. Exporters fold it into leaf values or weights in double precision, and refuse a slope that
    isn't positive.

    Raises:
        ValueError: a number isn't finite.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        _require_finite(slope=self.slope, intercept=self.intercept)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidCalibration:
    """The calibrated log-odds are `slope * p + intercept` of the uncalibrated *probability* p.

    What `CalibratedClassifierCV(method="sigmoid")` fits to an estimator that has `predict_proba` alone.

    Raises:
        ValueError: a number isn't finite, or the slope isn't positive.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        _require_finite(slope=self.slope, intercept=self.intercept)
        if self.slope <= 0:
            raise ValueError(
                f"expected a positive calibration slope, got {self.slope}; check the labels it was fitted on"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaCalibration:
    """The calibrated log-odds are `a * ln(p) - b * ln(1 - p) + c` of the uncalibrated probability p.

    Kull, Silva Filho and Flach 2017, "Beta calibration", PMLR 54: 623-631. With a = b it is a line on the log-odds. A p
    of 0 or 1, which a forest may give, is taken for `SMALLEST_SHARE` or 1 minus it.

    Raises:
        ValueError: a number isn't finite, a or b is negative, or both are 0.
    """

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        _require_finite(a=self.a, b=self.b, c=self.c)
        if min(self.a, self.b) < 0 or max(self.a, self.b) == 0:
            raise ValueError(
                f"expected a, b >= 0 and one above it, got a={self.a} and b={self.b}; else ranks turn round"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IsotonicCalibration:
    """The probability is linear between thresholds, and constant below the first and above the last.

    Attributes:
        thresholds: float64[M], strictly ascending, of what `of` says.
        probabilities: float64[M] in [0, 1], not descending.
        of: the score or the uncalibrated probability.

    Raises:
        ValueError: arrays are not as described.
    """

    thresholds: FloatArray
    probabilities: FloatArray
    of: Of

    def __post_init__(self) -> None:
        x, y = self.thresholds, self.probabilities
        if x.ndim != 1 or x.shape != y.shape or len(x) == 0 or x.dtype != np.float64 or y.dtype != np.float64:
            raise ValueError(
                f"expected thresholds and probabilities as float64[M], M >= 1, got {x.dtype} {x.shape} and {y.dtype} "
                f"{y.shape}"
            )
        if not (np.isfinite(x).all() and (np.diff(x) > 0).all()):
            raise ValueError("expected finite, strictly ascending thresholds")
        with np.errstate(over="ignore"):
            if not np.isfinite(np.diff(y) / np.diff(x)).all():
                raise ValueError("expected thresholds with a finite slope between them; two are too close together")
        if not ((y >= 0).all() and (y <= 1).all() and (np.diff(y) >= 0).all()):
            raise ValueError("expected probabilities in [0, 1] that do not descend")

    @classmethod
    def of_sklearn(cls, isotonic: _Isotonic, of: Of) -> "IsotonicCalibration":
        """A fitted `IsotonicRegression(out_of_bounds="clip")` of scores in double precision.

        Raises:
            NotExportableError: it fails or gives NaN beyond its thresholds, descends, gives values that are no
                probabilities, or was fitted on float32.
        """
        if isotonic.out_of_bounds != "clip":
            raise NotExportableError(
                f"expected IsotonicRegression(out_of_bounds='clip'), got {isotonic.out_of_bounds!r}: there are rows "
                "beyond the scores that it was fitted on"
            )
        thresholds, probabilities = isotonic.X_thresholds_, isotonic.y_thresholds_
        if thresholds.dtype != np.float64 or probabilities.dtype != np.float64:
            raise NotExportableError(
                f"expected IsotonicRegression fitted on float64, got {thresholds.dtype}: it would round every score; "
                "fit estimator and calibrator on rows of float64"
            )
        try:
            return cls(thresholds=thresholds, probabilities=probabilities, of=of)
        except ValueError as error:
            raise NotExportableError(
                f"IsotonicRegression is no calibrator: {error}; fit it with increasing=True, y_min=0 and y_max=1"
            ) from error

    def probability(self, values: FloatArray) -> FloatArray:
        """The probabilities of values of what `of` says, same shape."""
        return np.asarray(np.interp(values, self.thresholds, self.probabilities))


BehindCalibrator: TypeAlias = SigmoidCalibration | BetaCalibration | IsotonicCalibration
Calibrator: TypeAlias = Calibration | BehindCalibrator


def _require_finite(**numbers: float) -> None:
    if not all(isfinite(value) for value in numbers.values()):
        got = " and ".join(f"{name}={value}" for name, value in numbers.items())
        raise ValueError(
            f"expected a finite calibration {' and '.join(numbers)}, got {got}; refit the calibrator on rows in which "
            "both outcomes mix"
        )


IDENTITY = Calibration(slope=1.0, intercept=0.0)
