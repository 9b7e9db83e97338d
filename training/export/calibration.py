"""Platt calibration as two numbers on the logit scale, so that a graph can carry it exactly."""

from dataclasses import dataclass
from math import isfinite

from training.export.errors import NotExportableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The calibrated logit is `slope * logit + intercept` (Platt 1999).

    An affine map commutes with Shapley values: contributions scale by `slope`, the base value is mapped like
    the logit. Exporters fold it into leaf values or weights in double precision.

    Raises:
        NotExportableError: the slope isn't positive (the calibrator would turn the ranking round) or a number
            isn't finite.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (isfinite(self.slope) and self.slope > 0 and isfinite(self.intercept)):
            raise NotExportableError(
                f"expected a finite positive calibration slope and a finite intercept, got slope={self.slope} and "
                f"intercept={self.intercept}; refit the calibrator on held-out rows with both classes"
            )

    @classmethod
    def identity(cls) -> "Calibration":
        """The calibration that changes nothing."""
        return cls(slope=1.0, intercept=0.0)
