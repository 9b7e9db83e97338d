"""Permutation SHAP: contributions of a graph that has no closed form, from its scores alone, within a budget of time.

The game is the interventional one: a coalition of features is worth the mean score of the background rows with the
row's values put in for the coalition's features. A feature's Shapley value is the mean, over all orders in which
features can be put in, of what it adds in its turn (Castro, Gómez and Tejada 2009, Computers & Operations Research 36:
1726-1730; for predictions Štrumbelj and Kononenko 2014, Knowledge and Information Systems 41: 647-665). Orders are
drawn, each with its reverse (antithetic; Mitchell, Cooper, Frank and Holmes 2022, Journal of Machine Learning Research
23(43): 1-46). Of two features one is first in an order and the other in its reverse, so that one such pair of orders is
exact for every model without interactions of three or more features.

Every order goes from the background to the row: base + Σ contributions = score of the row whatever was drawn. A missing
value is a value like others. What cannot matter costs nothing: a feature in which the row equals the whole background
has no turn, and a background row that a turn leaves as it is keeps its score.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Score: TypeAlias = Callable[[Float32Array], FloatArray]

# Rows scored at once: enough to use a runtime's vector units, few enough that memory stays bounded.
CHUNK_ROWS = 256
# Of a golden row: few, for a server repeats them when it loads the bundle, to see that its arithmetic is the same.
GOLDEN_PERMUTATIONS = 4
ORDERS_PER_PAIR = 2
PAIRS_FOR_A_SPREAD = 2
MATRIX_AXES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PermutationExplanation:
    """What the features of one row added to the mean score of the background.

    Attributes:
        contributions: float64[F], in the unit of the score (log-odds where the logit is scored).
        standard_error: float64[F], of the contributions, from the spread between pairs of orders; 0 for a feature in
            which the row equals the whole background, else NaN where one pair alone was done. Its square is unbiased;
            pairs are skewed, so that with fewer than about 30 an interval made of it is somewhat too narrow.
        base_value: the mean score of the background.
        permutations_done: how many orders, reversed ones included. The same call with `permutations` set to this number
            and without a budget gives the same bits.
        additivity_error: |base_value + Σ contributions - score of the row|; rounding alone.
    """

    contributions: FloatArray
    standard_error: FloatArray
    base_value: float
    permutations_done: int
    additivity_error: float


def explain(
    score: Score,
    row: Float32Array,
    background: Float32Array,
    *,
    seed: int,
    budget_ms: float | None,
    permutations: int,
    clock: Callable[[], float] = time.perf_counter,
) -> PermutationExplanation:
    """Estimate the interventional Shapley values of one row's score.

    One pair of orders scores at most 2 · (F - 1) · B rows, never more than `CHUNK_ROWS` at once.

    Args:
        score: float32[M, F] to float64[M], finite; it must give the same bits for the same rows.
        row: float32[1, F], finite or NaN.
        background: float32[B, F], finite or NaN: what a feature is when it is not put in. Rows that leave a hospital
            must be made, as golden rows are, not patients' own.
        seed: of the orders.
        budget_ms: no pair is begun that, at the pace of those done, would end later than this after the start; the
            first pair is always done. None: as long as it takes.
        permutations: orders at most; even, for each comes with its reverse.
        clock: seconds, ascending.

    Raises:
        ValueError: arrays, `permutations` or `budget_ms` are not as described, or `score` gave something else.
    """
    _check_rows(row, background)
    _check_effort(permutations, budget_ms)
    started = clock()
    game = _game(score, row, background)
    rng = np.random.default_rng(seed)
    pairs: list[FloatArray] = []
    while len(pairs) < permutations // ORDERS_PER_PAIR and _fits((clock() - started) * 1e3, len(pairs), budget_ms):
        order = rng.permutation(len(game.movers))
        pairs.append(game.added(np.stack((order, order[::-1]))).mean(axis=0))
    return _explanation(game, np.stack(pairs))


def golden_contributions(score: Score, rows: Float32Array, background: Float32Array, *, seed: int) -> Float32Array:
    """What a bundle keeps of golden rows float32[N, F]: estimates of a few orders each, float32[N, F]."""
    found = [
        explain(score, rows[at : at + 1], background, seed=seed, budget_ms=None, permutations=GOLDEN_PERMUTATIONS)
        for at in range(len(rows))
    ]
    return np.stack([one.contributions for one in found]).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Game:
    """One row against its background.

    Attributes:
        row: float32[F].
        background: float32[B, F].
        row_score: of the row, scored alone as a server scores it.
        background_scores: float64[B].
        movers: int64[P], the features in which some background row differs from the row: the players.
        differs: bool[P, B], whether a background row differs from the row in a player.
    """

    score: Score
    row: Float32Array
    background: Float32Array
    row_score: float
    background_scores: FloatArray
    movers: IntArray
    differs: NDArray[np.bool_]

    def added(self, orders: IntArray) -> FloatArray:
        """What each player added in its turn, mean over the background: float64[K, P] for K orders of P players."""
        turns = self.differs[orders]  # [K, P, B]: whether the turn changes the background row
        left = np.cumsum(turns[:, ::-1], axis=1)[:, ::-1]
        changed, last = turns & (left > 1), turns & (left == 1)
        reached = np.full(turns.shape, np.nan)
        reached[changed] = self._mixed_scores(orders, changed)
        reached[last] = self.row_score  # with its last change a background row has become the row
        start = np.broadcast_to(self.background_scores, (len(orders), 1, len(self.background)))
        scores = np.concatenate((start, reached), axis=1)
        latest = np.maximum.accumulate(np.where(turns, np.arange(1, turns.shape[1] + 1)[:, np.newaxis], 0), axis=1)
        after = np.take_along_axis(scores, latest, axis=1)
        added = np.diff(np.concatenate((start, after), axis=1), axis=1).mean(axis=2)
        by_player = np.empty(orders.shape)
        np.put_along_axis(by_player, orders, added, axis=1)
        return by_player

    def _mixed_scores(self, orders: IntArray, changed: NDArray[np.bool_]) -> FloatArray:
        """Scores of the rows on the way, in the order of the set places of bool[K, P, B]."""
        turn_of = np.zeros((len(orders), len(self.row)), np.int64)
        turn_of[:, self.movers] = np.argsort(orders, axis=1)
        order, turn, which = np.nonzero(changed)

        def rows() -> Iterator[Float32Array]:
            for at in range(0, len(order), CHUNK_ROWS):
                part = slice(at, at + CHUNK_ROWS)
                put_in = turn_of[order[part]] <= turn[part, np.newaxis]
                yield np.where(put_in, self.row, self.background[which[part]])

        return _scores(self.score, rows())


def _game(score: Score, row: Float32Array, background: Float32Array) -> _Game:
    same = (background == row) | (np.isnan(background) & np.isnan(row))
    movers = np.flatnonzero(~same.all(axis=0))
    chunks = (background[at : at + CHUNK_ROWS] for at in range(0, len(background), CHUNK_ROWS))
    return _Game(
        score=score,
        row=row[0],
        background=background,
        row_score=float(_scores(score, iter((row,)))[0]),
        background_scores=_scores(score, chunks),
        movers=movers,
        differs=~same.T[movers],
    )


def _explanation(game: _Game, pairs: FloatArray) -> PermutationExplanation:
    """The mean over pairs float64[pairs, P], by feature."""
    contributions, standard_error = np.zeros(len(game.row)), np.zeros(len(game.row))
    contributions[game.movers] = pairs.mean(axis=0)
    standard_error[game.movers] = (
        pairs.std(axis=0, ddof=1) / math.sqrt(len(pairs)) if len(pairs) >= PAIRS_FOR_A_SPREAD else np.nan
    )
    base_value = float(game.background_scores.mean())
    return PermutationExplanation(
        contributions=contributions,
        standard_error=standard_error,
        base_value=base_value,
        permutations_done=ORDERS_PER_PAIR * len(pairs),
        additivity_error=abs(base_value + float(contributions.sum()) - game.row_score),
    )


def _scores(score: Score, chunks: Iterator[Float32Array]) -> FloatArray:
    parts = [np.zeros(0)]
    for rows in chunks:
        found = score(rows)
        if found.shape != (len(rows),) or not np.isfinite(found).all():
            raise ValueError(
                f"Expected {len(rows)} finite scores from the graph, got shape {found.shape} with "
                f"{int((~np.isfinite(found)).sum())} not finite. Does it accept every value of the background?"
            )
        parts.append(found)
    return np.concatenate(parts)


def _fits(elapsed_ms: float, pairs_done: int, budget_ms: float | None) -> bool:
    """Whether one more pair would end within the budget, at the pace so far."""
    if pairs_done == 0 or budget_ms is None:
        return True
    return elapsed_ms * (pairs_done + 1) / pairs_done <= budget_ms


def _check_rows(row: Float32Array, background: Float32Array) -> None:
    for name, rows in (("row", row), ("background", background)):
        if rows.dtype != np.float32 or rows.ndim != MATRIX_AXES or not rows.size:
            raise ValueError(f"Expected the {name} as float32[rows, features], got {rows.dtype}{list(rows.shape)}.")
        if np.isinf(rows).any():
            raise ValueError(f"Expected finite features or NaN in the {name}; one is infinite.")
    if len(row) != 1 or row.shape[1] != background.shape[1]:
        raise ValueError(
            f"Expected one row as wide as the background's {background.shape[1]} features, got {list(row.shape)}."
        )


def _check_effort(permutations: int, budget_ms: float | None) -> None:
    if permutations < ORDERS_PER_PAIR or permutations % ORDERS_PER_PAIR:
        raise ValueError(f"Expected an even number of permutations, 2 or more, got {permutations}: they come in pairs.")
    if budget_ms is not None and not budget_ms >= 0.0:
        raise ValueError(f"Expected a budget of 0 ms or more, or None, got {budget_ms}.")
