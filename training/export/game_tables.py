"""The constant tables of a bucket of leaf games, written as nodes over cover ratios and leaf values.

A runtime folds these nodes once, in double precision, when it loads the file: the file holds one float32 per leaf
and feature instead of two per quadrature node.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from training.export.buckets import Bucket
from training.export.builder import GraphBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class GameTables:
    """Names of float32 tables; q = quadrature nodes, k = the bucket's width, n = its leaves."""

    log_met: str  # [q, 1, n]: log of the product if every condition is met
    log_ratio: str  # [q, k, n]: log(broken / met), what a broken condition adds
    weighted_value: str  # [q, 1, n]: the leaf's value times the node's weight
    gain: str  # [q, k, n]: the quotient if met less the quotient if broken
    loss: str  # [1, q]: the quotient if broken


def add_tables(graph: GraphBuilder, name: str, bucket: Bucket) -> GameTables:
    """Add the nodes that give a bucket's tables."""
    nodes, weights = _gauss_legendre(bucket.quadrature_nodes)
    at, weight = nodes.reshape(-1, 1, 1), weights.reshape(-1, 1, 1)
    point = graph.constant(f"{name}/t", at, np.float64)
    remainder = graph.constant(f"{name}/1-t", 1 - at, np.float64)
    axis = graph.constant(f"{name}/position_axis", [1], np.int64)
    one = graph.constant(f"{name}/1", 1.0, np.float64)

    ratio = graph.cast(f"{name}/b", graph.constant(f"{name}/cover_ratio", bucket.cover_ratio, np.float32), _DOUBLE)
    without = graph.node(f"{name}/1-b", "Sub", one, ratio)
    met = graph.node(f"{name}/factor_met", "Add", ratio, graph.node(f"{name}/t(1-b)", "Mul", point, without))
    broken = graph.node(f"{name}/factor_broken", "Mul", remainder, ratio)
    log_met = graph.node(f"{name}/log_factor_met", "Log", met)
    log_ratio = graph.node(
        f"{name}/log_broken_over_met", "Sub", graph.node(f"{name}/log_factor_broken", "Log", broken), log_met
    )
    gain = graph.node(
        f"{name}/quotient_difference",
        "Add",
        graph.node(f"{name}/quotient_met", "Div", without, met),
        graph.node(f"{name}/quotient_broken", "Div", one, remainder),
    )
    value = graph.constant(f"{name}/leaf_value", bucket.value.reshape(1, 1, -1), np.float64)
    weighted = graph.node(f"{name}/v_w", "Mul", value, graph.constant(f"{name}/w", weight, np.float64))
    return GameTables(
        log_met=graph.cast(
            f"{name}/log_met", graph.node(f"{name}/log_all_met", "ReduceSum", log_met, axis, keepdims=1), _FLOAT
        ),
        log_ratio=graph.cast(f"{name}/log_ratio", log_ratio, _FLOAT),
        weighted_value=graph.cast(f"{name}/weighted_value", weighted, _FLOAT),
        gain=graph.cast(f"{name}/gain_table", gain, _FLOAT),
        loss=graph.constant(f"{name}/loss_table", -1 / (1 - nodes.reshape(1, -1)), np.float32),
    )


_FLOAT, _DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def _gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2
