"""The nodes that add up all games' contributions by target and feature."""

import numpy as np
from onnx import TensorProto

from training.export.buckets import Bucket
from training.export.builder import GraphBuilder
from training.export.conditions import add_gather
from training.export.precision import Precision
from training.export.trees import IntArray, TreeEnsemble

# Contributions are summed per feature in runs of this length in float32, and the runs in double: rounding grows with
# the run, not with the model.
_RUN = 64


def add_sums(
    graph: GraphBuilder,
    blocks: list[str],
    per_row: str,
    buckets: list[Bucket],
    ensemble: TreeEnsemble,
    precision: Precision,
) -> str:
    """Sum all games' contributions by target and feature: runs of equal length first, then the runs of each.

    `blocks` hold the buckets' columns [N, width * games] in their order, then the last features' of all games.
    """
    zero = graph.constant("explain/zero", [[0.0]], precision.numpy)
    nothing = graph.node("explain/nothing", "Expand", zero, per_row, doc="What fills up a feature's last run.")
    columns = graph.node("explain/columns", "Concat", *blocks, nothing, axis=1)
    runs, owners = _runs(_slots(buckets, ensemble.feature_count))
    picked = add_gather(
        graph, "explain/by_feature", columns, graph.indices("explain/run", runs.reshape(1, -1)), per_row
    )
    shape = graph.constant("explain/runs_shape", [0, len(owners), _RUN], np.int64)
    in_runs = graph.node("explain/in_runs", "Reshape", picked, shape)
    axis = graph.constant("explain/run_axis", [2], np.int64)
    run_sums = graph.node("explain/run_sums", "ReduceSum", in_runs, axis, keepdims=0)
    slots = ensemble.target_count * ensemble.feature_count
    zeros = graph.constant("explain/zeros", np.zeros((1, slots)), np.float64)
    start = graph.node("explain/start", "Expand", zeros, per_row)
    owner = graph.node("explain/owners", "Expand", graph.indices("explain/owner", owners.reshape(1, -1)), per_row)
    sums = graph.node(
        "explain/sums",
        "ScatterElements",
        start,
        owner,
        graph.cast("explain/run_sums/double", run_sums, TensorProto.DOUBLE),
        axis=1,
        reduction="add",
        doc="SHAP values of the score.",
    )
    return graph.cast("explain/float32", sums, TensorProto.FLOAT)


def _slots(buckets: list[Bucket], feature_count: int) -> IntArray:
    """Where each column is added: target * F + feature, or -1 for padding."""
    of_conditions = [
        np.where(bucket.feature < 0, -1, bucket.target * feature_count + bucket.feature).ravel() for bucket in buckets
    ]
    of_ends = [bucket.target * feature_count + bucket.last_feature for bucket in buckets]
    return np.concatenate([*of_conditions, *of_ends])


def _runs(slots: IntArray) -> tuple[IntArray, IntArray]:
    """Columns grouped by slot in runs of `_RUN`, int64[runs, _RUN], and each run's slot, int64[runs].

    A slot's last run is filled up with the column behind the last one, which holds zeros.
    """
    runs, owners = [], []
    order = np.argsort(slots, kind="stable")
    used, counts = np.unique(slots, return_counts=True)
    for slot, mine in zip(used, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        if slot < 0:
            continue
        count = -(-len(mine) // _RUN)
        filler = np.full(count * _RUN - len(mine), len(slots), dtype=np.int64)
        runs.append(np.concatenate([mine, filler]).reshape(count, _RUN))
        owners.append(np.full(count, slot, dtype=np.int64))
    return np.concatenate(runs), np.concatenate(owners)
