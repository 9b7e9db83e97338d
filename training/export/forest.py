"""scikit-learn's random forests, extra trees and single trees: means of shares of the training rows in a leaf.

A classifier's score is a probability; a calibration line from it to the log-odds is folded into the leaves.
"""

from dataclasses import replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from training.export.errors import NotExportableError
from training.export.family import Adapter, Reference, Scale
from training.export.node_list import summed
from training.export.shap_package import tree_shap
from training.export.sklearn_trees import (
    SklearnEstimator,
    SklearnTree,
    class_targets,
    read_sklearn_tree,
    require_matrix,
    require_missing,
)
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, TreeEnsemble

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
SINGLE_TREES = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)


def is_forest(estimator: object) -> bool:
    """Whether it is of this family."""
    return type(estimator) in {*FORESTS, *SINGLE_TREES}


def read_forest(estimator: SklearnEstimator) -> TreeSum:
    """The mean of the trees, for rows in which nothing is missing if the estimator takes no missing values.

    Raises:
        NotExportableError: several outcomes at once, one class, or a data frame's columns.
    """
    require_matrix(estimator)
    if estimator.n_outputs_ != 1:
        raise NotExportableError(f"expected one outcome, got {estimator.n_outputs_}; train one estimator per outcome")
    picked = class_targets(estimator)
    targets = tuple(range(len(picked)))
    trees = _trees(estimator)
    lists = [
        read_sklearn_tree(tree, tree.value[:, 0, list(picked)].astype(np.float64) / len(trees), targets)
        for tree in trees
    ]
    split, constant = summed(lists, np.zeros(len(picked)))
    return TreeSum(
        ensemble=TreeEnsemble(feature_count=estimator.n_features_in_, trees=split, constant=constant),
        scale=Scale.PROBABILITY if is_classifier(estimator) else Scale.OUTCOME,
    )


def forest_reference(estimator: SklearnEstimator, rows: Float32Array) -> Reference:
    """The estimator's own shares or predictions; scikit-learn has no contributions."""
    if is_classifier(estimator):
        scores = estimator.predict_proba(rows)[:, list(class_targets(estimator))]
    else:
        scores = estimator.predict(rows)[:, np.newaxis]
    scores = np.asarray(scores, dtype=np.float64)
    return Reference(scores=scores, contributions=None, base_values=None, served=scores)


def forest_shap(estimator: SklearnEstimator, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`shap`'s own arithmetic on scikit-learn's trees, float64[N, K, F]."""
    trees = _trees(estimator)
    settings = {"normalize": is_classifier(estimator), "scaling": 1 / len(trees)}
    values = tree_shap([(tree, settings) for tree in trees], rows)
    return rows, values[:, list(class_targets(estimator))]


def _trees(estimator: SklearnEstimator) -> list[SklearnTree]:
    members = estimator.estimators_ if isinstance(estimator, FORESTS) else [estimator]
    return [member.tree_ for member in members]


def _read(estimator: SklearnEstimator) -> TreeSum:
    require_missing(estimator)
    return read_forest(estimator)


ADAPTER = Adapter(
    supported="scikit-learn's RandomForest, ExtraTrees, DecisionTree and ExtraTree, Classifier or Regressor",
    accepts=is_forest,
    read=_read,
    reference=forest_reference,
    shap=forest_shap,
)

# For rows in which nothing is missing: behind an imputer.
COMPLETE = replace(ADAPTER, read=read_forest)
