"""A sum of trees in float32, and the leaf games that explain it: what every tree family is read into.

A row x scores `constant + Σ_trees leaf(x)`. A threshold is a double in the library and is rounded *down* to float32
here: for every float32 x, `x <= t` and `x <= down(t)` decide the same; rounding to the nearest flips rows.

The game of a leaf (see docs on the explanation, and Lundberg et al. 2020, "path-dependent" TreeSHAP): the tests of one
feature on the leaf's path are merged into one condition, an interval (lower, upper] and whether NaN passes, with the
product of the cover ratios along the path as the chance that an unknown value passes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.export.calibration import Calibration

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree with at least one split; node 0 is the root.

    `left` and `right` hold a node's index, or `-1 - leaf` for a leaf. A row goes left if `x <= threshold`, or if x is
    NaN and `nan_goes_left`. Covers are counts of training rows, all positive.
    """

    feature: IntArray  # [nodes]
    threshold: Float32Array  # [nodes]
    nan_goes_left: BoolArray  # [nodes]
    left: IntArray  # [nodes]
    right: IntArray  # [nodes]
    node_cover: FloatArray  # [nodes]
    leaf_value: FloatArray  # [leaves], logit scale
    leaf_cover: FloatArray  # [leaves]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEnsemble:
    """A sum of trees and a constant; one-leaf trees live in the constant."""

    feature_count: int
    trees: tuple[Tree, ...]
    constant: float

    def calibrated(self, calibration: Calibration) -> "TreeEnsemble":
        """The ensemble whose logit is the calibrated logit, folded in double precision."""
        return replace(
            self,
            trees=tuple(replace(tree, leaf_value=tree.leaf_value * calibration.slope) for tree in self.trees),
            constant=self.constant * calibration.slope + calibration.intercept,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a feature's value must meet to stay on a leaf's path."""

    feature: int
    lower: float  # float32 value, exclusive
    upper: float  # float32 value, inclusive
    nan_passes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafGame:
    """One leaf: its value, and per distinct feature of its path the condition and its cover ratio b in (0, 1]."""

    value: float
    conditions: tuple[Condition, ...]
    cover_ratios: tuple[float, ...]

    @property
    def expectation(self) -> float:
        """The leaf's share of the base value: its value times the chance of reaching it."""
        return self.value * float(np.prod(self.cover_ratios))


def round_down_to_float32(thresholds: FloatArray) -> Float32Array:
    """The largest float32 that isn't greater than each threshold: same shape, -inf below the float32 range."""
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > thresholds, below, nearest)


def leaf_games(ensemble: TreeEnsemble) -> list[LeafGame]:
    """The games of all leaves with a value other than zero, tree by tree."""
    return [game for tree in ensemble.trees for game in _games_of(tree) if game.value != 0.0]


def base_value(ensemble: TreeEnsemble, games: list[LeafGame]) -> float:
    """The logit that the explanation starts from: the expectation over the training rows' covers."""
    return ensemble.constant + float(np.sum([game.expectation for game in games]))


_Merged = dict[int, tuple[Condition, float]]


def _games_of(tree: Tree) -> Iterator[LeafGame]:
    pending: list[tuple[int, _Merged]] = [(0, {})]
    while pending:
        child, merged = pending.pop()
        if child < 0:
            yield LeafGame(
                value=float(tree.leaf_value[-1 - child]),
                conditions=tuple(condition for condition, _ in merged.values()),
                cover_ratios=tuple(ratio for _, ratio in merged.values()),
            )
            continue
        pending.append((int(tree.right[child]), _step(tree, child, merged, goes_left=False)))
        pending.append((int(tree.left[child]), _step(tree, child, merged, goes_left=True)))


def _step(tree: Tree, node: int, merged: _Merged, *, goes_left: bool) -> _Merged:
    """The path's conditions after one more test: interval cut, NaN passing only if it passes all, ratios multiplied."""
    feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
    child = int(tree.left[node] if goes_left else tree.right[node])
    cover = tree.leaf_cover[-1 - child] if child < 0 else tree.node_cover[child]
    everything = Condition(feature=feature, lower=-np.inf, upper=np.inf, nan_passes=True)
    before, ratio = merged.get(feature, (everything, 1.0))
    after = Condition(
        feature=feature,
        lower=before.lower if goes_left else max(before.lower, threshold),
        upper=min(before.upper, threshold) if goes_left else before.upper,
        nan_passes=before.nan_passes and bool(tree.nan_goes_left[node]) == goes_left,
    )
    return {**merged, feature: (after, ratio * float(cover / tree.node_cover[node]))}
