"""Permutation SHAP: what it estimates is what enumerating every coalition gives, and it says how far off it may be."""

from collections.abc import Callable, Iterator
from itertools import combinations
from math import factorial

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.permutation import CHUNK_ROWS, Float32Array, FloatArray, PermutationExplanation, Score, explain

FEATURES = 6
# Two-sided 95 % of Student's t with 31 degrees of freedom: 32 pairs.
T_95_OF_32_PAIRS = 2.040


def additive(rows: Float32Array) -> FloatArray:
    values = rows.astype(np.float64)
    total: FloatArray = np.where(np.isnan(values), -0.7, np.sin(values * np.arange(1, FEATURES + 1))).sum(axis=1)
    return total


def pairwise(rows: Float32Array) -> FloatArray:
    values = np.where(np.isnan(rows), 1.5, rows).astype(np.float64)
    product: FloatArray = (values[:, :-1] * values[:, 1:]).sum(axis=1) - values[:, 0] ** 2
    return product


def entangled(rows: Float32Array) -> FloatArray:
    """Every feature interacts with every other, missing ones too."""
    values = np.where(np.isnan(rows), 0.4, rows).astype(np.float64)
    product: FloatArray = (
        np.prod(1 + 0.5 * np.tanh(values), axis=1) + np.isnan(rows[:, 0]) * values[:, 1] * values[:, 2]
    )
    return product


def network() -> bytes:
    """A graph without contributions: a missing value becomes 0 with its indicator, then one hidden layer."""
    rng = np.random.default_rng(5)
    weights = {
        "first": rng.normal(size=(2 * FEATURES, 8)),
        "second": rng.normal(size=(8, 1)),
        "zero": np.zeros(1),
    }
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "features"], ["present"]),
        helper.make_node("Cast", ["missing"], ["indicator"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["present", "indicator"], ["wide"], axis=1),
        helper.make_node("MatMul", ["wide", "first"], ["sums"]),
        helper.make_node("Tanh", ["sums"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["column"]),
        helper.make_node("Reshape", ["column", "all"], ["logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["N"])],
        [
            *(numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()),
            numpy_helper.from_array(np.array([-1], np.int64), "all"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def scored_by(model: bytes) -> Score:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def score(rows: Float32Array) -> FloatArray:
        logit: FloatArray = session.run(["logit"], {"features": rows})[0].astype(np.float64)
        return logit

    return score


class Counted:
    """A score that keeps how many rows it was given at once."""

    def __init__(self, score: Score) -> None:
        self.sizes: list[int] = []
        self._score = score

    def score(self, rows: Float32Array) -> FloatArray:
        self.sizes.append(len(rows))
        return self._score(rows)


def row_and_background(*, seed: int = 0, rows: int = 7) -> tuple[Float32Array, Float32Array]:
    """A row and its background with a fifth of the values missing, in both."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows + 1, FEATURES)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values[:1], values[1:]


def enumerated(score: Score, row: Float32Array, background: Float32Array) -> FloatArray:
    """Shapley values by their definition: every coalition of every feature's others."""
    width = row.shape[1]

    def worth(coalition: tuple[int, ...]) -> float:
        rows = background.copy()
        rows[:, coalition] = row[:, coalition]
        return float(score(rows).mean())

    values = np.zeros(width)
    for feature in range(width):
        others = [other for other in range(width) if other != feature]
        for size in range(width):
            weight = factorial(size) * factorial(width - size - 1) / factorial(width)
            for coalition in combinations(others, size):
                values[feature] += weight * (worth((*coalition, feature)) - worth(coalition))
    return values


def explained(
    score: Score, *, seed: int = 1, permutations: int = 16, row_seed: int = 0, rows: int = 7
) -> PermutationExplanation:
    row, background = row_and_background(seed=row_seed, rows=rows)
    return explain(score, row, background, seed=seed, budget_ms=None, permutations=permutations)


@pytest.mark.parametrize("row_seed", range(4), ids="row {}".format)
@pytest.mark.parametrize("score", [additive, pairwise], ids=["no interactions", "interactions of two features"])
def test_one_pair_of_orders_is_exact_without_interactions_of_three_features(score: Score, row_seed: int) -> None:
    found = explained(score, permutations=2, row_seed=row_seed)
    expected = enumerated(score, *row_and_background(seed=row_seed))
    np.testing.assert_allclose(found.contributions, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("row_seed", range(4), ids="row {}".format)
@pytest.mark.parametrize(
    ("score", "noise"),
    # A float32 graph rounds each score; the pairs see that too, except where they happen to agree.
    [pytest.param(entangled, 1e-12, id="all interact"), pytest.param(scored_by(network()), 1e-6, id="ONNX network")],
)
def test_any_model_is_within_a_few_standard_errors_of_the_exact_values(
    score: Score, noise: float, row_seed: int
) -> None:
    found = explained(score, permutations=256, row_seed=row_seed)
    expected = enumerated(score, *row_and_background(seed=row_seed))
    assert (np.abs(found.contributions - expected) <= 4 * found.standard_error + noise).all()
    assert found.standard_error.max() < 0.1 * np.abs(expected).max()


def test_the_squared_standard_error_is_the_variance_over_seeds() -> None:
    """Three pairs suffice for that: on average over 800 seeds each feature's is within a fifth of what was seen."""
    draws = [explained(entangled, seed=seed, row_seed=2, permutations=6) for seed in range(800)]
    seen = np.var([draw.contributions for draw in draws], axis=0, ddof=1)
    told = np.mean([draw.standard_error**2 for draw in draws], axis=0)
    np.testing.assert_allclose(told / seen, 1.0, atol=0.2)


def test_the_standard_error_covers_the_exact_value_as_often_as_it_says() -> None:
    """A 95 % interval from 32 pairs holds the exact value in about 95 % of 300 draws, for each feature."""
    expected = enumerated(entangled, *row_and_background(seed=2))
    draws = [explained(entangled, seed=seed, row_seed=2, permutations=64) for seed in range(300)]
    inside = [np.abs(draw.contributions - expected) <= T_95_OF_32_PAIRS * draw.standard_error for draw in draws]
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=0.03)


def test_the_mean_over_many_draws_is_the_exact_value() -> None:
    """The estimate is unbiased: 300 draws of one pair, together, are within four of their standard errors."""
    expected = enumerated(entangled, *row_and_background())
    draws = np.array([explained(entangled, seed=seed, permutations=2).contributions for seed in range(300)])
    standard_error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - expected) <= 4 * standard_error).all()


def test_reversed_orders_take_more_from_the_error_than_as_many_more_orders_would() -> None:
    """With pairs the variance is far below half of that of single orders, which independence would give."""
    pairs = np.array([explained(entangled, seed=seed, permutations=2).contributions for seed in range(200)])
    row, background = row_and_background()

    def one_order(seed: int) -> FloatArray:
        values, rows = np.zeros(FEATURES), background.copy()
        for feature in np.random.default_rng(seed).permutation(FEATURES):
            before = entangled(rows).mean()
            rows[:, feature] = row[0, feature]
            values[feature] = entangled(rows).mean() - before
        return values

    singles = np.array([one_order(seed) for seed in range(200)])
    assert pairs.var(axis=0).sum() < 0.25 * singles.var(axis=0).sum()


@given(seed=st.integers(0, 2**32), row_seed=st.integers(0, 2**32), pairs=st.integers(1, 3), rows=st.integers(1, 9))
def test_whatever_was_drawn_base_and_contributions_add_up_to_the_score(
    seed: int, row_seed: int, pairs: int, rows: int
) -> None:
    found = explained(entangled, seed=seed, permutations=2 * pairs, row_seed=row_seed, rows=rows)
    row, background = row_and_background(seed=row_seed, rows=rows)
    assert found.base_value == pytest.approx(entangled(background).mean(), abs=1e-12)
    assert found.base_value + found.contributions.sum() == pytest.approx(entangled(row)[0], abs=1e-12)
    assert found.additivity_error <= 1e-12
    assert found.permutations_done == 2 * pairs


def test_a_graph_adds_up_to_the_score_of_the_row_alone() -> None:
    """Float32 scores, yet additivity holds to double precision: the row's own score ends every order."""
    assert explained(scored_by(network())).additivity_error <= 1e-12


def test_the_same_seed_and_row_give_the_same_bits_and_another_seed_others() -> None:
    first, again, other = (explained(entangled, seed=seed) for seed in (1, 1, 2))
    assert first.contributions.tobytes() == again.contributions.tobytes()
    assert first.standard_error.tobytes() == again.standard_error.tobytes()
    assert first.contributions.tobytes() != other.contributions.tobytes()


def test_a_missing_value_is_a_value_like_others() -> None:
    """Only what is missing differs between row and background: its contribution is what its absence is worth."""

    def score(rows: Float32Array) -> FloatArray:
        values: FloatArray = np.where(np.isnan(rows), [3.0, 5.0], rows).astype(np.float64).sum(axis=1)
        return values

    row = np.array([[np.nan, 1.0]], np.float32)
    background = np.array([[0.0, np.nan], [1.0, np.nan]], np.float32)
    found = explain(score, row, background, seed=0, budget_ms=None, permutations=4)
    np.testing.assert_allclose(found.contributions, [3.0 - 0.5, 1.0 - 5.0], atol=1e-12)


def test_a_feature_that_equals_the_whole_background_gets_nothing_and_costs_nothing() -> None:
    row, background = row_and_background()
    row[0, 1:4] = background[:, 1:4] = (np.nan, 2.0, -0.5)
    seen = Counted(entangled)
    found = explain(seen.score, row, background, seed=0, budget_ms=None, permutations=2)
    assert found.contributions[1:4].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_array_equal(found.standard_error, [np.nan, 0, 0, 0, np.nan, np.nan])
    assert sum(seen.sizes) <= 1 + len(background) + 2 * (3 - 1) * len(background)


def test_a_row_that_equals_its_background_has_no_contributions() -> None:
    row, _ = row_and_background()
    found = explain(entangled, row, np.repeat(row, 3, axis=0), seed=0, budget_ms=None, permutations=4)
    assert found.contributions.tolist() == found.standard_error.tolist() == [0.0] * FEATURES
    assert found.base_value == pytest.approx(entangled(row)[0], abs=1e-12)


def test_rows_that_did_not_change_are_not_scored_again() -> None:
    """A third of row and background is missing alike here; those places cost no score and change no bit."""
    row, background = row_and_background(rows=40)
    row[0, :3] = background[::2, :3] = np.nan
    seen = Counted(entangled)
    found = explain(seen.score, row, background, seed=3, budget_ms=None, permutations=2)
    places = int((~(np.isnan(row) & np.isnan(background))).sum())
    assert sum(seen.sizes) == 1 + 40 + 2 * (places - 40)
    assert (np.abs(found.contributions - enumerated(entangled, row, background)) < 0.5).all()


def test_never_more_rows_are_scored_at_once_than_a_chunk_holds() -> None:
    row, background = row_and_background(rows=2 * CHUNK_ROWS + 3)
    seen = Counted(additive)
    found = explain(seen.score, row, background, seed=0, budget_ms=None, permutations=2)
    assert max(seen.sizes) == CHUNK_ROWS
    np.testing.assert_allclose(found.contributions, enumerated(additive, row, background), atol=1e-12)


def ticks(times: list[float]) -> Callable[[], float]:
    """A clock that shows these seconds, one after the other."""
    shown: Iterator[float] = iter(times)
    return lambda: next(shown)


@pytest.mark.parametrize(
    ("budget_ms", "expected_pairs"),
    [
        pytest.param(0.0, 1, id="no time at all: one pair"),
        pytest.param(15.0, 1, id="less than one pair takes: one pair"),
        pytest.param(39.0, 1, id="a second would end after it"),
        pytest.param(41.0, 2, id="time for two"),
        pytest.param(101.0, 5, id="time for five"),
        pytest.param(1e9, 8, id="time for more than was asked for"),
        pytest.param(None, 8, id="no budget"),
    ],
)
def test_no_pair_is_begun_that_would_end_after_the_budget(budget_ms: float | None, expected_pairs: int) -> None:
    """Each pair takes 20 ms on this clock."""
    row, background = row_and_background()
    clock = ticks([0.0, *(0.020 * pairs_done for pairs_done in range(9))])  # read at the start and before each pair
    found = explain(entangled, row, background, seed=4, budget_ms=budget_ms, permutations=16, clock=clock)
    assert found.permutations_done == 2 * expected_pairs


def test_what_a_budget_cut_short_can_be_computed_again_to_the_bit() -> None:
    row, background = row_and_background()
    cut = explain(
        entangled, row, background, seed=4, budget_ms=70, permutations=64, clock=ticks([0.0, 0.0, 0.02, 0.04, 0.06])
    )
    again = explain(entangled, row, background, seed=4, budget_ms=None, permutations=cut.permutations_done)
    assert cut.permutations_done == 6
    assert cut.contributions.tobytes() == again.contributions.tobytes()


def test_one_pair_alone_has_no_standard_error() -> None:
    assert np.isnan(explained(entangled, permutations=2).standard_error).all()


def with_infinity(rows: Float32Array) -> Float32Array:
    spoilt = rows.copy()
    spoilt[0, 1] = np.inf
    return spoilt


ROW, BACKGROUND = row_and_background()


@pytest.mark.parametrize(
    ("row", "background", "message"),
    [
        pytest.param(ROW[0], BACKGROUND, r"the row as float32\[rows, features\], got float32\[6\]", id="a vector"),
        pytest.param(ROW.astype(np.float64), BACKGROUND, r"got float64\[1, 6\]", id="doubles"),
        pytest.param(BACKGROUND, BACKGROUND, r"Expected one row .* got \[7, 6\]", id="seven rows"),
        pytest.param(ROW[:, :5], BACKGROUND, r"background's 6 features, got \[1, 5\]", id="a feature less"),
        pytest.param(ROW, BACKGROUND[:0], r"the background .* got float32\[0, 6\]", id="no background"),
        pytest.param(with_infinity(ROW), BACKGROUND, "in the row; one is infinite", id="infinite row"),
        pytest.param(ROW, with_infinity(BACKGROUND), "in the background; one is infinite", id="infinite background"),
    ],
)
def test_rows_of_another_kind_are_refused(row: Float32Array, background: Float32Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explain(entangled, row, background, seed=0, budget_ms=None, permutations=2)


@pytest.mark.parametrize(
    ("permutations", "budget_ms", "message"),
    [
        pytest.param(0, None, "even number of permutations, 2 or more, got 0", id="none"),
        pytest.param(3, None, "got 3: they come in pairs", id="odd"),
        pytest.param(2, -1.0, "budget of 0 ms or more, or None, got -1.0", id="a deadline that has passed"),
        pytest.param(2, float("nan"), "got nan", id="a budget that is no number"),
    ],
)
def test_an_effort_that_means_nothing_is_refused(permutations: int, budget_ms: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explain(entangled, ROW, BACKGROUND, seed=0, budget_ms=budget_ms, permutations=permutations)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        pytest.param(lambda rows: np.full(len(rows), np.nan), "with 1 not finite", id="not a number"),
        pytest.param(
            lambda rows: np.zeros((len(rows), 1)), r"Expected 1 finite scores .* got shape \(1, 1\)", id="2-D"
        ),
    ],
)
def test_a_score_that_is_none_is_refused(score: Score, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explain(score, ROW, BACKGROUND, seed=0, budget_ms=None, permutations=2)
