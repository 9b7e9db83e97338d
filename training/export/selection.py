"""Columns as they are, and a constant 1: `PolynomialFeatures` of degree 1."""

from dataclasses import dataclass

import numpy as np

from training.export.builder import GraphBuilder
from training.export.preparation import NO_SOURCE, by_source
from training.export.trees import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Each of D columns is one of those that come in or, where it has `NO_SOURCE`, 1."""

    width: int
    sources: IntArray

    def missing(self, before: BoolArray) -> BoolArray:
        """NaN stays NaN."""
        return np.append(before, np.False_)[self.sources]

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """Those of later steps."""
        return by_source(self.sources, self.width, after)

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add a Gather, and a Where for the constants."""
        at = graph.constant("sources", np.maximum(self.sources, 0), np.int64)
        taken = graph.node("taken", "Gather", columns, at, axis=1)
        is_constant = graph.constant("is_constant", self.sources == NO_SOURCE, np.bool_)
        return graph.node("columns", "Where", is_constant, graph.constant("one", 1.0, np.float64), taken)
