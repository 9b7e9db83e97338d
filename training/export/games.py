"""The games of an ensemble's leaves, whose Shapley values are its contributions.

The game of a leaf (see docs on the explanation, and Lundberg et al. 2020, "path-dependent" TreeSHAP): the tests of one
feature on the leaf's path are merged into one condition, an interval (lower, upper] and whether NaN passes, or a set of
categories, with the product of the cover ratios along the path as the chance that an unknown value passes.

Two leaves of one split differ in its feature alone, so they are one game: the features before it are conditions, and
the split's own feature chooses between the leaves' values. Half the leaves of a grown tree are in such pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from training.export.categories import EVERY_CATEGORY, CategorySet
from training.export.expectations import centred_values, expected_values
from training.export.trees import FloatArray, Tree, TreeEnsemble


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a feature's value must meet to stay on a leaf's path: an interval, or a set where it is categorical."""

    feature: int
    lower: float  # float32 value, exclusive
    upper: float  # float32 value, inclusive
    nan_passes: bool
    categories: CategorySet = EVERY_CATEGORY


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A leaf of a game: its value, reached if the last feature meets the condition, or if unknown with a chance."""

    condition: Condition
    cover_ratio: float  # in (0, 1]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafGame:
    """One leaf, or the two leaves of a split, for one target.

    Attributes:
        ends: the leaves, one or two; their conditions are on one feature, that of the last split.
        conditions: on each other feature of the path.
        cover_ratios: of these conditions, in (0, 1].
        target: that the leaves add to.
    """

    ends: tuple[End, ...]
    conditions: tuple[Condition, ...]
    cover_ratios: tuple[float, ...]
    target: int = 0

    @property
    def last_feature(self) -> int:
        """The feature that chooses between the ends."""
        return self.ends[0].condition.feature


def leaf_games(ensemble: TreeEnsemble) -> list[LeafGame]:
    """The games of all leaves with a value other than zero, tree by tree; each tree's mean may be off."""
    return [game for tree in ensemble.trees for game in _games_of(tree, ensemble)]


def base_values(ensemble: TreeEnsemble) -> FloatArray:
    """The scores that the explanation starts from: the expectation over the training rows' covers, float64[K]."""
    totals = ensemble.constant.copy()
    for tree in ensemble.trees:
        totals[list(tree.targets)] += expected_values(tree)
    return totals


_Merged = dict[int, tuple[Condition, float]]


def _games_of(tree: Tree, ensemble: TreeEnsemble) -> Iterator[LeafGame]:
    values = centred_values(tree).tolist()
    pending: list[tuple[int, _Merged]] = [(0, {})]
    while pending:
        node, merged = pending.pop()
        leaves = []
        for child, goes_left in ((int(tree.left[node]), True), (int(tree.right[node]), False)):
            condition, ratio = _step(tree, node, merged, ensemble, goes_left=goes_left)
            if child >= 0:
                pending.append((child, {**merged, condition.feature: (condition, ratio)}))
            else:
                leaves.append((condition, ratio, values[-1 - child]))
        yield from _ended(leaves, merged, tree.targets)


def _ended(
    leaves: list[tuple[Condition, float, list[float]]], merged: _Merged, targets: tuple[int, ...]
) -> Iterator[LeafGame]:
    """The games, target by target, of a split's leaves behind the conditions before it."""
    if not leaves:
        return
    last = leaves[0][0].feature
    others = [both for feature, both in merged.items() if feature != last]
    for at, target in enumerate(targets):
        if any(values[at] for _, _, values in leaves):
            yield LeafGame(
                ends=tuple(
                    End(condition=condition, cover_ratio=ratio, value=values[at]) for condition, ratio, values in leaves
                ),
                conditions=tuple(condition for condition, _ in others),
                cover_ratios=tuple(ratio for _, ratio in others),
                target=target,
            )


def _step(
    tree: Tree, node: int, merged: _Merged, ensemble: TreeEnsemble, *, goes_left: bool
) -> tuple[Condition, float]:
    """The condition of a split's feature after its test: narrowed to what passes it too, ratios multiplied."""
    column = int(tree.column[node])
    child = int(tree.left[node] if goes_left else tree.right[node])
    cover = tree.leaf_cover[-1 - child] if child < 0 else tree.node_cover[child]
    test = ensemble.categories.tests[column - ensemble.feature_count] if column >= ensemble.feature_count else None
    feature = column if test is None else test.feature
    everything = Condition(feature=feature, lower=-np.inf, upper=np.inf, nan_passes=True)
    before, ratio = merged.get(feature, (everything, 1.0))
    if test is None:
        after = _cut(before, float(tree.threshold[node]), bool(tree.nan_goes_left[node]), goes_left=goes_left)
    else:
        after = replace(before, categories=before.categories & (test.left if goes_left else ~test.left))
    return after, ratio * float(cover / tree.node_cover[node])


def _cut(before: Condition, threshold: float, nan_goes_left: bool, *, goes_left: bool) -> Condition:  # noqa: FBT001
    """The interval cut at a threshold; NaN passes only if it passes all tests."""
    return Condition(
        feature=before.feature,
        lower=before.lower if goes_left else max(before.lower, threshold),
        upper=min(before.upper, threshold) if goes_left else before.upper,
        nan_passes=before.nan_passes and nan_goes_left == goes_left,
    )
