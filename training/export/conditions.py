"""The nodes that say which conditions of an ensemble's leaf games a row breaks."""

import numpy as np

from training.export.builder import GraphBuilder
from training.export.games import Condition
from training.export.precision import Precision
from training.export.trees import TreeEnsemble


def add_gather(graph: GraphBuilder, name: str, values: str, indices: str, per_row: str) -> str:
    """Pick columns for each row. GatherElements copies by element: ten times the speed of Gather here."""
    return graph.node(name, "GatherElements", values, graph.node(f"{name}/rows", "Expand", indices, per_row), axis=1)


def add_conditions(
    graph: GraphBuilder,
    features: str,
    per_row: str,
    conditions: list[Condition],
    ensemble: TreeEnsemble,
    precision: Precision,
) -> str:
    """1.0 where a row breaks a distinct condition, else 0.0: [N, conditions], intervals before sets."""
    intervals = [condition for condition in conditions if condition.categories.bits is None]
    outside = [(condition.feature, ~condition.categories) for condition in conditions[len(intervals) :]]
    broken = _add_intervals(graph, features, per_row, intervals, precision)
    if not outside:
        return broken
    not_in = ensemble.categories.add_memberships(graph, "explain/categories", features, outside)
    not_in = graph.cast("explain/categories/broken", not_in, precision.onnx)
    return graph.node("explain/conditions/all_broken", "Concat", broken, not_in, axis=1)


def _add_intervals(
    graph: GraphBuilder, features: str, per_row: str, conditions: list[Condition], precision: Precision
) -> str:
    name = "explain/conditions"
    tested = np.array([[condition.feature for condition in conditions]], dtype=np.int64)
    lower = graph.constant(f"{name}/lower", [c.lower for c in conditions], np.float32)
    upper = graph.constant(f"{name}/upper", [c.upper for c in conditions], np.float32)
    nan_passes = graph.constant(f"{name}/nan_passes", [c.nan_passes for c in conditions], np.bool_)
    value = add_gather(graph, f"{name}/value", features, graph.indices(f"{name}/feature", tested), per_row)
    above = graph.node(f"{name}/above", "Greater", value, lower)
    inside = graph.node(f"{name}/inside", "And", above, graph.node(f"{name}/below", "LessOrEqual", value, upper))
    passes = graph.node(f"{name}/missing", "And", graph.node(f"{name}/nan", "IsNaN", value), nan_passes)
    met = graph.node(f"{name}/met", "Or", inside, passes, doc="lower < x <= upper, or x is missing and may be.")
    return graph.cast(f"{name}/broken", graph.node(f"{name}/unmet", "Not", met), precision.onnx)
