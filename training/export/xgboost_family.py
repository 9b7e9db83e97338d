"""XGBoost, an optional extra: its models as sums of trees, and what XGBoost and `shap` say of a row."""

from typing import Any

import numpy as np

from training.export.family import Adapter, Reference
from training.export.links import served_of
from training.export.shap_package import explained_by, import_shap
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, IntArray
from training.export.xgboost_reader import XGBoostModel, XGBoostTrees, booster_of, parse_xgboost, read_xgboost

_KINDS = {"Booster", "XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"}


def _accepts(estimator: object) -> bool:
    """By name: whoever holds such an estimator has XGBoost, nobody else needs it."""
    kind = type(estimator)
    return kind.__module__.split(".")[0] == "xgboost" and kind.__name__ in _KINDS


def _read(estimator: XGBoostModel) -> TreeSum:
    parsed = parse_xgboost(estimator)
    return TreeSum(ensemble=read_xgboost(parsed), scale=parsed.scale)


def _reference(estimator: XGBoostModel, rows: Float32Array) -> Reference:
    """XGBoost's own leaves, and what follows from them in double precision.

    XGBoost adds its leaves, and its contributions, in float32: where leaves are large that alone is more than the
    proof allows. A score here is the sum of the values of the leaves that XGBoost says it reached, what is served
    follows from it, and the contributions are `shap`'s, in double, on the trees that it read of XGBoost.
    """
    parsed = parse_xgboost(estimator)
    leaves = booster_of(estimator).predict(
        _matrix(rows), pred_leaf=True, iteration_range=(0, parsed.iterations), strict_shape=True
    )
    scores = _scores(parsed, np.asarray(leaves, dtype=np.int64).reshape(len(rows), -1))
    contributions = _shap(estimator, rows)[1]
    return Reference(
        scores=scores,
        contributions=contributions,
        base_values=scores[0] - contributions[0].sum(axis=1),
        served=served_of(parsed.scale, scores),
    )


def _matrix(rows: Float32Array) -> Any:
    import xgboost  # noqa: PLC0415 - an optional extra

    return xgboost.DMatrix(rows, missing=np.nan, nthread=1)


def _scores(parsed: XGBoostTrees, leaves: IntArray) -> FloatArray:
    """The sums of the values of the leaves reached, int64[N, trees], and the base scores: float64[N, K]."""
    scores = np.tile(parsed.base_scores, (len(leaves), 1))
    for tree, target, reached in zip(parsed.trees, parsed.targets, leaves.T, strict=True):
        scores[:, target] += np.array(tree["split_conditions"], dtype=np.float32)[reached]
    return scores


def _shap(estimator: XGBoostModel, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """The contributions by `shap`'s own arithmetic on the trees that it read; as it comes, it asks XGBoost."""
    parsed = parse_xgboost(estimator)
    trees = import_shap().TreeExplainer(booster_of(estimator)).model.trees
    of_target = [np.flatnonzero(parsed.targets == target) for target in range(len(parsed.base_scores))]
    values = [explained_by([trees[at] for at in mine], rows) for mine in of_target]
    return rows, np.concatenate(values, axis=1)


ADAPTER = Adapter(
    supported="XGBClassifier, XGBRegressor or xgboost.Booster (an optional extra)",
    accepts=_accepts,
    read=_read,
    reference=_reference,
    shap=_shap,
)
