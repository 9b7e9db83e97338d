"""The constant tables of a bucket of leaf games, written as nodes over cover ratios and leaf values.

A runtime folds these nodes once, in double precision, when it loads the file: the file holds one number per game and
condition instead of two per quadrature node.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from training.export.buckets import Bucket
from training.export.builder import GraphBuilder
from training.export.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class GameTables:
    """Names of tables; q = quadrature nodes, k = the bucket's width, n = its games."""

    log_met: str  # [q, 1, n]: log of the node's weight times the product if every condition is met
    log_ratio: str  # [q, k, n]: log(broken / met), what a broken condition adds
    gain: str  # [q, k, n]: the quotient if met
    loss: str  # [1, q]: the quotient if broken
    point: str  # [q, 1]: the nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTables:
    """Names of tables of the games' last features; n = all games, bucket by bucket."""

    value: str  # [2, n]: the ends' values
    expected: str  # [1, n]: the value if the last feature is unknown
    surplus: str  # [1, n]: the sum of the ends' values less the one expected


def add_tables(graph: GraphBuilder, name: str, bucket: Bucket, precision: Precision) -> GameTables:
    """Add the nodes that give a bucket's tables."""
    nodes, weights = _gauss_legendre(bucket.quadrature_nodes)
    at = nodes.reshape(-1, 1, 1)
    point = graph.constant(f"{name}/t", at, np.float64)
    remainder = graph.constant(f"{name}/1-t", 1 - at, np.float64)
    log_weight = graph.constant(f"{name}/log_w", np.log(weights).reshape(-1, 1, 1), np.float64)
    axis = graph.constant(f"{name}/position_axis", [1], np.int64)
    one = graph.constant(f"{name}/1", 1.0, np.float64)

    ratio = graph.cast(f"{name}/b", graph.constant(f"{name}/cover_ratio", bucket.cover_ratio, precision.numpy), _DOUBLE)
    without = graph.node(f"{name}/1-b", "Sub", one, ratio)
    met = graph.node(f"{name}/factor_met", "Add", ratio, graph.node(f"{name}/t(1-b)", "Mul", point, without))
    broken = graph.node(f"{name}/factor_broken", "Mul", remainder, ratio)
    log_each = graph.node(f"{name}/log_factor_met", "Log", met)
    log_ratio = graph.node(
        f"{name}/log_broken_over_met", "Sub", graph.node(f"{name}/log_factor_broken", "Log", broken), log_each
    )
    log_all = graph.node(f"{name}/log_all_met", "ReduceSum", log_each, axis, keepdims=1)
    gain = graph.node(f"{name}/quotient_met", "Div", without, met)
    return GameTables(
        log_met=graph.cast(
            f"{name}/log_met", graph.node(f"{name}/log_weighted", "Add", log_all, log_weight), precision.onnx
        ),
        log_ratio=graph.cast(f"{name}/log_ratio", log_ratio, precision.onnx),
        gain=graph.cast(f"{name}/gain_table", gain, precision.onnx),
        loss=graph.constant(f"{name}/loss_table", -1 / (1 - nodes.reshape(1, -1)), precision.numpy),
        point=graph.constant(f"{name}/points", nodes.reshape(-1, 1), precision.numpy),
    )


def add_end_tables(graph: GraphBuilder, name: str, buckets: list[Bucket], precision: Precision) -> EndTables:
    """Add the nodes that give the tables of the last features of all buckets' games."""
    axis = graph.constant(f"{name}/end_axis", [0], np.int64)
    values = np.concatenate([bucket.end_value for bucket in buckets], axis=1)
    ratios = np.concatenate([bucket.end_cover_ratio for bucket in buckets], axis=1)
    value = graph.constant(f"{name}/leaf_value", values, np.float64)
    ratio = graph.constant(f"{name}/cover_ratio", ratios, precision.numpy)
    weighed = graph.node(f"{name}/v_b", "Mul", value, graph.cast(f"{name}/b", ratio, _DOUBLE))
    expected = graph.node(f"{name}/expected_end", "ReduceSum", weighed, axis, keepdims=1)
    total = graph.node(f"{name}/both_ends", "ReduceSum", value, axis, keepdims=1)
    return EndTables(
        value=graph.cast(f"{name}/end_values", value, precision.onnx),
        expected=graph.cast(f"{name}/expected", expected, precision.onnx),
        surplus=graph.cast(f"{name}/surplus", graph.node(f"{name}/unexpected", "Sub", total, expected), precision.onnx),
    )


_DOUBLE = TensorProto.DOUBLE


def _gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2
