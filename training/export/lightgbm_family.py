"""LightGBM: its models as sums of trees, and what LightGBM and `shap` say of a row."""

from typing import Any, TypeAlias

import lightgbm
import numpy as np

from training.export.family import Adapter, Reference, Scale
from training.export.lightgbm_reader import ZERO_THRESHOLD, nan_features, read_lightgbm
from training.export.shap_package import import_shap
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray

_Model: TypeAlias = Any  # lightgbm.Booster or LGBMClassifier: LightGBM publishes no types


def _accepts(estimator: object) -> bool:
    return isinstance(estimator, lightgbm.Booster | lightgbm.LGBMClassifier)


def _booster(estimator: _Model) -> lightgbm.Booster:
    return estimator.booster_ if isinstance(estimator, lightgbm.LGBMModel) else estimator


def _read(estimator: _Model) -> TreeSum:
    return TreeSum(ensemble=read_lightgbm(_booster(estimator)), scale=Scale.LOG_ODDS)


def _reference(estimator: _Model, rows: Float32Array) -> Reference:
    """LightGBM's own `raw_score` and `pred_contrib`."""
    booster = _booster(estimator)
    explained = np.asarray(booster.predict(rows, pred_contrib=True), dtype=np.float64)
    scores = np.asarray(booster.predict(rows, raw_score=True), dtype=np.float64)
    return Reference(
        scores=scores[:, np.newaxis],
        contributions=explained[:, np.newaxis, :-1],
        base_values=explained[0, -1:],
    )


def _shap(estimator: _Model, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """The contributions by the `shap` package's own arithmetic, and the rows that they are for.

    `TreeExplainer` hands LightGBM models back to LightGBM; here it is made to use its own code on the trees that it
    read. That code sends NaN by the stored direction, LightGBM to where 0.0 goes if the feature was never missing in
    training; and LightGBM reads magnitudes up to `ZERO_THRESHOLD` as 0.0. Both are replaced by 0.0 in the rows
    returned.
    """
    booster = _booster(estimator)
    if not read_lightgbm(booster).trees:  # `shap` refuses a model without any split, whose contributions are all 0
        return rows, np.zeros((len(rows), 1, booster.num_feature()))
    explainer = import_shap().TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    read_as_zero = (np.isnan(rows) & ~nan_features(booster)) | (np.abs(rows) <= ZERO_THRESHOLD)
    rows = np.where(read_as_zero, np.float32(0), rows)
    values = explainer.shap_values(rows.astype(np.float64), check_additivity=False)
    return rows, np.asarray(values, dtype=np.float64)[:, np.newaxis, :]


ADAPTER = Adapter(
    supported="LGBMClassifier or lightgbm.Booster (binary)",
    accepts=_accepts,
    read=_read,
    reference=_reference,
    shap=_shap,
)
