"""The intermediate form: thresholds in float32, merged conditions, and the base value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.export import Calibration
from training.export.games import Condition, End, LeafGame, base_values, leaf_games
from training.export.trees import Tree, TreeEnsemble, round_down_to_float32

INF = float("inf")


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-2, 2))
def test_a_rounded_threshold_decides_as_the_double_for_every_float32_beside_it(threshold: float, steps: int) -> None:
    rounded = round_down_to_float32(np.array([threshold]))[0]
    value = np.clip(rounded, -np.finfo(np.float32).max, np.finfo(np.float32).max)
    with np.errstate(over="ignore"):
        for _ in range(abs(steps)):
            value = np.nextafter(value, np.float32(np.copysign(INF, steps)))
    if np.isfinite(value):
        assert bool(value <= rounded) == (float(value) <= threshold)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        pytest.param(0.1, np.nextafter(np.float32(0.1), np.float32(0)), id="nearest is above, so one step down"),
        pytest.param(0.3, np.nextafter(np.float32(0.3), np.float32(0)), id="the same for 0.3"),
        pytest.param(0.7, np.float32(0.7), id="nearest is below"),
        pytest.param(0.5, np.float32(0.5), id="exact"),
        pytest.param(1e300, np.finfo(np.float32).max, id="above the range: every finite value passes"),
        pytest.param(-1e300, np.float32(-INF), id="below the range: no finite value passes"),
    ],
)
def test_thresholds_are_rounded_down(threshold: float, expected: np.float32) -> None:
    assert round_down_to_float32(np.array([threshold]))[0] == expected


def test_the_splits_of_one_feature_merge_into_one_condition() -> None:
    assert leaf_games(_ENSEMBLE) == [
        LeafGame(ends=(_end(-2.0, 0.25, lower=2.0, upper=INF),), conditions=(), cover_ratios=()),
        LeafGame(
            ends=(_end(1.0, 0.375, lower=-INF, upper=1.0), _end(3.0, 0.375, lower=1.0, upper=2.0, nan_passes=True)),
            conditions=(),
            cover_ratios=(),
        ),
    ]


def test_the_base_value_is_the_mean_over_the_training_rows() -> None:
    expected = 0.5 + (3 * 1.0 + 3 * 3.0 + 2 * -2.0) / 8
    assert base_values(_ENSEMBLE).tolist() == pytest.approx([expected], abs=1e-15)


def test_calibration_maps_leaves_and_constant() -> None:
    calibrated = _ENSEMBLE.calibrated(Calibration(slope=2.0, intercept=-1.0))
    assert calibrated.trees[0].leaf_value.tolist() == [[2.0], [6.0], [-4.0]]
    assert calibrated.constant.tolist() == [0.0]


def _end(value: float, cover_ratio: float, *, lower: float, upper: float, nan_passes: bool = False) -> End:
    condition = Condition(feature=0, lower=lower, upper=upper, nan_passes=nan_passes)
    return End(condition=condition, cover_ratio=cover_ratio, value=value)


# x <= 2 (NaN left), then x <= 1 (NaN right): leaves of 3, 3 and 2 training rows.
_ENSEMBLE = TreeEnsemble(
    feature_count=1,
    trees=(
        Tree(
            column=np.array([0, 0]),
            threshold=np.array([2, 1], dtype=np.float32),
            nan_goes_left=np.array([True, False]),
            left=np.array([1, -1]),
            right=np.array([-3, -2]),
            node_cover=np.array([8.0, 6.0]),
            leaf_value=np.array([[1.0], [3.0], [-2.0]]),
            leaf_cover=np.array([3.0, 3.0, 2.0]),
        ),
    ),
    constant=np.array([0.5]),
)
