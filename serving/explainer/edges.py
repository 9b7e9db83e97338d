"""From the trees that a graph scores with to the edges that the kernel explains with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.onnx_file import OnnxFile, OnnxNode

EDGE = np.dtype(
    [
        ("parent", np.int16),
        ("earlier", np.int16),
        ("feature", np.uint16),
        ("missing", np.uint16),
        ("lower", np.float32),
        ("upper", np.float32),
        ("ratio", np.float32),
        ("value", np.float32),
    ]
)
MOST_EDGES, MOST_FEATURES = 2**15, 2**16  # of a tree; of a row
LANES = 8
SUM = "TreeEnsembleRegressor"
ML_DOMAIN = "ai.onnx.ml"


class NotExplainable(Exception):  # noqa: N818 - no error: the graph explains itself
    """The graph is no sum of trees on its features with known covers; the message says what it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edges:
    """All trees' edges as `bedside_trees` of kernel.c wants them.

    `edges` EDGE[E]; `starts` int64[trees + 1]; `first` int32[trees], where the outputs of the tree's target begin;
    `blocks` int32[trees]; `outputs`: targets × features.
    """

    edges: NDArray[np.void]
    starts: NDArray[np.int64]
    first: NDArray[np.int32]
    blocks: NDArray[np.int32]
    features: int
    outputs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trees:
    """The operator's parallel lists as Python lists; a node's children by their row in these lists."""

    roots: list[int]
    leaf: list[bool]
    feature: list[int]
    threshold: list[float]
    true: list[int]
    false: list[int]
    missing_is_true: list[bool]
    cover: list[float]
    values: list[dict[int, float]]  # of leaves, by target
    targets: int


def edges_of(graph: OnnxFile, features: int) -> Edges:
    """The edges of the one sum of trees that a graph scores with.

    Raises:
        NotExplainable: there is none, or several, or not on the features as they come, or without covers.
    """
    node = _sum_of_trees(graph)
    try:
        trees = _trees(node)
    except (KeyError, ValueError) as error:  # a child that is nowhere, lists of different lengths, another type
        raise NotExplainable(f"its trees do not fit together: {error}") from error
    _check_range(trees, features)
    edges: list[tuple[int | float, ...]] = []
    starts, first, blocks = [0], [], []
    for root in trees.roots:
        for target in sorted({target for leaf in _leaves(trees, root) for target in trees.values[leaf]}):
            mine, most = _tree(trees, root, target)
            if len(mine) >= MOST_EDGES:
                raise NotExplainable(f"a tree has {len(mine)} edges, more than {MOST_EDGES}")
            edges += mine
            starts.append(len(edges))
            first.append(target * features)
            blocks.append(-(-most // (2 * LANES)))
    return Edges(
        edges=np.array(edges, EDGE),
        starts=np.array(starts, np.int64),
        first=np.array(first, np.int32),
        blocks=np.array(blocks, np.int32),
        features=features,
        outputs=trees.targets * features,
    )


def _check_range(trees: _Trees, features: int) -> None:
    """Refuse what would lead the kernel outside its arrays, or nowhere."""
    if features > MOST_FEATURES:
        raise NotExplainable(f"it has {features} features, more than {MOST_FEATURES}")
    tested = [feature for feature, leaf in zip(trees.feature, trees.leaf, strict=True) if not leaf]
    if tested and not 0 <= min(tested) <= max(tested) < features:
        raise NotExplainable("its trees test features that a row does not have")
    if not {target for values in trees.values for target in values} <= set(range(trees.targets)):
        raise NotExplainable("its leaves belong to targets that it does not have")
    parents = [0] * len(trees.leaf)
    for child in (*trees.true, *trees.false):
        if child >= 0:
            parents[child] += 1
    if max(parents, default=0) > 1 or any(parents[root] for root in trees.roots):
        raise NotExplainable("its trees are none: a node has two ways to it")


def _sum_of_trees(graph: OnnxFile) -> OnnxNode:
    found = [node for node in graph.nodes if node.operator == SUM and node.domain == ML_DOMAIN]
    if len(found) != 1:
        raise NotExplainable(f"it has {len(found)} sums of trees, not one")
    sources = {name: node for node in graph.nodes for name in node.outputs}
    source = sources.get(found[0].inputs[0])
    if source is None or source.operator != "Cast" or source.inputs != ("features",):
        raise NotExplainable("its trees do not read the features as they come")
    return found[0]


def _trees(node: OnnxNode) -> _Trees:
    if "nodes_hitrates_as_tensor" not in node:
        raise NotExplainable("its trees have no covers")
    cover = node.tensor("nodes_hitrates_as_tensor").astype(np.float64)
    threshold = node.tensor("nodes_values_as_tensor").astype(np.float64)
    modes = node.strings("nodes_modes")
    if not set(modes) <= {b"BRANCH_LEQ", b"LEAF"}:
        raise NotExplainable("its trees have tests other than x <= t")
    if not (np.isfinite(cover) & (cover > 0)).all():
        raise NotExplainable("some of its nodes were reached by no training row")
    if (threshold.astype(np.float32) != threshold).any():
        raise NotExplainable("its thresholds are no float32 values")
    ids = list(zip(node.integers("nodes_treeids").tolist(), node.integers("nodes_nodeids").tolist(), strict=True))
    rows = {one: row for row, one in enumerate(ids)}
    values: list[dict[int, float]] = [{} for _ in ids]
    targets = zip(
        zip(node.integers("target_treeids").tolist(), node.integers("target_nodeids").tolist(), strict=True),
        node.integers("target_ids").tolist(),
        node.tensor("target_weights_as_tensor").tolist(),
        strict=True,
    )
    for where, target, weight in targets:
        values[rows[where]][target] = weight
    leaf = [mode == b"LEAF" for mode in modes]

    def children(attribute: str) -> list[int]:
        named = node.integers(attribute).tolist()
        return [
            -1 if is_leaf else rows[tree, child] for is_leaf, (tree, _), child in zip(leaf, ids, named, strict=True)
        ]

    return _Trees(
        roots=[row for row, (_, number) in enumerate(ids) if number == 0 and not leaf[row]],
        leaf=leaf,
        feature=node.integers("nodes_featureids").tolist(),
        threshold=threshold.tolist(),
        true=children("nodes_truenodeids"),
        false=children("nodes_falsenodeids"),
        missing_is_true=[value != 0 for value in node.integers("nodes_missing_value_tracks_true").tolist()],
        cover=cover.tolist(),
        values=values,
        targets=node.integer("n_targets"),
    )


def _leaves(trees: _Trees, root: int) -> Iterator[int]:
    pending = [root]
    while pending:
        row = pending.pop()
        if trees.leaf[row]:
            yield row
        else:
            pending += (trees.true[row], trees.false[row])


# What the path to a node says of a feature: its last edge counted from 1, lower, upper, whether missing passes, ratio.
_Tested = tuple[int, float, float, bool, float]
_UNTESTED: _Tested = (0, -np.inf, np.inf, True, 1.0)


def _tree(trees: _Trees, root: int, target: int) -> tuple[list[tuple[int | float, ...]], int]:
    """One tree's edges for one target, parents first, and the most features on any of its paths."""
    edges: list[tuple[int | float, ...]] = []
    most = 0
    pending: list[tuple[int, int, dict[int, _Tested]]] = [(root, 0, {})]
    while pending:
        split, parent, path = pending.pop()
        if trees.leaf[split]:
            continue
        feature, threshold = trees.feature[split], trees.threshold[split]
        earlier, lower, upper, missing, ratio = path.get(feature, _UNTESTED)
        for holds, child in ((True, trees.true[split]), (False, trees.false[split])):
            tested: _Tested = (
                len(edges) + 1,
                lower if holds else max(lower, threshold),
                min(upper, threshold) if holds else upper,
                missing and trees.missing_is_true[split] == holds,
                ratio * trees.cover[child] / trees.cover[split],
            )
            value = trees.values[child].get(target, 0.0)
            _, *bounds, passes, cover = tested
            edges.append((parent, earlier, feature, int(passes), *bounds, cover, value))
            longer = {**path, feature: tested}
            most = max(most, len(longer))
            pending.append((child, tested[0], longer))
    return edges, most
