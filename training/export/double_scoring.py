"""The scoring nodes of a sum of trees with scores in double precision, for a calibrator with steps behind them.

`TreeEnsembleRegressor` gives float32 whatever it adds up; its successor of ai.onnx.ml 5, `TreeEnsemble`, gives the type
of its input. It holds one value per leaf and has no place for covers in double precision, so a graph has it only where
a score rounded to float32 could fall on the other side of a step.
"""

from itertools import pairwise

import numpy as np
from onnx import TensorProto, numpy_helper

from training.export.builder import GraphBuilder
from training.export.trees import FloatArray, IntArray, Tree, TreeEnsemble

_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0


def add_double_tree_score(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    """Add the nodes that give the scores, double[N, K], of float32[N, F] features; some tree must have a split."""
    columns = ensemble.categories.add_columns(graph, features)
    total = graph.node(
        "score/trees",
        "TreeEnsemble",
        graph.cast("score/features", columns, TensorProto.DOUBLE),
        domain="ai.onnx.ml",
        doc="Sum of the leaves reached, in double; thresholds are float32 values, rounded down in training.",
        n_targets=ensemble.target_count,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        **_attributes(_one_target_each(ensemble)),
    )
    constant = graph.constant("score/constants", ensemble.constant.reshape(1, -1), np.float64)
    return graph.node("score/sum", "Add", total, constant)


def _one_target_each(ensemble: TreeEnsemble) -> list[tuple[Tree, int, FloatArray]]:
    """Each tree once for each of its targets, with its leaves' values for it."""
    return [(tree, target, tree.leaf_value[:, at]) for tree in ensemble.trees for at, target in enumerate(tree.targets)]


def _attributes(trees: list[tuple[Tree, int, FloatArray]]) -> dict[str, object]:
    """Splits of all trees behind each other, and leaves of all trees behind each other."""
    first_split = np.cumsum([0, *(len(tree.column) for tree, _, _ in trees)])
    first_leaf = np.cumsum([0, *(len(values) for _, _, values in trees)])

    def children(side: list[IntArray]) -> tuple[IntArray, IntArray]:
        """Where the children stand, and whether they are leaves."""
        places = [
            np.where(child < 0, leaf - 1 - child, split + child)
            for child, split, leaf in zip(side, first_split, first_leaf, strict=False)
        ]
        return np.concatenate(places), np.concatenate([(child < 0).astype(np.int64) for child in side])

    true_at, true_is_leaf = children([tree.left for tree, _, _ in trees])
    false_at, false_is_leaf = children([tree.right for tree, _, _ in trees])
    thresholds = np.concatenate([tree.threshold for tree, _, _ in trees]).astype(np.float64)
    targets = [
        np.full(stop - start, target) for (_, target, _), (start, stop) in zip(trees, pairwise(first_leaf), strict=True)
    ]
    return {
        "tree_roots": first_split[:-1],
        "nodes_featureids": np.concatenate([tree.column for tree, _, _ in trees]),
        "nodes_modes": numpy_helper.from_array(np.full(len(thresholds), _LESS_OR_EQUAL, dtype=np.uint8)),
        "nodes_splits": numpy_helper.from_array(thresholds),
        "nodes_truenodeids": true_at,
        "nodes_trueleafs": true_is_leaf,
        "nodes_falsenodeids": false_at,
        "nodes_falseleafs": false_is_leaf,
        "nodes_missing_value_tracks_true": np.concatenate([tree.nan_goes_left for tree, _, _ in trees]).astype(
            np.int64
        ),
        "leaf_targetids": np.concatenate(targets),
        "leaf_weights": numpy_helper.from_array(np.concatenate([values for _, _, values in trees])),
    }
