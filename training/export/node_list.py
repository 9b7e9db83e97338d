"""A tree as most libraries hold it, one list of nodes with the leaves among them, and as a `Tree`."""

from dataclasses import dataclass

import numpy as np

from training.export.errors import NotExportableError
from training.export.trees import BoolArray, Float32Array, FloatArray, IntArray, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeList:
    """Nodes in any order, the root first; where a node is a leaf only its cover and its value are read."""

    is_leaf: BoolArray  # [nodes]
    column: IntArray  # [nodes]
    threshold: Float32Array  # [nodes], as in `Tree`
    nan_goes_left: BoolArray  # [nodes]
    left: IntArray  # [nodes]
    right: IntArray  # [nodes]
    cover: FloatArray  # [nodes]
    value: FloatArray  # [nodes, T]
    targets: tuple[int, ...] = (0,)

    @property
    def is_one_leaf(self) -> bool:
        """Whether there is no split: such a tree lives in an ensemble's constant."""
        return len(self.is_leaf) == 1

    def tree(self) -> Tree:
        """The splits and leaves apart.

        Raises:
            NotExportableError: a node's cover isn't positive.
        """
        if not bool(np.all(self.cover > 0)):
            raise NotExportableError(
                "a node of a tree holds no training weight, so it has no cover to explain with; train without "
                "sample weights of 0"
            )
        splits, leaves = ~self.is_leaf, self.is_leaf
        place = np.where(leaves, -leaves.cumsum(dtype=np.int64), splits.cumsum(dtype=np.int64) - 1)
        return Tree(
            column=self.column[splits],
            threshold=self.threshold[splits],
            nan_goes_left=self.nan_goes_left[splits],
            left=place[self.left[splits]],
            right=place[self.right[splits]],
            node_cover=self.cover[splits],
            leaf_cover=self.cover[leaves],
            leaf_value=self.value[leaves],
            targets=self.targets,
        )


def summed(lists: list[NodeList], constant: FloatArray) -> tuple[tuple[Tree, ...], FloatArray]:
    """The trees that split, and the constant [K] with the values of those that don't."""
    total = constant.astype(np.float64)
    for nodes in lists:
        if nodes.is_one_leaf:
            total[list(nodes.targets)] += nodes.value[0]
    return tuple(nodes.tree() for nodes in lists if not nodes.is_one_leaf), total
