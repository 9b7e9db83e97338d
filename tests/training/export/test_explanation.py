"""The explanation against Shapley's definition, by brute force over all coalitions of a small model's features."""

from itertools import combinations
from math import comb

import numpy as np
import onnxruntime
import pytest

from tests.training.export.examples import cohort, exported, trained
from training.export.buckets import bucket_widths, bucketed
from training.export.games import LeafGame, leaf_games
from training.export.lightgbm_reader import read_lightgbm
from training.export.parity import open_session, run_graph
from training.export.trees import Float32Array

FEATURES = 4


def test_contributions_are_the_shapley_values_of_the_path_dependent_game() -> None:
    rows, labels = cohort(features=FEATURES)
    model = trained(rows, labels, rounds=6)
    games = leaf_games(read_lightgbm(model))
    outputs = run_graph(open_session(exported(model, FEATURES)), rows[:12])
    expected = np.array([_shapley_values(games, row) for row in rows[:12]])
    np.testing.assert_allclose(outputs.contributions, expected, atol=2e-6)


def test_a_feature_in_no_tree_contributes_exactly_nothing() -> None:
    rows, labels = cohort()
    rows[:, 2] = 7.0
    outputs = run_graph(open_session(exported(trained(rows, labels), 5)), rows[:20])
    assert outputs.contributions[:, 2].tolist() == [0.0] * 20


def test_deep_trees_are_exact_too() -> None:
    """Chains of 20 features and more need more quadrature nodes and buckets than a usual model."""
    rows, labels = cohort(features=26, rows=3000, missing=0.05)
    model = trained(rows, labels, rounds=3, num_leaves=400, min_data_in_leaf=2, feature_fraction_bynode=0.2)
    sizes = np.array([len(game.conditions) for game in leaf_games(read_lightgbm(model))])
    assert sizes.max() >= 11
    outputs = run_graph(open_session(exported(model, 26)), rows[:20])
    np.testing.assert_allclose(outputs.contributions, model.predict(rows[:20], pred_contrib=True)[:, :-1], atol=5e-6)


def test_a_batch_gives_what_single_rows_give() -> None:
    rows, labels = cohort()
    session = open_session(exported(trained(rows, labels), 5))
    batch = session.run(None, {"features": rows[:40]})
    singles = [session.run(None, {"features": rows[at : at + 1]}) for at in range(40)]
    for column, output in enumerate(batch[:3]):
        np.testing.assert_allclose(output, np.concatenate([single[column] for single in singles]), atol=1e-7)


def test_a_runtime_that_folds_no_constants_gives_the_same() -> None:
    rows, labels = cohort()
    graph = exported(trained(rows, labels), 5)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    expected = open_session(graph).run(None, {"features": rows[:20]})
    for output, same in zip(plain.run(None, {"features": rows[:20]}), expected, strict=True):
        np.testing.assert_allclose(output, same, atol=1e-6)


def test_an_empty_batch_gives_empty_outputs() -> None:
    rows, labels = cohort()
    session = open_session(exported(trained(rows, labels), 5))
    logit, probability, contributions, base_value = session.run(None, {"features": rows[:0]})
    assert (logit.shape, probability.shape, contributions.shape, base_value.shape) == ((0,), (0,), (0, 5), (1,))


def test_the_two_leaves_of_a_split_are_one_game() -> None:
    rows, labels = cohort()
    ensemble = read_lightgbm(trained(rows, labels))
    games = leaf_games(ensemble)
    leaves = sum(len(tree.leaf_cover) for tree in ensemble.trees)
    pairs = sum(int(((tree.left < 0) & (tree.right < 0)).sum()) for tree in ensemble.trees)
    assert sum(len(game.ends) for game in games) == leaves
    assert sum(len(game.ends) == 2 for game in games) == pairs > 0
    assert all(game.last_feature not in {condition.feature for condition in game.conditions} for game in games)


def test_each_game_is_in_one_bucket_that_is_wide_enough() -> None:
    rows, labels = cohort()
    games = leaf_games(read_lightgbm(trained(rows, labels)))
    conditions, buckets = bucketed(games)
    assert sum(bucket.game_count for bucket in buckets) == len(games)
    assert sum(int((bucket.feature >= 0).sum()) for bucket in buckets) == sum(len(g.conditions) for g in games)
    assert len(conditions) == len(set(conditions))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([3] * 10 + [5] * 10, [5], id="few leaves share one bucket"),
        pytest.param([2] * 50_000 + [12] * 50_000, [2, 12], id="many leaves are worth two"),
        pytest.param([4], [4], id="one leaf"),
    ],
)
def test_bucket_widths_weigh_padding_against_the_cost_of_a_bucket(sizes: list[int], expected: list[int]) -> None:
    assert bucket_widths(np.array(sizes)) == expected


def _shapley_values(games: list[LeafGame], row: Float32Array) -> list[float]:
    """Shapley 1953: the weighted mean of what a feature adds to each coalition of the others."""
    values = []
    for feature in range(FEATURES):
        others = [other for other in range(FEATURES) if other != feature]
        total = 0.0
        for size in range(FEATURES):
            weight = 1 / (FEATURES * comb(FEATURES - 1, size))
            for coalition in combinations(others, size):
                added = _worth(games, row, {*coalition, feature}) - _worth(games, row, set(coalition))
                total += weight * added
        values.append(total)
    return values


def _worth(games: list[LeafGame], row: Float32Array, coalition: set[int]) -> float:
    """The expected score if only the coalition's values are known."""
    total = 0.0
    for game in games:
        for end in game.ends:
            reach = end.value
            conditions = zip((*game.conditions, end.condition), (*game.cover_ratios, end.cover_ratio), strict=True)
            for condition, ratio in conditions:
                value = float(row[condition.feature])
                met = condition.nan_passes if np.isnan(value) else condition.lower < value <= condition.upper
                reach *= float(met) if condition.feature in coalition else ratio
            total += reach
    return total
