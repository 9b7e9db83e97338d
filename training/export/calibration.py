"""Platt calibration as two numbers on the logit scale, so that a graph can carry it exactly."""

from dataclasses import dataclass
from math import isfinite


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
        if not (isfinite(self.slope) and isfinite(self.intercept)):
            raise ValueError(
                f"expected a finite calibration slope and intercept, got slope={self.slope} and "
                f"intercept={self.intercept}; refit the calibrator on rows in which both outcomes mix"
            )


IDENTITY = Calibration(slope=1.0, intercept=0.0)
