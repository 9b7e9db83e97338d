"""The three ways to a row's contributions, behind one interface: compiled code, the graph itself, permutations."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.bundle import Explanation
from models.permutation import explain as permute
from models.permutation import golden_contributions

Rows: TypeAlias = NDArray[np.float32]
ExplainedBy: TypeAlias = Literal["compiled", "graph", "permutations"]

# The graph's explanation holds rows × leaves × path features × nodes: more rows at once leave the caches.
CHUNK_ROWS = 8
TIMED_RUNS = 5
# Two pairs of orders: one alone has no standard error, and nobody could tell what chance made of it.
FEWEST = 4


class Contributions(NamedTuple):
    """One row's: float32[F], and their standard error float32[F] where they are estimates."""

    values: Rows
    standard_error: Rows | None = None


class Explanations(Protocol):
    """Where contributions come from.

    Attributes:
        name: the way.
        seconds: the least that one row's took when the bundle was loaded.
    """

    name: ExplainedBy
    seconds: float

    def one(self, row: Rows, seconds: float) -> Contributions:
        """Of a row float32[1, F], within a time that is no less than `self.seconds`."""

    def golden(self, rows: Rows) -> Rows:
        """Of golden rows float32[N, F], as the bundle keeps them: float32[N, F]."""


@dataclass(slots=True)
class Exact:
    """Contributions of a closed form, rows float32[N, F] to float32[N, F]."""

    name: ExplainedBy
    explain: Callable[[Rows], Rows]
    seconds: float = 0.0

    def one(self, row: Rows, seconds: float) -> Contributions:  # noqa: ARG002 - it takes what it takes
        """Of a row."""
        return Contributions(self.explain(row)[0])

    def golden(self, rows: Rows) -> Rows:
        """Of many rows, a few at a time."""
        self.seconds = least_seconds(lambda: self.explain(rows[:1]))
        return np.concatenate([self.explain(rows[at : at + CHUNK_ROWS]) for at in range(0, len(rows), CHUNK_ROWS)])


@dataclass(slots=True)
class Permuted:
    """Estimates from the scores of rows mixed with a background: `score` takes float32[N, F] to float64[N]."""

    score: Callable[[Rows], NDArray[np.float64]]
    background: Rows
    settings: Explanation
    seconds: float = 0.0
    name: ExplainedBy = "permutations"

    def one(self, row: Rows, seconds: float) -> Contributions:
        """Of a row, in as many orders as the bundle asks for and the time allows."""
        found = permute(
            self.score,
            row,
            self.background,
            seed=self.settings.seed,
            budget_ms=min(self.settings.budget_ms, 1000 * seconds),
            permutations=self.settings.permutations,
        )
        return Contributions(found.contributions.astype(np.float32), found.standard_error.astype(np.float32))

    def golden(self, rows: Rows) -> Rows:
        """Of many rows, in a few orders each."""
        seed = self.settings.seed
        self.seconds = least_seconds(
            lambda: permute(self.score, rows[:1], self.background, seed=seed, budget_ms=None, permutations=FEWEST)
        )
        return golden_contributions(self.score, rows, self.background, seed=seed)


def least_seconds(explain: Callable[[], object]) -> float:
    """The shortest of a few runs, the first of which warms the caches."""
    taken = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        explain()
        taken.append(time.perf_counter() - start)
    return min(taken)
