"""scikit-learn's histogram gradient boosting: double thresholds, learned NaN directions, categorical splits.

A row is read as float64 and goes left if `x <= num_threshold`. A categorical feature is encoded first, its categories
in ascending order; a value that isn't one of them, or that no training row of the binning held, goes where NaN goes
(`sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx`). Covers are counts of training rows, as `shap` takes them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from training.export.categories import CategoryTest, CategoryTests, Vocabulary, grouped
from training.export.family import Adapter, Reference, Scale
from training.export.node_list import NodeList, summed
from training.export.shap_package import tree_shap
from training.export.sklearn_trees import SklearnEstimator, class_targets, require_matrix
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, IntArray, TreeEnsemble, round_down_to_float32

_LOG_LINKS = {"poisson", "gamma"}


def is_hist_gradient_boosting(estimator: object) -> bool:
    """Whether it is of this family."""
    return type(estimator) in {HistGradientBoostingClassifier, HistGradientBoostingRegressor}


def read_hist_gradient_boosting(estimator: SklearnEstimator) -> TreeSum:
    """The trees, their categorical tests and the baseline.

    Raises:
        NotExportableError: one class, or a data frame's columns.
    """
    require_matrix(estimator)
    class_targets(estimator)
    count = estimator.n_features_in_
    encoding = _encoding(estimator)
    predictors = [(target, one) for stage in estimator._predictors for target, one in enumerate(stage)]  # noqa: SLF001
    splits = [_category_splits(one, encoding) for _, one in predictors]
    distinct, places = grouped([test for tests in splits for test in tests.values()])
    lists, first = [], 0
    for (target, one), tests in zip(predictors, splits, strict=True):
        lists.append(_node_list(one, target, encoding, dict(zip(tests, count + places[first:], strict=False))))
        first += len(tests)
    split, constant = summed(lists, np.ravel(estimator._baseline_prediction))  # noqa: SLF001
    vocabularies = tuple(sorted(encoding.vocabularies.items()))
    return TreeSum(
        ensemble=TreeEnsemble(
            feature_count=count,
            trees=split,
            constant=constant,
            categories=CategoryTests(tests=distinct, vocabularies=vocabularies),
        ),
        scale=_scale(estimator),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    """How the estimator's columns come from the features.

    Attributes:
        features: per column its feature; the categorical ones come first.
        vocabularies: per categorical feature its categories that a float32 holds.
        codes: and their codes.
        known: per categorical feature the codes that a training row of the binning held.
    """

    features: IntArray
    vocabularies: dict[int, Vocabulary]
    codes: dict[int, list[int]]
    known: dict[int, set[int]]


def _encoding(estimator: SklearnEstimator) -> _Encoding:
    count = estimator.n_features_in_
    flags = estimator.is_categorical_
    if flags is None:
        return _Encoding(features=np.arange(count), vocabularies={}, codes={}, known={})
    features = np.concatenate([np.flatnonzero(flags), np.flatnonzero(~flags)])
    encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    bitsets, places = estimator._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
    vocabularies, codes, known = {}, {}, {}
    for column, categories in enumerate(encoder.categories_):
        feature = int(features[column])
        held = [(float(value), code) for code, value in enumerate(categories) if float(np.float32(value)) == value]
        vocabularies[feature] = Vocabulary(values=tuple(value for value, _ in held), whole=False)
        codes[feature] = [code for _, code in held]
        known[feature] = _codes_in(bitsets[places[column]])
    return _Encoding(features=features, vocabularies=vocabularies, codes=codes, known=known)


def _codes_in(bitset: NDArray[np.uint32]) -> set[int]:
    return set(np.flatnonzero((bitset[:, np.newaxis] >> np.arange(32, dtype=np.uint32)) & 1).tolist())


def _category_splits(predictor: Any, encoding: _Encoding) -> dict[int, CategoryTest]:
    """Per categorical node of a tree what it asks."""
    nodes = predictor.nodes
    found = {}
    for node in np.flatnonzero((nodes["is_categorical"] != 0) & (nodes["is_leaf"] == 0)).tolist():
        feature = int(encoding.features[nodes["feature_idx"][node]])
        chosen = _codes_in(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        otherwise = bool(nodes["missing_go_to_left"][node])
        vocabulary = encoding.vocabularies[feature]
        goes_left = {
            value
            for value, code in zip(vocabulary.values, encoding.codes[feature], strict=True)
            if code in chosen or (code not in encoding.known[feature] and otherwise)
        }
        found[node] = CategoryTest(
            feature=feature, left=vocabulary.set_of(goes_left, others=otherwise, missing=otherwise)
        )
    return found


def _node_list(predictor: Any, target: int, encoding: _Encoding, columns: dict[int, int]) -> NodeList:
    """A tree's nodes; those in `columns` are categorical and read that column of answers."""
    nodes = predictor.nodes
    column = encoding.features[np.where(nodes["is_leaf"] != 0, 0, nodes["feature_idx"])]
    threshold = round_down_to_float32(nodes["num_threshold"])
    nan_goes_left = nodes["missing_go_to_left"] != 0
    asked = list(columns)
    column[asked], threshold[asked], nan_goes_left[asked] = list(columns.values()), 0.5, False
    return NodeList(
        is_leaf=nodes["is_leaf"] != 0,
        column=column,
        threshold=threshold,
        nan_goes_left=nan_goes_left,
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        cover=nodes["count"].astype(np.float64),
        value=nodes["value"][:, np.newaxis].copy(),
        targets=(target,),
    )


def _scale(estimator: SklearnEstimator) -> Scale:
    if is_classifier(estimator):
        return Scale.LOG_ODDS
    return Scale.LOG_OUTCOME if estimator.loss in _LOG_LINKS else Scale.OUTCOME


def _reference(estimator: SklearnEstimator, rows: Float32Array) -> Reference:
    """The estimator's own scores and what it serves; scikit-learn has no contributions."""
    if is_classifier(estimator):
        scores = estimator.decision_function(rows)
        served = estimator.predict_proba(rows)[:, list(class_targets(estimator))]
    else:
        served = estimator.predict(rows)
        scores = np.log(served) if estimator.loss in _LOG_LINKS else served
    by_target = (len(rows), -1)
    return Reference(
        scores=np.asarray(scores, dtype=np.float64).reshape(by_target),
        contributions=None,
        base_values=None,
        served=np.asarray(served, dtype=np.float64).reshape(by_target),
    )


def _shap(estimator: SklearnEstimator, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`shap`'s own arithmetic on scikit-learn's trees, float64[N, K, F]; no row where splits are categorical."""
    by_target = list(zip(*estimator._predictors, strict=True))  # noqa: SLF001
    if estimator.is_categorical_ is not None:
        return rows[:0], np.zeros((0, len(by_target), rows.shape[1]))
    explained = [tree_shap([(_as_shap_reads(one.nodes), {}) for one in trees], rows) for trees in by_target]
    return rows, np.concatenate(explained, axis=1)


def _as_shap_reads(nodes: Any) -> dict[str, NDArray[Any]]:
    leaf = nodes["is_leaf"] != 0
    default = np.where(nodes["missing_go_to_left"] != 0, nodes["left"], nodes["right"])
    return {
        "children_left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
        "children_right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
        "children_default": np.where(leaf, -1, default.astype(np.int64)),
        "features": np.where(leaf, -2, nodes["feature_idx"]),
        "thresholds": nodes["num_threshold"].copy(),
        "values": nodes["value"][:, np.newaxis].copy(),
        "node_sample_weight": nodes["count"].astype(np.float64),
    }


ADAPTER = Adapter(
    supported="scikit-learn's HistGradientBoosting, Classifier or Regressor",
    accepts=is_hist_gradient_boosting,
    read=read_hist_gradient_boosting,
    reference=_reference,
    shap=_shap,
)
