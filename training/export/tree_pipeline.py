"""Trees behind a SimpleImputer: its columns are folded into the trees, so that they test the features themselves.

A missing value is tested as what stands in for it, so NaN goes where that goes; a missing indicator is a test that
every value passes and NaN doesn't. So the tests of a feature's value and of its indicator are tests of one feature, and
its contribution is that of the clinical quantity. `shap`, which sees columns, has two there, whose sum is another one.
"""

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from training.export import forest, gradient_boosting, hist_gradient_boosting, lightgbm_family, xgboost_family
from training.export.errors import NotExportableError
from training.export.family import Adapter, Reference
from training.export.sklearn_trees import require_matrix
from training.export.tree_sum import TreeSum
from training.export.trees import BoolArray, Float32Array, FloatArray, IntArray, Tree

_Imputer: TypeAlias = Any  # sklearn.impute.SimpleImputer: scikit-learn publishes no types

_BEHIND = (
    forest.COMPLETE,
    gradient_boosting.COMPLETE,
    hist_gradient_boosting.ADAPTER,
    lightgbm_family.ADAPTER,
    xgboost_family.ADAPTER,
)


def _accepts(estimator: object) -> bool:
    return isinstance(estimator, Pipeline) and any(adapter.accepts(estimator.steps[-1][1]) for adapter in _BEHIND)


def _adapter(pipeline: Pipeline) -> Adapter:
    return next(adapter for adapter in _BEHIND if adapter.accepts(pipeline[-1]))


def _behind(pipeline: Pipeline) -> TreeSum:
    """The trees on the imputer's columns."""
    read = _adapter(pipeline).read(pipeline[-1])
    assert isinstance(read, TreeSum)  # noqa: S101 - every family in _BEHIND reads trees
    return read


def read_tree_pipeline(pipeline: Pipeline) -> TreeSum:
    """The trees on the pipeline's inputs.

    Raises:
        NotExportableError: other steps, an imputer of other values than NaN, or what the trees' own family refuses.
    """
    imputer = _imputer(pipeline)
    behind = _behind(pipeline)
    if behind.ensemble.categories.tests:
        raise NotExportableError(
            "a tree behind the imputer has a categorical split; declare one 0/1 feature per category (aggregate "
            "`present`), or use the trees without an imputer"
        )
    columns = _columns(imputer)
    trees = tuple(_on_features(tree, *columns) for tree in behind.ensemble.trees)
    return replace(behind, ensemble=replace(behind.ensemble, feature_count=int(imputer.n_features_in_), trees=trees))


def _imputer(pipeline: Pipeline) -> _Imputer:
    steps = [type(step).__name__ for _, step in pipeline.steps]
    imputer = pipeline[0]
    if len(steps) != 2 or type(imputer) is not SimpleImputer:  # noqa: PLR2004 - the imputer and the trees
        raise NotExportableError(
            f"expected a Pipeline of SimpleImputer and {steps[-1]}, got the steps {', '.join(steps)}; trees need no "
            "scaler, and categories are 0/1 features (aggregate `present`)"
        )
    require_matrix(imputer)
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise NotExportableError(f"expected SimpleImputer(missing_values=nan), got {imputer.missing_values!r}")
    return imputer


def _columns(imputer: _Imputer) -> tuple[IntArray, BoolArray, Float32Array]:
    """Per column behind the imputer its feature, whether it is an indicator, and what a missing value becomes.

    Rows are float32, so the imputer writes its statistics in float32.
    """
    statistics = np.asarray(imputer.statistics_, dtype=np.float64)
    kept = np.flatnonzero(~np.isnan(statistics))
    flagged = imputer.indicator_.features_ if imputer.add_indicator else np.array([], dtype=np.int64)
    stand_in = np.concatenate([statistics[kept], np.ones(len(flagged))]).astype(np.float32)
    return np.concatenate([kept, flagged]), np.arange(len(stand_in)) >= len(kept), stand_in


def _on_features(tree: Tree, features: IntArray, indicator: BoolArray, stand_in: Float32Array) -> Tree:
    """The tree with each test of a column turned into the test of its feature that decides the same."""
    flagged = indicator[tree.column]
    of_present = np.where(tree.threshold >= 0, np.float32(np.inf), np.float32(-np.inf))  # an indicator of 0
    return replace(
        tree,
        column=features[tree.column],
        threshold=np.where(flagged, of_present, tree.threshold),
        nan_goes_left=stand_in[tree.column] <= tree.threshold,
    )


def _reference(pipeline: Pipeline, rows: Float32Array) -> Reference:
    """What the trees' own family says of the imputed rows; contributions only where no indicator takes part."""
    adapter, imputer = _adapter(pipeline), _imputer(pipeline)
    reference = adapter.reference(pipeline[-1], imputer.transform(rows))
    if reference.contributions is None or _tests_indicators(pipeline):
        return replace(reference, contributions=None)
    return replace(reference, contributions=_by_feature(imputer, reference.contributions))


def _shap(pipeline: Pipeline, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`shap` on the imputed rows, where no indicator takes part; else no row."""
    adapter, imputer = _adapter(pipeline), _imputer(pipeline)
    if adapter.shap is None or _tests_indicators(pipeline):
        return rows[:0], np.zeros((0, 1, rows.shape[1]))
    imputed = imputer.transform(rows)
    explained, values = adapter.shap(pipeline[-1], imputed)
    return rows[: len(explained)], _by_feature(imputer, values)


def _tests_indicators(pipeline: Pipeline) -> bool:
    """Whether any tree has a split on a missing indicator."""
    _, indicator, _ = _columns(_imputer(pipeline))
    return any(bool(indicator[tree.column].any()) for tree in _behind(pipeline).ensemble.trees)


def _by_feature(imputer: _Imputer, values: FloatArray) -> FloatArray:
    """Contributions of the imputer's columns as those of its features, [N, K, F]."""
    features, indicator, _ = _columns(imputer)
    placed = np.zeros((*values.shape[:2], imputer.n_features_in_))
    placed[:, :, features[~indicator]] = values[:, :, ~indicator]
    return placed


ADAPTER = Adapter(
    supported="a Pipeline of SimpleImputer and one of the trees",
    accepts=_accepts,
    read=read_tree_pipeline,
    reference=_reference,
    shap=_shap,
)
