"""scikit-learn's own trees, which its forests, single trees and classic gradient boosting are made of.

A row is read as float32 and goes left if `x <= threshold`, a double; NaN goes the learned way (`missing_go_to_left`,
scikit-learn's `sklearn/tree/_tree.pyx`). Covers are the training rows' weights, as `shap` takes them.
"""

from typing import Any, TypeAlias

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from training.export.errors import NotExportableError
from training.export.node_list import NodeList
from training.export.trees import FloatArray, round_down_to_float32

SklearnTree: TypeAlias = Any  # sklearn.tree._tree.Tree: scikit-learn publishes no types
SklearnEstimator: TypeAlias = Any


def read_sklearn_tree(tree: SklearnTree, value: FloatArray, targets: tuple[int, ...]) -> NodeList:
    """A fitted tree whose nodes have these values, [nodes, T], for T targets."""
    return NodeList(
        is_leaf=tree.children_left < 0,
        column=tree.feature.astype(np.int64),
        threshold=round_down_to_float32(tree.threshold),
        nan_goes_left=np.asarray(tree.missing_go_to_left, dtype=np.bool_),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        cover=np.asarray(tree.weighted_n_node_samples, dtype=np.float64),
        value=value,
        targets=targets,
    )


def class_targets(estimator: SklearnEstimator) -> tuple[int, ...]:
    """The classes that become targets, as positions in `classes_`: the second of two, else each; (0,) of a regressor.

    Raises:
        NotExportableError: there is only one class.
    """
    if not is_classifier(estimator):
        return (0,)
    if len(estimator.classes_) == 1:
        raise NotExportableError("expected two or more classes, got one; train on rows with both outcomes")
    return (1,) if len(estimator.classes_) == 2 else tuple(range(len(estimator.classes_)))  # noqa: PLR2004 - binary


def require_matrix(estimator: SklearnEstimator) -> None:
    """Refuse an estimator fitted on a data frame.

    Raises:
        NotExportableError: it knows its columns by name.
    """
    if hasattr(estimator, "feature_names_in_"):
        raise NotExportableError(
            f"{type(estimator).__name__} was fitted on a data frame; fit it on the float32 feature matrix, names go to "
            "`export`"
        )


def takes_missing(estimator: SklearnEstimator) -> bool:
    """Whether the fitted estimator gives a prediction for a row with NaN."""
    members = getattr(estimator, "estimators_", None)
    judged = estimator if members is None else np.ravel(members)[0]
    return bool(get_tags(judged).input_tags.allow_nan and get_tags(estimator).input_tags.allow_nan)


def require_missing(estimator: SklearnEstimator) -> None:
    """Refuse an estimator that fails on NaN: a graph would give a risk where the library gives an error.

    Raises:
        NotExportableError: it refuses NaN.
    """
    if not takes_missing(estimator):
        raise NotExportableError(
            f"{type(estimator).__name__} takes no missing values as it is set; put it behind a SimpleImputer in a "
            "Pipeline"
        )
