"""Shapley's definition by brute force, and the path-dependent worth of a coalition on a library's own nodes."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

Worth = Callable[[frozenset[int]], float]


def shapley_values(worth: Worth, players: int) -> list[float]:
    """Shapley 1953: the weighted mean of what a player adds to each coalition of the others."""
    return [_share(worth, player, players) for player in range(players)]


def expected_leaf(
    children: Callable[[int], Sequence[tuple[int, float, bool]] | None],
    feature: Callable[[int], int],
    value: Callable[[int], float],
    known: frozenset[int],
    node: int = 0,
) -> float:
    """What a tree is expected to say if only some features are known (Lundberg et al. 2020, algorithm 1).

    Args:
        children: of a node, each with its cover and whether the row goes there; None of a leaf.
        feature: that a node's test belongs to.
        value: of a leaf.
        known: the features whose values are known.
        node: where to begin.
    """
    found = children(node)
    if found is None:
        return value(node)
    if feature(node) in known:
        (taken,) = (child for child, _, goes in found if goes)
        return expected_leaf(children, feature, value, known, taken)
    total = sum(cover for _, cover, _ in found)
    return sum(cover / total * expected_leaf(children, feature, value, known, child) for child, cover, _ in found)


def _share(worth: Worth, player: int, players: int) -> float:
    others = [other for other in range(players) if other != player]
    return sum(
        (worth(frozenset((*coalition, player))) - worth(frozenset(coalition))) / (players * comb(players - 1, size))
        for size in range(players)
        for coalition in combinations(others, size)
    )
