"""Groups leaf games by the number of their features, so that each group is one dense block of arithmetic."""

from dataclasses import dataclass

import numpy as np

from training.export.trees import Condition, FloatArray, IntArray, LeafGame

# What one more block costs at N = 1 in ONNX Runtime, in element-wise multiplications (about 15 operators of 2 µs, at
# 6,000 multiplications per µs, of which each element takes four). Measured; it only shifts speed.
_BLOCK_COST = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Leaf games of at most `width` features, padded to it with a condition that every value meets.

    Arrays are [width, leaves]; padding has cover ratio 1 and feature -1.
    """

    condition: IntArray  # row in the table of distinct conditions
    cover_ratio: FloatArray
    feature: IntArray
    value: FloatArray  # [leaves]

    @property
    def width(self) -> int:
        """The number of features that each game of the bucket has room for."""
        return len(self.condition)

    @property
    def quadrature_nodes(self) -> int:
        """The fewest Gauss-Legendre nodes that integrate a polynomial of degree `width` - 1 exactly."""
        return -(-self.width // 2)


def always_met() -> Condition:
    """The condition that pads a game: every finite value and NaN meets it."""
    return Condition(feature=0, lower=-np.inf, upper=np.inf, nan_passes=True)


def bucketed(games: list[LeafGame]) -> tuple[list[Condition], list[Bucket]]:
    """The distinct conditions of all games, and the games in buckets that refer to them by row."""
    distinct = {always_met(): 0}
    for game in games:
        for condition in game.conditions:
            distinct.setdefault(condition, len(distinct))
    sizes = np.array([len(game.conditions) for game in games], dtype=np.int64)
    buckets, below = [], 0
    for width in bucket_widths(sizes):
        members = [game for game in games if below < len(game.conditions) <= width]
        buckets.append(_bucket(members, width, distinct))
        below = width
    return list(distinct), buckets


def bucket_widths(sizes: IntArray) -> list[int]:
    """The widths, ascending, that make the work of all buckets least, by dynamic programming."""
    widths = sorted(set(sizes.tolist()))
    count_at = {width: int(np.count_nonzero(sizes <= width)) for width in widths}
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for width in widths:
        options = [
            (
                cost
                + _BLOCK_COST
                + (count_at[width] - (count_at[chosen[-1]] if chosen else 0)) * width * -(-width // 2),
                chosen,
            )
            for cost, chosen in best
        ]
        cost, chosen = min(options, key=lambda option: option[0])
        best.append((cost, [*chosen, width]))
    return best[-1][1]


def _bucket(games: list[LeafGame], width: int, distinct: dict[Condition, int]) -> Bucket:
    condition = np.zeros((width, len(games)), dtype=np.int64)
    feature = np.full((width, len(games)), -1, dtype=np.int64)
    cover_ratio = np.ones((width, len(games)))
    for leaf, game in enumerate(games):
        size = len(game.conditions)
        condition[:size, leaf] = [distinct[met] for met in game.conditions]
        feature[:size, leaf] = [met.feature for met in game.conditions]
        cover_ratio[:size, leaf] = game.cover_ratios
    return Bucket(
        condition=condition,
        feature=feature,
        cover_ratio=cover_ratio,
        value=np.array([game.value for game in games]),
    )
