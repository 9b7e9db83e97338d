"""The explainer of one bundle: its graph's trees in the kernel's hands."""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.onnx_file import OnnxFile
from serving.explainer.edges import LANES, Edges, NotExplainable, edges_of
from serving.explainer.library import Trees, load_library

__all__ = ["Explainer", "NotExplainable", "explainer_of"]


def explainer_of(graph: OnnxFile, features: int) -> "Explainer":
    """The compiled explainer of a graph.

    Args:
        graph: with one sum of trees, whose covers stand in its node's hit rates.
        features: F, the width of its input.

    Raises:
        NoLibrary, NotExplainable: the graph has to explain itself.
    """
    library = load_library()
    edges = edges_of(graph, features)
    return Explainer(library=library, edges=edges)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """The C structure, and the arrays that it points into."""

    trees: Trees
    arrays: tuple[NDArray[np.generic], ...]


class Explainer:
    """SHAP values of rows, in the order of the graph's `contributions`; safe to use from several threads."""

    def __init__(self, *, library: ctypes.CDLL, edges: Edges) -> None:
        self._explain = library.bedside_explain
        self._prepared = _prepared(edges)
        self._model = ctypes.byref(self._prepared.trees)
        self._outputs = edges.outputs
        self._features = edges.features
        self._blocks = int(edges.blocks.max(initial=1))

    @property
    def blocks(self) -> int:
        """How many blocks of eight quadrature nodes the tree of the longest path takes."""
        return self._blocks

    def explain(self, rows: NDArray[np.float32], *, narrow: bool = False) -> NDArray[np.float32]:
        """Contributions float32[N, targets * F] of rows float32[N, F], NaN where missing.

        Args:
            rows: finite or NaN.
            narrow: whether to take vectors of four lanes where the machine has eight; the bits are the same.

        Raises:
            ValueError: rows of another type or shape.
            MemoryError: there was none left.
        """
        if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != self._features:  # noqa: PLR2004 - [N, F]
            raise ValueError(f"Expected float32 rows [N, {self._features}], got {rows.dtype} {rows.shape}.")
        rows = np.ascontiguousarray(rows)
        contributions = np.empty((len(rows), self._outputs), np.float32)
        if self._explain(self._model, len(rows), rows.ctypes.data, contributions.ctypes.data, narrow) != 0:
            raise MemoryError("The explanation needs working memory, and there is none left.")
        return contributions


def _prepared(edges: Edges) -> _Prepared:
    longest = int(np.diff(edges.starts).max(initial=0))
    nodes = quadrature(int(edges.blocks.max(initial=1)))
    trees = Trees(
        trees=len(edges.blocks),
        features=edges.features,
        outputs=edges.outputs,
        longest=longest,
        starts=edges.starts.ctypes.data,
        first=edges.first.ctypes.data,
        blocks=edges.blocks.ctypes.data,
        edges=edges.edges.ctypes.data,
        nodes=nodes.ctypes.data,
    )
    return _Prepared(trees, (edges.starts, edges.first, edges.blocks, edges.edges, nodes))


def quadrature(most_blocks: int) -> NDArray[np.float32]:
    """Gauss-Legendre rules on (0, 1) of 8, 16 ... nodes behind each other, float32[blocks, 3, 8] of t, 1 - t, weight.

    A rule of n nodes is exact for a polynomial of degree 2 n - 1, and so for paths of 2 n features.
    """
    parts = []
    for blocks in range(1, most_blocks + 1):
        points, weights = np.polynomial.legendre.leggauss(blocks * LANES)
        at = ((points + 1) / 2).reshape(blocks, LANES)
        parts.append(np.stack([at, 1 - at, weights.reshape(blocks, LANES) / 2], axis=1))
    return np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)
