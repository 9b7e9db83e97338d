"""scikit-learn's classic gradient boosting: an initial score and the sum of its trees, scaled by the learning rate.

It takes no missing values; it is exported behind a SimpleImputer (`tree_pipeline`).
"""

from dataclasses import replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from training.export.errors import NotExportableError
from training.export.family import Adapter, Reference, Scale
from training.export.node_list import summed
from training.export.shap_package import tree_shap
from training.export.sklearn_trees import (
    SklearnEstimator,
    class_targets,
    read_sklearn_tree,
    require_matrix,
    require_missing,
)
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, TreeEnsemble


def is_gradient_boosting(estimator: object) -> bool:
    """Whether it is of this family."""
    return type(estimator) in {GradientBoostingClassifier, GradientBoostingRegressor}


def read_gradient_boosting(estimator: SklearnEstimator) -> TreeSum:
    """The trees and the initial score, for rows in which nothing is missing.

    Raises:
        NotExportableError: an initial estimator that reads the row, one class, or a data frame's columns.
    """
    require_matrix(estimator)
    class_targets(estimator)
    if estimator.init_ != "zero" and type(estimator.init_) not in {DummyClassifier, DummyRegressor}:
        raise NotExportableError(
            f"expected init=None or 'zero', got {type(estimator.init_).__name__}; its prediction of a row has no "
            "part in the trees"
        )
    factor = _factor(estimator)
    rate = estimator.learning_rate * factor
    lists = [
        read_sklearn_tree(member.tree_, member.tree_.value[:, 0] * rate, (target,))
        for stage in estimator.estimators_
        for target, member in enumerate(stage)
    ]
    split, constant = summed(lists, _initial(estimator) * factor)
    return TreeSum(
        ensemble=TreeEnsemble(feature_count=estimator.n_features_in_, trees=split, constant=constant),
        scale=Scale.LOG_ODDS if is_classifier(estimator) else Scale.OUTCOME,
    )


def gradient_boosting_reference(estimator: SklearnEstimator, rows: Float32Array) -> Reference:
    """The estimator's own scores and what it serves; scikit-learn has no contributions."""
    if is_classifier(estimator):
        scores = np.asarray(estimator.decision_function(rows), dtype=np.float64) * _factor(estimator)
        served = estimator.predict_proba(rows)[:, list(class_targets(estimator))]
    else:
        scores = served = np.asarray(estimator.predict(rows), dtype=np.float64)
    by_target = (len(rows), -1)
    return Reference(
        scores=scores.reshape(by_target),
        contributions=None,
        base_values=None,
        served=np.asarray(served, dtype=np.float64).reshape(by_target),
    )


def gradient_boosting_shap(estimator: SklearnEstimator, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`shap`'s own arithmetic on scikit-learn's trees, target by target: float64[N, K, F]."""
    settings = {"scaling": estimator.learning_rate * _factor(estimator)}
    by_target = [[(member.tree_, settings) for member in column] for column in estimator.estimators_.T]
    return rows, np.concatenate([tree_shap(trees, rows) for trees in by_target], axis=1)


def _factor(estimator: SklearnEstimator) -> float:
    """What a score is multiplied by to be the log-odds: the exponential loss has half of them."""
    return 2.0 if is_classifier(estimator) and estimator.loss == "exponential" else 1.0


def _initial(estimator: SklearnEstimator) -> FloatArray:
    """The initial scores [K]: what a row's score has besides its trees."""
    row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    score = estimator.decision_function(row) if is_classifier(estimator) else estimator.predict(row)
    trees = [[member.predict(row)[0] for member in stage] for stage in estimator.estimators_]
    return np.asarray(np.ravel(score) - estimator.learning_rate * np.sum(trees, axis=0), dtype=np.float64)


def _read(estimator: SklearnEstimator) -> TreeSum:
    require_missing(estimator)
    return read_gradient_boosting(estimator)


ADAPTER = Adapter(
    supported="scikit-learn's GradientBoosting, Classifier or Regressor, behind a SimpleImputer",
    accepts=is_gradient_boosting,
    read=_read,
    reference=gradient_boosting_reference,
    shap=gradient_boosting_shap,
)

# For rows in which nothing is missing: behind an imputer.
COMPLETE = replace(ADAPTER, read=read_gradient_boosting)
