"""A sum of trees in float32: what every tree family is read into.

A row x scores `constant + Σ_trees leaf(x)`. A threshold is a double in the library and is rounded *down* to float32
here: for every float32 x, `x <= t` and `x <= down(t)` decide the same; rounding to the nearest flips rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.export.calibration import Calibration
from training.export.categories import NO_TESTS, CategoryTests

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree with at least one split; node 0 is the root.

    `left` and `right` hold a node's index, or `-1 - leaf` for a leaf. A row goes left if `x <= threshold`, or if x is
    NaN and `nan_goes_left`, where x is the value of a column: feature f for a column f < F, else the 0/1 answer to the
    categorical test F - f, never NaN. Covers are weights of training rows, all positive.
    """

    column: IntArray  # [nodes]
    threshold: Float32Array  # [nodes]
    nan_goes_left: BoolArray  # [nodes]
    left: IntArray  # [nodes]
    right: IntArray  # [nodes]
    node_cover: FloatArray  # [nodes]
    leaf_cover: FloatArray  # [leaves]
    leaf_value: FloatArray  # [leaves, T]
    targets: tuple[int, ...] = (0,)  # the T of K targets that the tree adds to


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEnsemble:
    """A sum of trees and a constant for each of K targets; one-leaf trees live in the constant."""

    feature_count: int
    trees: tuple[Tree, ...]
    constant: FloatArray  # [K]
    categories: CategoryTests = NO_TESTS

    @property
    def target_count(self) -> int:
        """The number of targets K."""
        return len(self.constant)

    def calibrated(self, calibration: Calibration) -> "TreeEnsemble":
        """The ensemble whose scores are the calibrated scores, folded in double precision."""
        return replace(
            self,
            trees=tuple(replace(tree, leaf_value=tree.leaf_value * calibration.slope) for tree in self.trees),
            constant=self.constant * calibration.slope + calibration.intercept,
        )


def round_down_to_float32(thresholds: FloatArray) -> Float32Array:
    """The largest float32 that isn't greater than each threshold: same shape, -inf below the float32 range."""
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > thresholds, below, nearest)
