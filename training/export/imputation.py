"""Imputation and indicators of what was missing: `SimpleImputer` and `MissingIndicator`."""

import warnings
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from sklearn.impute import MissingIndicator, SimpleImputer

from training.export.builder import GraphBuilder
from training.export.errors import NotExportableError
from training.export.preparation import by_source
from training.export.trees import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Imputation:
    """The kept columns with NaN replaced, then 0/1 flags of the flagged columns.

    Attributes:
        width: C, columns that come in.
        kept: int64[K], those that come out: a column never observed in training may have been dropped.
        values: float64[K], what replaces NaN.
        flagged: int64[G], those with an indicator.
    """

    width: int
    kept: IntArray
    values: FloatArray
    flagged: IntArray

    @property
    def sources(self) -> IntArray:
        """The kept columns, then the flagged ones."""
        return np.concatenate([self.kept, self.flagged])

    def missing(self, before: BoolArray) -> BoolArray:
        """None."""
        del before
        return np.zeros(len(self.sources), dtype=np.bool_)

    def pulled_back(self, after: list[FloatArray]) -> list[FloatArray]:
        """Those of later steps: NaN, the only decision here, is tried in any case."""
        return by_source(self.sources[: len(self.kept)], self.width, after[: len(self.kept)])

    def add_nodes(self, graph: GraphBuilder, columns: str) -> str:
        """Add a Where over the kept columns, and the flags behind it."""
        parts = []
        if len(self.kept):
            kept = graph.node("kept", "Gather", columns, graph.constant("kept_columns", self.kept, np.int64), axis=1)
            values = graph.constant("values", self.values, np.float64)
            missing = graph.node("missing", "IsNaN", kept)
            parts.append(graph.node("imputed", "Where", missing, values, kept, doc="What stands in for NaN."))
        if len(self.flagged):
            at = graph.constant("flagged_columns", self.flagged, np.int64)
            flags = graph.node("flags", "IsNaN", graph.node("flagged", "Gather", columns, at, axis=1))
            parts.append(graph.cast("indicators", flags, TensorProto.DOUBLE))
        return graph.node("columns", "Concat", *parts, axis=1)


def read_imputer(imputer: SimpleImputer, width: int) -> Imputation:
    """A fitted imputer as numbers.

    Raises:
        NotExportableError: it replaces something else than NaN, or leaves no column.
    """
    _require_nan(imputer)
    kept = np.arange(width)
    if not imputer.keep_empty_features:
        kept = np.flatnonzero(~np.isnan(imputer.statistics_.astype(np.float64)))
    with warnings.catch_warnings():
        # Of the columns that it drops; those are read above.
        warnings.filterwarnings("ignore", message="Skipping features without any observed values")
        # Not from `statistics_`, which an imputer that was fitted on float32 rounds before use.
        filled = np.asarray(imputer.transform(np.full((1, width), np.nan)), dtype=np.float64)[0]
    flagged = imputer.indicator_.features_ if imputer.add_indicator else np.array([])
    if len(kept) + len(flagged) == 0:
        raise NotExportableError("SimpleImputer dropped every column: none was ever observed in training")
    return Imputation(width=width, kept=kept, values=filled[: len(kept)], flagged=flagged.astype(np.int64))


def read_indicator(indicator: MissingIndicator, width: int) -> Imputation:
    """A fitted `MissingIndicator`: flags, and no column else.

    Raises:
        NotExportableError: it flags something else than NaN, flags nothing, or fails on a value missing for the first
            time.
    """
    _require_nan(indicator)
    if indicator.features == "missing-only" and indicator.error_on_new:
        raise NotExportableError(
            "MissingIndicator fails where a feature is missing for the first time; set error_on_new=False or "
            "features='all'"
        )
    if len(indicator.features_) == 0:
        raise NotExportableError("MissingIndicator flags nothing: no feature was missing in training; leave it out")
    flagged = np.asarray(indicator.features_, dtype=np.int64)
    return Imputation(width=width, kept=np.array([], dtype=np.int64), values=np.array([]), flagged=flagged)


def _require_nan(step: SimpleImputer | MissingIndicator) -> None:
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise NotExportableError(
            f"expected {type(step).__name__}(missing_values=nan), got missing_values={step.missing_values!r}; a "
            "missing feature is NaN"
        )
