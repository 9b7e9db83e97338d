"""LightGBM: its models as sums of trees, and what LightGBM and `shap` say of a row."""

from typing import Any, TypeAlias

import lightgbm
import numpy as np

from training.export.family import Adapter, Reference
from training.export.lightgbm_reader import ZERO_THRESHOLD, nan_features, objective_of, read_lightgbm
from training.export.shap_package import explained_by, import_shap
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray

_Model: TypeAlias = Any  # lightgbm.Booster, LGBMClassifier or LGBMRegressor: LightGBM publishes no types


def _accepts(estimator: object) -> bool:
    return isinstance(estimator, lightgbm.Booster | lightgbm.LGBMClassifier | lightgbm.LGBMRegressor)


def _booster(estimator: _Model) -> lightgbm.Booster:
    return estimator.booster_ if isinstance(estimator, lightgbm.LGBMModel) else estimator


def _read(estimator: _Model) -> TreeSum:
    booster = _booster(estimator)
    return TreeSum(ensemble=read_lightgbm(booster), scale=objective_of(booster).scale)


def _reference(estimator: _Model, rows: Float32Array) -> Reference:
    """LightGBM's own `raw_score` and `pred_contrib`, on the scale of its objective, and what it serves."""
    booster = _booster(estimator)
    objective = objective_of(booster)
    by_class = (len(rows), objective.target_count, -1)
    explained = np.asarray(booster.predict(rows, pred_contrib=True), dtype=np.float64).reshape(by_class)
    scores = np.asarray(booster.predict(rows, raw_score=True), dtype=np.float64)
    return Reference(
        scores=scores.reshape(len(rows), -1) * objective.factor,
        contributions=explained[:, :, :-1] * objective.factor,
        base_values=explained[0, :, -1] * objective.factor,
        served=np.asarray(booster.predict(rows), dtype=np.float64).reshape(len(rows), -1),
    )


def _shap(estimator: _Model, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """The contributions by the `shap` package's own arithmetic, and the rows that they are for.

    `TreeExplainer` hands LightGBM models back to LightGBM; here it is made to use its own code on the trees that it
    read. That code sends NaN by the stored direction, LightGBM to where 0.0 goes if the feature was never missing in
    training; and LightGBM reads magnitudes up to `ZERO_THRESHOLD` as 0.0. Both are replaced by 0.0 in the rows
    returned. It knows no categorical splits: no row is returned for a model with any.
    """
    booster = _booster(estimator)
    ensemble, objective = read_lightgbm(booster), objective_of(booster)
    if ensemble.categories.tests:
        return rows[:0], np.zeros((0, ensemble.target_count, ensemble.feature_count))
    if not ensemble.trees:  # `shap` refuses a model without any split, whose contributions are all 0
        return rows, np.zeros((len(rows), ensemble.target_count, ensemble.feature_count))
    trees = import_shap().TreeExplainer(booster, feature_perturbation="tree_path_dependent").model.trees
    read_as_zero = (np.isnan(rows) & ~nan_features(booster)) | (np.abs(rows) <= ZERO_THRESHOLD)
    rows = np.where(read_as_zero, np.float32(0), rows)
    by_target = [explained_by(trees[target :: ensemble.target_count], rows) for target in range(ensemble.target_count)]
    return rows, np.concatenate(by_target, axis=1) * objective.factor


ADAPTER = Adapter(
    supported="LGBMClassifier, LGBMRegressor or lightgbm.Booster",
    accepts=_accepts,
    read=_read,
    reference=_reference,
    shap=_shap,
)
