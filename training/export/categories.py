"""Categorical tests of a sum of trees: a feature's value is looked up among the categories that its tests name.

A categorical test becomes a column that is 0.0 where the value goes left and 1.0 where it goes right, computed by plain
nodes from the feature; the trees test it against 0.5. A set of categories is held as one bit per known category of the
feature, one for any other value, and one for NaN.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from training.export.builder import GraphBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySet:
    """Which values pass. `bits` is laid out as known categories..., any other value, NaN; None lets everything pass."""

    bits: tuple[bool, ...] | None

    def __and__(self, other: "CategorySet") -> "CategorySet":
        if self.bits is None or other.bits is None:
            return other if self.bits is None else self
        return CategorySet(bits=tuple(mine and its for mine, its in zip(self.bits, other.bits, strict=True)))

    def __invert__(self) -> "CategorySet":
        if self.bits is None:
            raise ValueError("expected a set of a feature's categories, got the set of everything")
        return CategorySet(bits=tuple(not bit for bit in self.bits))


EVERY_CATEGORY = CategorySet(bits=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The categories of one feature that its tests name, as float32 values, and how a value is compared with them."""

    values: tuple[float, ...]
    whole: bool  # a value is cut to its whole part first, as a cast to an integer does

    def set_of(self, values: Collection[float], *, others: bool = False, missing: bool = False) -> CategorySet:
        """The set of some of the values, and whether any other value and NaN are in it."""
        return CategorySet(bits=(*(value in values for value in self.values), others, missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTest:
    """A question to a feature's category: does it go left?"""

    feature: int
    left: CategorySet


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTests:
    """The distinct categorical tests of an ensemble, grouped by feature, and each feature's vocabulary."""

    tests: tuple[CategoryTest, ...] = ()
    vocabularies: tuple[tuple[int, Vocabulary], ...] = ()  # ascending by feature

    def add_columns(self, graph: GraphBuilder, features: str) -> str:
        """Add the nodes that give each test's column, and name all columns float32[N, F + tests]."""
        if not self.tests:
            return features
        sets = [(test.feature, ~test.left) for test in self.tests]
        return graph.node(
            "score/columns",
            "Concat",
            features,
            self.add_memberships(graph, "score/categories", features, sets),
            axis=1,
            doc="The features, and per categorical test 0.0 if the value goes left, else 1.0.",
        )

    def add_memberships(
        self, graph: GraphBuilder, name: str, features: str, sets: Sequence[tuple[int, CategorySet]]
    ) -> str:
        """Add the nodes that say whether a feature's value is in a set, 0.0 or 1.0: float32[N, sets].

        Args:
            graph: grows.
            name: of the stage.
            features: float32[N, F].
            sets: features and sets; all sets of one feature stand together.
        """
        blocks = []
        for feature, vocabulary in self.vocabularies:
            table = [bits.bits for of, bits in sets if of == feature]
            if table:
                found = _add_place(graph, f"{name}/{feature}", features, feature, vocabulary)
                bits = graph.constant(f"{name}/{feature}/sets", np.array(table).T, np.float32)
                blocks.append(graph.node(f"{name}/{feature}/in_sets", "MatMul", found, bits))
        return blocks[0] if len(blocks) == 1 else graph.node(f"{name}/in_sets", "Concat", *blocks, axis=1)


NO_TESTS = CategoryTests()


def grouped(tests: Sequence[CategoryTest]) -> tuple[tuple[CategoryTest, ...], npt.NDArray[np.int64]]:
    """The distinct tests grouped by feature, and where each of `tests` is found among them."""
    distinct = sorted(set(tests), key=lambda test: (test.feature, test.left.bits or ()))
    place = {test: at for at, test in enumerate(distinct)}
    return tuple(distinct), np.array([place[test] for test in tests], dtype=np.int64)


def _add_place(graph: GraphBuilder, name: str, features: str, feature: int, vocabulary: Vocabulary) -> str:
    """1.0 at the value's place in a set's bits, else 0.0: float32[N, categories + 2]."""
    index = graph.constant(f"{name}/feature", [feature], np.int64)
    value = graph.node(f"{name}/value", "Gather", features, index, axis=1)
    axis = graph.constant(f"{name}/axis", [1], np.int64)
    compared = value
    if vocabulary.whole:
        size = graph.node(f"{name}/whole_size", "Floor", graph.node(f"{name}/size", "Abs", value))
        compared = graph.node(f"{name}/whole", "Mul", graph.node(f"{name}/sign", "Sign", value), size)
    known = graph.constant(f"{name}/known", [vocabulary.values], np.float32)
    hits = graph.cast(f"{name}/hits", graph.node(f"{name}/equal", "Equal", compared, known), TensorProto.FLOAT)
    missing = graph.cast(f"{name}/missing", graph.node(f"{name}/nan", "IsNaN", value), TensorProto.FLOAT)
    some = graph.node(f"{name}/some", "Add", graph.node(f"{name}/any", "ReduceSum", hits, axis), missing)
    one = graph.constant(f"{name}/one", 1.0, np.float32)
    other = graph.node(f"{name}/other", "Sub", one, some)
    return graph.node(f"{name}/place", "Concat", hits, other, missing, axis=1)
