"""Calibration: two finite numbers."""

import pytest

from training.export import Calibration


@pytest.mark.parametrize(("slope", "intercept"), [(float("nan"), 0.0), (1.0, float("inf"))])
def test_a_number_that_is_not_finite_is_refused(slope: float, intercept: float) -> None:
    with pytest.raises(ValueError, match="finite calibration slope"):
        Calibration(slope=slope, intercept=intercept)
