"""Reads scikit-learn's transformers, and pipelines of them, into a `Preparation`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, SplineTransformer

from training.export.encoding import read_encoder
from training.export.errors import NotExportableError
from training.export.imputation import read_imputer, read_indicator
from training.export.preparation import Parallel, Preparation, Step
from training.export.scaling import SCALERS, read_scaler
from training.export.selection import Selection
from training.export.splines import read_splines
from training.export.trees import IntArray

_Transformer: TypeAlias = Any  # scikit-learn publishes no types
Steps: TypeAlias = Sequence[tuple[str, _Transformer]]

SUPPORTED_STEPS = (
    "SimpleImputer, MissingIndicator, StandardScaler, MinMaxScaler, RobustScaler, MaxAbsScaler, OneHotEncoder, "
    "SplineTransformer, ColumnTransformer and FeatureUnion"
)


def read_steps(steps: Steps, width: int) -> Preparation:
    """Fitted transformers in a row, of `width` columns.

    Raises:
        NotExportableError: one of them, or a setting of it, has no exact graph with columns of one feature each.
    """
    read: list[tuple[str, Step]] = []
    count = width
    for name, transformer in steps:
        step = _read(transformer, count)
        if step is not None:
            read.append((name, step))
            count = len(step.sources)
    return Preparation(width=width, steps=tuple(read))


def split(estimator: _Transformer) -> tuple[list[tuple[str, _Transformer]], _Transformer]:
    """The steps in front of the last estimator, and that one; pipelines within pipelines are opened."""
    if not isinstance(estimator, Pipeline):
        return [], estimator
    before, last = split(estimator.steps[-1][1])
    return [*estimator.steps[:-1], *before], last


def behind(steps: Steps, estimator: _Transformer) -> _Transformer:
    """A fitted estimator behind fitted steps, as a pipeline; the estimator itself where there are none."""
    return Pipeline([*steps, ("estimator", estimator)]) if steps else estimator


def _read(transformer: _Transformer, width: int) -> Step | None:
    """One transformer; None for one that changes nothing."""
    if transformer == "passthrough" or transformer is None:
        return None
    if hasattr(transformer, "feature_names_in_"):
        raise NotExportableError(
            f"{type(transformer).__name__} was fitted on a data frame; fit on the float32 feature matrix, names go to "
            "`export`"
        )
    for kinds, reader in _READERS:
        if type(transformer) in kinds:
            return reader(transformer, width)
    raise NotExportableError(
        f"{type(transformer).__name__} has no exact graph in front of an estimator; use {SUPPORTED_STEPS}"
    )


def _read_pipeline(pipeline: Pipeline, width: int) -> Preparation:
    return read_steps(pipeline.steps, width)


def _read_columns(transformer: ColumnTransformer, width: int) -> Parallel:
    if transformer.transformer_weights:
        raise NotExportableError("ColumnTransformer(transformer_weights=) has no exact graph; leave the weights out")
    branches = [
        (name, _positions(columns, width), step) for name, step, columns in transformer.transformers_ if step != "drop"
    ]
    return _parallel([branch for branch in branches if len(branch[1])], width)


def _read_union(union: FeatureUnion, width: int) -> Parallel:
    if union.transformer_weights:
        raise NotExportableError("FeatureUnion(transformer_weights=) has no exact graph; leave the weights out")
    steps = [(name, step) for name, step in union.transformer_list if step != "drop"]
    return _parallel([(name, np.arange(width), step) for name, step in steps], width)


def _parallel(branches: list[tuple[str, IntArray, _Transformer]], width: int) -> Parallel:
    if not branches:
        raise NotExportableError("expected a transformer that leaves a column; all are dropped")
    return Parallel(
        width=width,
        branches=tuple((name, taken, read_steps([("step", step)], len(taken))) for name, taken, step in branches),
    )


def _positions(columns: object, width: int) -> IntArray:
    """The positions that a ColumnTransformer's list, slice or mask means."""
    if isinstance(columns, slice):
        return np.arange(width)[columns]
    found = np.asarray(columns)
    if found.size and not (np.issubdtype(found.dtype, np.integer) or found.dtype == np.bool_):
        raise NotExportableError("expected ColumnTransformer's columns by position; names belong to a data frame")
    return np.arange(width)[found] if found.size else np.array([], dtype=np.int64)


def _read_function(transformer: FunctionTransformer, width: int) -> None:
    del width
    if transformer.func is not None:
        raise NotExportableError(
            "FunctionTransformer runs Python, which no graph holds; compute the value as a feature, or use "
            f"{SUPPORTED_STEPS}"
        )


def _read_polynomial(transformer: PolynomialFeatures, width: int) -> Selection:
    powers = transformer.powers_
    if powers.sum(axis=1).max(initial=0) > 1:
        raise NotExportableError(
            "PolynomialFeatures of degree 2 or more has no exact graph: products belong to no feature, and powers "
            "leave the numbers that float32 holds; use SplineTransformer for each feature, or trees"
        )
    return Selection(width=width, sources=np.where(powers.sum(axis=1) == 1, powers.argmax(axis=1), -1))


_READERS: tuple[tuple[tuple[type, ...], Callable[..., Step | None]], ...] = (
    ((SimpleImputer,), read_imputer),
    ((MissingIndicator,), read_indicator),
    (SCALERS, read_scaler),
    ((OneHotEncoder,), read_encoder),
    ((SplineTransformer,), lambda transformer, _: read_splines(transformer)),
    ((PolynomialFeatures,), _read_polynomial),
    ((FunctionTransformer,), _read_function),
    ((ColumnTransformer,), _read_columns),
    ((FeatureUnion,), _read_union),
    ((Pipeline,), _read_pipeline),
)
