"""The steps in front of an estimator, as columns that are each made of one feature, in double precision.

scikit-learn's transformers turn features into columns: imputed, scaled, flagged, spread over categories or splines. A
`Step` is one fitted transformer as numbers. Its arithmetic is scikit-learn's, operation by operation, on doubles:
float32 features are exact in them, so that thresholds, knots and categories decide the same.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from onnx import TensorProto

from training.export.builder import GraphBuilder
from training.export.trees import BoolArray, Float32Array, FloatArray, IntArray

# A column that is made of no feature: a constant.
NO_SOURCE = -1


class Step(Protocol):
    """A fitted transformer: C columns become D."""

    @property
    def sources(self) -> IntArray:
        """int64[D]: which of the C columns each is made of, or `NO_SOURCE`."""

    def missing(self, before: BoolArray) -> BoolArray:
        """Which of the D columns may be NaN, if these of the C columns may: bool[D].

        Raises:
            NotExportableError: the transformer refuses NaN in a column that may be.
        """

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """The values of each of the C columns at which a decision changes, here or, by `after` [D], in later steps."""

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add the nodes from double[N, C] to double[N, D]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Steps in a row; itself a step, so that steps nest as pipelines do.

    Attributes:
        width: C, the number of columns that come in.
        steps: with the name of each.
    """

    width: int
    steps: tuple[tuple[str, Step], ...]

    @property
    def sources(self) -> IntArray:
        """int64[D]: the column that comes in which each column that comes out is made of."""
        found = np.arange(self.width)
        for _, step in self.steps:
            found = np.where(step.sources == NO_SOURCE, NO_SOURCE, np.append(found, NO_SOURCE)[step.sources])
        return found

    def missing(self, before: BoolArray) -> BoolArray:
        """Which columns may be NaN at the end."""
        for _, step in self.steps:
            before = step.missing(before)
        return before

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """The values of each column that comes in at which a decision changes."""
        for _, step in reversed(self.steps):
            after = step.pulled_back(after)
        return after

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add every step's nodes, each under its own name."""
        for position, (name, step) in enumerate(self.steps, start=1):
            columns = step.add_nodes(graph.scope(f"{position}_{name}"), columns)
        return columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Preparations side by side, each of some of the columns that come in (a `ColumnTransformer`).

    Attributes:
        width: C.
        branches: name, the columns taken (int64), and what becomes of them.
    """

    width: int
    branches: tuple[tuple[str, IntArray, Preparation], ...]

    @property
    def sources(self) -> IntArray:
        """The branches' sources, one behind the other."""
        parts = [
            np.where(branch.sources == NO_SOURCE, NO_SOURCE, np.append(taken, NO_SOURCE)[branch.sources])
            for _, taken, branch in self.branches
        ]
        return np.concatenate([np.array([], dtype=np.int64), *parts])

    def missing(self, before: BoolArray) -> BoolArray:
        """The branches' columns, one behind the other."""
        parts = [branch.missing(before[taken]) for _, taken, branch in self.branches]
        return np.concatenate([np.array([], dtype=np.bool_), *parts])

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """A column that several branches take has the decisions of all of them."""
        found = nothing(self.width)
        start = 0
        for _, taken, branch in self.branches:
            end = start + len(branch.sources)
            for column, values in zip(taken.tolist(), branch.pulled_back(after[start:end]), strict=True):
                found[column] = np.union1d(found[column], values)
            start = end
        return found

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add a Gather for each branch, the branches, and one Concat."""
        parts = []
        for name, taken, branch in self.branches:
            scope = graph.scope(name)
            inputs = scope.node("taken", "Gather", columns, scope.constant("columns", taken, np.int64), axis=1)
            parts.append(branch.add_nodes(scope, inputs))
        return graph.node("columns", "Concat", *parts, axis=1)


def nothing(width: int) -> list[FloatArray]:
    """No decision in any of `width` columns."""
    return [np.array([])] * width


def by_source(sources: IntArray, width: int, after: list[FloatArray]) -> list[FloatArray]:
    """Values by the columns that come out, united by the columns that they are made of."""
    found = nothing(width)
    for source, values in zip(sources.tolist(), after, strict=True):
        if source != NO_SOURCE:
            found[source] = np.union1d(found[source], values)
    return found


def float32_thresholds(preparation: Preparation) -> list[Float32Array]:
    """Per feature, the distinct finite float32 values nearest to where a decision changes."""
    with np.errstate(over="ignore"):
        found = [values.astype(np.float32) for values in preparation.pulled_back(nothing(len(preparation.sources)))]
    return [np.unique(values[np.isfinite(values)]) for values in found]


def add_prepared(graph: GraphBuilder, features: str, preparation: Preparation) -> str:
    """Add the nodes from `features` float32[N, F] to the columns, double[N, D]."""
    scope = graph.scope("prepare")
    return preparation.add_nodes(scope, scope.cast("features", features, TensorProto.DOUBLE))
