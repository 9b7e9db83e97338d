"""The scoring nodes of a sum of trees: one TreeEnsembleRegressor over doubles, summed in double precision."""

import numpy as np
from onnx import TensorProto, numpy_helper

from training.export.builder import GraphBuilder
from training.export.trees import Tree, TreeEnsemble


def add_tree_score(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    """Add the nodes that give the score, float32[N, 1], of float32[N, F] features.

    The kernel compares and sums in double and rounds once to float32, so the score is off by half a unit in the
    last place, whatever the leaf values are. A model without any split gets its constant instead: the kernel is
    never asked for a tree without a test.
    """
    if not ensemble.trees:
        rows = graph.node("score/rows", "Shape", features, start=0, end=1)
        shape = graph.node("score/shape", "Concat", rows, graph.constant("score/one", [1], np.int64), axis=0)
        constant = numpy_helper.from_array(np.array([ensemble.constant], dtype=np.float32))
        return graph.node("score/constant", "ConstantOfShape", shape, value=constant, doc="No tree has a split.")
    return graph.node(
        "score/trees",
        "TreeEnsembleRegressor",
        graph.cast("score/features", features, TensorProto.DOUBLE),
        domain="ai.onnx.ml",
        doc="Sum of the leaves reached, in double; thresholds are float32 values, rounded down in training.",
        n_targets=1,
        base_values_as_tensor=numpy_helper.from_array(np.array([ensemble.constant])),
        **_attributes(ensemble.trees),
    )


def _attributes(trees: tuple[Tree, ...]) -> dict[str, object]:
    """The trees as the operator's parallel lists; in each tree the splits come first, then the leaves."""
    node_counts = [len(tree.feature) for tree in trees]
    leaf_counts = [len(tree.leaf_value) for tree in trees]
    leaf_zeros = [np.zeros(count, dtype=np.int64) for count in leaf_counts]

    def with_leaves(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([piece for pair in zip(parts, leaf_zeros, strict=True) for piece in pair])

    def child(index: np.ndarray, nodes: int) -> np.ndarray:
        return np.where(index < 0, nodes - 1 - index, index)

    thresholds = with_leaves([tree.threshold.astype(np.float64) for tree in trees])
    values = np.concatenate([tree.leaf_value for tree in trees])
    return {
        "nodes_treeids": np.repeat(np.arange(len(trees)), np.add(node_counts, leaf_counts)),
        "nodes_nodeids": np.concatenate([np.arange(n + m) for n, m in zip(node_counts, leaf_counts, strict=True)]),
        "nodes_featureids": with_leaves([tree.feature for tree in trees]),
        "nodes_modes": [
            mode for n, m in zip(node_counts, leaf_counts, strict=True) for mode in (*["BRANCH_LEQ"] * n, *["LEAF"] * m)
        ],
        "nodes_values_as_tensor": numpy_helper.from_array(thresholds),
        "nodes_truenodeids": with_leaves([child(t.left, n) for t, n in zip(trees, node_counts, strict=True)]),
        "nodes_falsenodeids": with_leaves([child(t.right, n) for t, n in zip(trees, node_counts, strict=True)]),
        "nodes_missing_value_tracks_true": with_leaves([tree.nan_goes_left.astype(np.int64) for tree in trees]),
        "target_treeids": np.repeat(np.arange(len(trees)), leaf_counts),
        "target_nodeids": np.concatenate([n + np.arange(m) for n, m in zip(node_counts, leaf_counts, strict=True)]),
        "target_ids": np.zeros(len(values), dtype=np.int64),
        "target_weights_as_tensor": numpy_helper.from_array(values),
    }
