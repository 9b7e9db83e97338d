"""What a tree says before anything is known, and its leaves' values without it.

Adding a constant to all leaves of a tree moves its expectation and no contribution. The trees of an outcome around
250,000 have leaves around 250,000, whose games cancel almost entirely: in float32 little would be left of a
contribution of 1. So a tree's expectation is taken off its leaves where it is large beside what differs.
"""

import numpy as np

from training.export.trees import FloatArray, Tree

# Below this share of the largest leaf value, what differs between leaves is worth taking the mean off.
_SMALL_SPREAD = 0.25
# Counts of rows add up exactly, sums of weights to a few units in the last place. Where covers don't add up, a constant
# isn't the same at every node, and leaves keep their values.
_COVER_TOLERANCE = 1e-9


def expected_values(tree: Tree) -> FloatArray:
    """The mean over the training rows' covers of each of the tree's T targets, float64[T]."""
    return np.asarray(_reach(tree) @ tree.leaf_value)


def centred_values(tree: Tree) -> FloatArray:
    """The leaves' values less their expectation where that is worth it, float64[leaves, T]."""
    centred = tree.leaf_value - expected_values(tree)
    small = np.abs(centred).max(axis=0) < _SMALL_SPREAD * np.abs(tree.leaf_value).max(axis=0)
    return np.where(small & _adds_up(tree), centred, tree.leaf_value)


def _reach(tree: Tree) -> FloatArray:
    """Per leaf the product of the cover ratios on its path."""
    reach = np.ones(len(tree.leaf_cover))
    pending = [(0, 1.0)]
    while pending:
        node, share = pending.pop()
        for child in (int(tree.left[node]), int(tree.right[node])):
            cover = tree.leaf_cover[-1 - child] if child < 0 else tree.node_cover[child]
            below = share * float(cover / tree.node_cover[node])
            if child < 0:
                reach[-1 - child] = below
            else:
                pending.append((child, below))
    return reach


def _adds_up(tree: Tree) -> bool:
    """Whether each split's cover is the sum of its children's."""
    sides = [
        np.where(child < 0, tree.leaf_cover[np.where(child < 0, -1 - child, 0)], tree.node_cover[np.maximum(child, 0)])
        for child in (tree.left, tree.right)
    ]
    return bool(np.all(np.abs(sides[0] + sides[1] - tree.node_cover) <= _COVER_TOLERANCE * tree.node_cover))
