"""Categories as columns of 0 and 1: `OneHotEncoder`."""

import warnings
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import OneHotEncoder

from training.export.builder import GraphBuilder
from training.export.errors import NotExportableError
from training.export.preparation import nothing
from training.export.trees import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """A table from each column's categories to columns of 0 and 1.

    Attributes:
        categories: by column that comes in, its categories, float64; NaN, if it is one, stands last.
        sources: int64[D], which column each that comes out is made of.
        known: float64[all categories, D], what each category adds, column by column.
        unknown: float64[C, D], what a value that is no category adds.
    """

    categories: tuple[FloatArray, ...]
    sources: IntArray
    known: FloatArray
    unknown: FloatArray

    def missing(self, before: BoolArray) -> BoolArray:
        """None: NaN is a category or an unknown value."""
        del before
        return np.zeros(len(self.sources), dtype=np.bool_)

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """The categories, and a value that is none; later steps' thresholds lie between 0 and 1 and are met so."""
        del after
        found = nothing(len(self.categories))
        for column, values in enumerate(self.categories):
            numbers = values[~np.isnan(values)]
            found[column] = np.append(numbers, _stranger(values))
        return found

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add equality with each category, "none of them" for each column, and the table as one product."""
        owner = np.repeat(np.arange(len(self.categories)), [len(values) for values in self.categories])
        flat = np.concatenate(self.categories)
        each = graph.node("each", "Gather", columns, graph.constant("owner", owner, np.int64), axis=1)
        equal = graph.node("equal", "Equal", each, graph.constant("categories", flat, np.float64))
        missing = graph.node("missing", "IsNaN", each)
        both_missing = graph.node(
            "both_missing", "And", missing, graph.constant("is_missing", np.isnan(flat), np.bool_)
        )
        met = graph.cast("met", graph.node("is_met", "Or", equal, both_missing), TensorProto.DOUBLE)
        by_column = np.eye(len(self.categories))[owner]
        known = graph.node("known", "MatMul", met, graph.constant("by_column", by_column, np.float64))
        one = graph.constant("one", 1.0, np.float64)
        stranger = graph.node("stranger", "Sub", one, known, doc="1 where a value is no category of its column.")
        return graph.node(
            "columns",
            "Add",
            graph.node("of_known", "MatMul", met, graph.constant("known_table", self.known, np.float64)),
            graph.node("of_stranger", "MatMul", stranger, graph.constant("unknown_table", self.unknown, np.float64)),
        )


def read_encoder(encoder: OneHotEncoder, width: int) -> Encoding:
    """A fitted encoder as its own answers to each category and to a value that is none.

    Raises:
        NotExportableError: it fails on a value never seen, or its categories are not numbers.
    """
    if encoder.handle_unknown == "error":
        raise NotExportableError(
            "OneHotEncoder(handle_unknown='error') fails on a value never seen in training, and a bedside has them; "
            "use handle_unknown='ignore' or 'infrequent_if_exist'"
        )
    if not all(np.issubdtype(values.dtype, np.number) for values in encoder.categories_):
        raise NotExportableError("expected OneHotEncoder on numbers; fit it on the float32 feature matrix")
    categories = tuple(values.astype(np.float64) for values in encoder.categories_)
    start = np.array([values[0] for values in categories])
    sources = _owners(encoder, width)
    known, unknown = [], []
    for column, values in enumerate(categories):
        tried = np.tile(start, (len(values) + 1, 1))
        tried[:, column] = np.append(values, _stranger(values))
        answers = _encoded(encoder, tried) * (sources == column)
        known.append(answers[:-1])
        unknown.append(answers[-1:])
    return Encoding(
        categories=categories, sources=sources, known=np.concatenate(known), unknown=np.concatenate(unknown)
    )


def _owners(encoder: OneHotEncoder, width: int) -> IntArray:
    """For each column that comes out, the one that it is made of, by the names that scikit-learn gives them."""
    names = encoder.get_feature_names_out([f"x{position}" for position in range(width)])
    return np.array([int(name.partition("_")[0].removeprefix("x")) for name in names], dtype=np.int64)


def _encoded(encoder: OneHotEncoder, rows: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        # That an unknown value was met; it is asked for here.
        warnings.filterwarnings("ignore", message="Found unknown categories")
        found = encoder.transform(rows)
    return np.asarray(found.toarray() if encoder.sparse_output else found, dtype=np.float64)


def _stranger(categories: FloatArray) -> float:
    """A value that is none of the categories."""
    numbers = categories[~np.isnan(categories)]
    return float(np.floor(numbers.max(initial=0.0)) + 1.0)
