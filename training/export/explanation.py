"""The explanation nodes of a sum of trees: exact path-dependent TreeSHAP from plain operators.

A game has conditions on features g (a = 1 where the row meets the condition, else 0; b = cover ratio) and ends, one or
two leaves with values v_e between which one more feature f chooses. If f is known the game is worth α = Σ_e v_e a_e, if
not β = Σ_e v_e b_e, each times the product over the other features of a if known and b if not. So with δ = α - β

    φ_f = δ ∫₀¹ Π_g (b_g + t (a_g - b_g)) dt
    φ_g = (a_g - b_g) ∫₀¹ (β + t δ) Π_{h ≠ g} (b_h + t (a_h - b_h)) dt,

polynomials in t of a degree of at most the number k of conditions, which ⌊k/2⌋ + 1 Gauss-Legendre nodes integrate
exactly. As a is 0 or 1, a factor is either met(t) = b + t (1 - b) or broken(t) = b (1 - t). With P = w Π_g factor_g at
a node of weight w

    φ_f = δ Σ_nodes P
    φ_g = Σ_nodes (β + t δ) P (a_g - b_g) / factor_g,   where (a - b) / factor is   -1 / (1 - t)       if broken,
                                                                                    (1 - b) / met(t)   if met.

The broken quotient is free of b, so one sum per game serves all its broken conditions. The product is taken as
exp(log w + Σ log met + Σ_broken log(broken / met)): in that order nothing cancels, since each broken condition only
makes the exponent smaller.

Everything that depends on the model alone is written as nodes over small constants (cover ratios, leaf values) in
double precision; a runtime folds these into tables when it loads the file, which therefore stays small.
"""

from dataclasses import dataclass

import numpy as np

from training.export.buckets import Bucket, bucketed
from training.export.builder import GraphBuilder
from training.export.conditions import add_conditions, add_gather
from training.export.game_tables import add_end_tables, add_tables
from training.export.games import LeafGame
from training.export.precision import Precision, precision_for
from training.export.sums import add_sums
from training.export.trees import TreeEnsemble


def add_tree_contributions(graph: GraphBuilder, features: str, games: list[LeafGame], ensemble: TreeEnsemble) -> str:
    """Add the nodes that give the contributions, float32[N, K * F] target by target, of float32[N, F] features."""
    if not games:
        return _add_nothing(graph, features, ensemble)
    conditions, buckets = bucketed(games)
    rows = graph.node("explain/rows", "Shape", features, start=0, end=1)
    per_row = graph.node("explain/per_row", "Concat", rows, graph.constant("explain/one", [1], np.int64), axis=0)
    precision = precision_for(ensemble)
    broken = add_conditions(graph, features, per_row, conditions, ensemble, precision)
    ends = _add_ends(graph, broken, per_row, buckets, precision)
    columns, products, first = [], [], 0
    for bucket in buckets:
        found = _Broken(conditions=broken, per_row=per_row, ends=ends, first_game=first, precision=precision)
        shares, product = _add_bucket(graph, found, f"explain/games{bucket.width}", bucket)
        columns.append(shares)
        products.append(product)
        first += bucket.game_count
    columns.append(_add_last_features(graph, products, ends, first))
    return add_sums(graph, columns, per_row, buckets, ensemble, precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Names of what the games' last features give; M games, bucket by bucket."""

    delta: str  # δ, [N, 1, M]
    expected: str  # β, [1, M]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """What a bucket is computed from: broken conditions [N, conditions], and its place among all games."""

    conditions: str
    per_row: str
    ends: _Ends
    first_game: int
    precision: Precision


def _add_nothing(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    rows = graph.node("explain/rows", "Shape", features, start=0, end=1)
    slots = graph.constant("explain/slots", [ensemble.target_count * ensemble.feature_count], np.int64)
    shape = graph.node("explain/shape", "Concat", rows, slots, axis=0)
    return graph.node("explain/none", "ConstantOfShape", shape, doc="No tree has a split; all are 0.")


def _add_ends(graph: GraphBuilder, broken: str, per_row: str, buckets: list[Bucket], precision: Precision) -> _Ends:
    """What the last feature's value adds to what was expected of it, game by game."""
    name = "explain/ends"
    tables = add_end_tables(graph, name, buckets, precision)
    games = sum(bucket.game_count for bucket in buckets)
    conditions = np.concatenate([bucket.end_condition for bucket in buckets], axis=1)
    flat = add_gather(
        graph, f"{name}/broken", broken, graph.indices(f"{name}/condition", conditions.reshape(1, -1)), per_row
    )
    by_end = graph.constant(f"{name}/by_end", [0, 2, games], np.int64)
    lost = graph.node(f"{name}/lost", "Mul", graph.node(f"{name}/by_ends", "Reshape", flat, by_end), tables.value)
    both = graph.constant(f"{name}/both", np.ones((1, 2)), precision.numpy)
    total = graph.node(f"{name}/all_lost", "MatMul", both, lost)
    return _Ends(
        delta=graph.node(f"{name}/delta", "Sub", tables.surplus, total, doc="δ, [N, 1, games]"),
        expected=tables.expected,
    )


def _add_bucket(graph: GraphBuilder, given: _Broken, name: str, bucket: Bucket) -> tuple[str, str]:
    """The contributions of one bucket's conditions, [N, width * games], and Σ_nodes P, [N, 1, games]."""
    width, games = bucket.condition.shape
    nodes = bucket.quadrature_nodes
    tables = add_tables(graph, name, bucket, given.precision)
    condition = graph.indices(f"{name}/condition", bucket.condition.reshape(1, -1))
    flat = add_gather(graph, f"{name}/broken", given.conditions, condition, given.per_row)
    ones_over_width = graph.constant(f"{name}/sum_over_features", np.ones((1, width)), given.precision.numpy)
    ones_over_nodes = graph.constant(f"{name}/sum_over_nodes", np.ones((1, nodes)), given.precision.numpy)

    def shaped(what: str, value: str, *shape: int) -> str:
        return graph.node(
            f"{name}/{what}", "Reshape", value, graph.constant(f"{name}/{what}/shape", [0, *shape], np.int64)
        )

    penalty = graph.node(f"{name}/penalty", "Mul", shaped("broken_at", flat, 1, width, games), tables.log_ratio)
    total = graph.node(f"{name}/penalties", "MatMul", ones_over_width, penalty)
    exponent = graph.node(f"{name}/exponent", "Add", total, tables.log_met)
    product = shaped("by_node", graph.node(f"{name}/product", "Exp", exponent, doc="P"), nodes, games)
    product_sum = graph.node(f"{name}/product_sum", "MatMul", ones_over_nodes, product)

    special = _add_last_factor(graph, given, name, tables.point, games)
    weighted = graph.node(f"{name}/weighted", "Mul", product, special, doc="(β + t δ) P, [N, nodes, games]")
    gained = graph.node(f"{name}/gained", "Mul", shaped("weighted_at", weighted, nodes, 1, games), tables.gain)
    gain = graph.node(f"{name}/gain", "MatMul", ones_over_nodes, shaped("gained_flat", gained, nodes, width * games))
    loss = graph.node(f"{name}/loss", "MatMul", tables.loss, weighted)
    one = graph.constant(f"{name}/one", 1.0, given.precision.numpy)
    broken = shaped("broken_rows", flat, width, games)
    met = graph.node(f"{name}/met", "Sub", one, broken)
    gained_if_met = graph.node(f"{name}/gained_if_met", "Mul", met, shaped("gain_at", gain, width, games))
    lost_if_broken = graph.node(f"{name}/lost_if_broken", "Mul", broken, loss)
    shares = graph.node(f"{name}/shares", "Add", gained_if_met, lost_if_broken, doc="φ_g, [N, positions, games]")
    return shaped("columns", shares, width * games), product_sum


def _add_last_factor(graph: GraphBuilder, given: _Broken, name: str, point: str, games: int) -> str:
    """β + t δ of a bucket's games, [N, nodes, games]."""
    start = graph.constant(f"{name}/first_game", [given.first_game], np.int64)
    stop = graph.constant(f"{name}/last_game", [given.first_game + games], np.int64)
    axis = graph.constant(f"{name}/game_axis", [-1], np.int64)
    delta = graph.node(f"{name}/delta", "Slice", given.ends.delta, start, stop, axis)
    expected = graph.node(f"{name}/expected", "Slice", given.ends.expected, start, stop, axis)
    return graph.node(f"{name}/last_factor", "Add", graph.node(f"{name}/t_delta", "Mul", delta, point), expected)


def _add_last_features(graph: GraphBuilder, products: list[str], ends: _Ends, games: int) -> str:
    """The contributions of all games' last features, [N, games]."""
    product = products[0] if len(products) == 1 else graph.node("explain/ends/products", "Concat", *products, axis=2)
    shares = graph.node("explain/ends/shares", "Mul", product, ends.delta, doc="φ_f, [N, 1, games]")
    shape = graph.constant("explain/ends/columns_shape", [0, games], np.int64)
    return graph.node("explain/ends/columns", "Reshape", shares, shape)
