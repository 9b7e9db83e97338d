"""What the libraries themselves say about a row, in double precision: the other side of every parity proof."""

import warnings
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from sklearn.pipeline import Pipeline

from training.export.calibration import Calibration
from training.export.errors import NotExportableError
from training.export.lightgbm_reader import ZERO_THRESHOLD, nan_features
from training.export.trees import Float32Array, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Calibrated logits float64[N], contributions float64[N, F], and the base value."""

    logit: FloatArray
    contributions: FloatArray
    base_value: float


def reference_of(estimator: object, calibration: Calibration, rows: Float32Array) -> Reference:
    """The estimator's own logit and contributions: LightGBM's `pred_contrib`, or a linear model's closed form."""
    match estimator:
        case lightgbm.LGBMClassifier():
            return _of_booster(estimator.booster_, calibration, rows)
        case lightgbm.Booster():
            return _of_booster(estimator, calibration, rows)
        case Pipeline():
            return _of_pipeline(estimator, calibration, rows)
        case _:
            raise NotExportableError(f"{type(estimator).__name__} has no reference to prove a graph against")


def shap_reference(estimator: object, calibration: Calibration, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """The contributions by the `shap` package's own arithmetic, and the rows that they are for.

    `TreeExplainer` hands LightGBM models back to LightGBM; here it is made to use its own code on the trees that it
    read. That code sends NaN by the stored direction, LightGBM to where 0.0 goes if the feature was never missing in
    training; and LightGBM reads magnitudes up to `ZERO_THRESHOLD` as 0.0. Both are replaced by 0.0 in the rows
    returned.
    """
    if isinstance(estimator, Pipeline):
        return rows, _shap_of_pipeline(estimator, rows) * calibration.slope
    booster = estimator.booster_ if isinstance(estimator, lightgbm.LGBMClassifier) else estimator
    shap = _import_shap()
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    read_as_zero = (np.isnan(rows) & ~nan_features(booster)) | (np.abs(rows) <= ZERO_THRESHOLD)
    rows = np.where(read_as_zero, np.float32(0), rows)
    values = explainer.shap_values(rows.astype(np.float64), check_additivity=False)
    return rows, np.asarray(values, dtype=np.float64) * calibration.slope


def _of_booster(booster: lightgbm.Booster, calibration: Calibration, rows: Float32Array) -> Reference:
    explained = np.asarray(booster.predict(rows, pred_contrib=True), dtype=np.float64)
    raw = np.asarray(booster.predict(rows, raw_score=True), dtype=np.float64)
    return Reference(
        logit=raw * calibration.slope + calibration.intercept,
        contributions=explained[:, :-1] * calibration.slope,
        base_value=float(explained[0, -1] * calibration.slope + calibration.intercept),
    )


def _of_pipeline(pipeline: Pipeline, calibration: Calibration, rows: Float32Array) -> Reference:
    """From the pipeline's own steps, on doubles: scikit-learn would round in float32 between the steps."""
    raw = np.asarray(pipeline.decision_function(rows.astype(np.float64)), dtype=np.float64)
    standardised = pipeline[:-1].transform(rows.astype(np.float64))
    shares = _by_feature(pipeline, standardised * pipeline[-1].coef_[0])
    return Reference(
        logit=raw * calibration.slope + calibration.intercept,
        contributions=shares * calibration.slope,
        base_value=float(pipeline[-1].intercept_[0] * calibration.slope + calibration.intercept),
    )


def _shap_of_pipeline(pipeline: Pipeline, rows: Float32Array) -> FloatArray:
    """`LinearExplainer` on the standardised columns, whose background mean is 0."""
    regression = pipeline[-1]
    standardised = pipeline[:-1].transform(rows.astype(np.float64))
    count = regression.coef_.shape[1]
    explainer = _import_shap().LinearExplainer(
        (regression.coef_[0], regression.intercept_[0]), (np.zeros(count), np.eye(count))
    )
    return _by_feature(pipeline, np.asarray(explainer.shap_values(standardised), dtype=np.float64))


def _by_feature(pipeline: Pipeline, shares: FloatArray) -> FloatArray:
    """Shares of the imputer's output columns summed by input feature, by the names that scikit-learn gives them."""
    imputer = pipeline[0]
    inputs = [f"x{position}" for position in range(imputer.n_features_in_)]
    summed = np.zeros((len(shares), len(inputs)))
    for column, name in enumerate(imputer.get_feature_names_out(inputs)):
        summed[:, inputs.index(name.removeprefix("missingindicator_"))] += shares[:, column]
    return summed


def _import_shap() -> Any:
    """Import `shap` when it is needed: it takes a second, and warns of a matplotlib deprecation of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap  # noqa: PLC0415 - see the docstring
    return shap
