"""The scoring nodes of a sum of trees: one operator over doubles, summed in double precision."""

from itertools import chain

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from training.export.builder import GraphBuilder
from training.export.double_scoring import add_double_tree_score
from training.export.trees import Tree, TreeEnsemble


def add_tree_score(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    """Add the nodes that give the scores [N, K], float32 or as the graph asks double, of float32[N, F] features.

    The kernel compares and sums in double and rounds once to float32, so a score is off by half a unit in the
    last place, whatever the leaf values are. A model without any split gets its constant instead: the kernel is
    never asked for a tree without a test. Each split and each leaf carries its cover as the operator's hit rate, from
    which a runtime can explain the score.
    """
    if not ensemble.trees:
        return _add_constant_score(graph, features, ensemble)
    if graph.double_scores:
        return add_double_tree_score(graph, features, ensemble)
    columns = ensemble.categories.add_columns(graph, features)
    return graph.node(
        "score/trees",
        "TreeEnsembleRegressor",
        graph.cast("score/features", columns, TensorProto.DOUBLE),
        domain="ai.onnx.ml",
        doc="Sum of the leaves reached, in double; thresholds are float32 values, rounded down in training; hit rates "
        "are covers, the weights of the training rows.",
        n_targets=ensemble.target_count,
        base_values_as_tensor=numpy_helper.from_array(ensemble.constant),
        **_nodes(ensemble.trees),
        **_leaves(ensemble.trees),
    )


def _add_constant_score(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    """Add the nodes that give every row the ensemble's constant, double[N, K]."""
    rows = graph.node("score/rows", "Shape", features, start=0, end=1)
    shape = graph.node("score/shape", "Concat", rows, graph.constant("score/one", [1], np.int64), axis=0)
    constant = graph.constant("score/constants", ensemble.constant.reshape(1, -1), np.float64)
    return graph.node("score/constant", "Expand", constant, shape, doc="No tree has a split.")


def _nodes(trees: tuple[Tree, ...]) -> dict[str, object]:
    """The trees' tests as the operator's parallel lists; in each tree the splits come first, then the leaves."""
    sizes = [(len(tree.column), len(tree.leaf_cover)) for tree in trees]

    def with_leaves(parts: list[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        zeros = (np.zeros(leaves, dtype=part.dtype) for part, (_, leaves) in zip(parts, sizes, strict=True))
        return np.concatenate([*chain.from_iterable(zip(parts, zeros, strict=True))])

    def child(index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.where(index < 0, len(index) - 1 - index, index)

    thresholds = with_leaves([tree.threshold.astype(np.float64) for tree in trees])
    covers = np.concatenate([*chain.from_iterable((tree.node_cover, tree.leaf_cover) for tree in trees)])
    return {
        "nodes_treeids": np.repeat(np.arange(len(trees)), [sum(size) for size in sizes]),
        "nodes_nodeids": np.concatenate([np.arange(sum(size)) for size in sizes]),
        "nodes_featureids": with_leaves([tree.column for tree in trees]),
        "nodes_modes": [mode for splits, leaves in sizes for mode in (*["BRANCH_LEQ"] * splits, *["LEAF"] * leaves)],
        "nodes_values_as_tensor": numpy_helper.from_array(thresholds),
        "nodes_hitrates_as_tensor": numpy_helper.from_array(covers),
        "nodes_truenodeids": with_leaves([child(tree.left) for tree in trees]),
        "nodes_falsenodeids": with_leaves([child(tree.right) for tree in trees]),
        "nodes_missing_value_tracks_true": with_leaves([tree.nan_goes_left.astype(np.int64) for tree in trees]),
    }


def _leaves(trees: tuple[Tree, ...]) -> dict[str, object]:
    """The leaves' values as the operator's parallel lists: tree, leaf by leaf, its targets in order."""
    counts = [tree.leaf_value.size for tree in trees]
    nodes = [len(tree.column) + np.repeat(np.arange(len(tree.leaf_cover)), len(tree.targets)) for tree in trees]
    return {
        "target_treeids": np.repeat(np.arange(len(trees)), counts),
        "target_nodeids": np.concatenate(nodes),
        "target_ids": np.concatenate([np.tile(tree.targets, len(tree.leaf_cover)) for tree in trees]),
        "target_weights_as_tensor": numpy_helper.from_array(
            np.concatenate([tree.leaf_value.ravel() for tree in trees])
        ),
    }
