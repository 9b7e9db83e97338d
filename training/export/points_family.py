"""Point scores as sums of trees: a rule is a tree on one feature, so that its points are exact and its SHAP values too.

With one feature for each tree, the contribution of a rule is its points minus their mean over the training rows.
"""

import numpy as np

from training.export.calibrated import Calibrated
from training.export.calibration import Calibration, IsotonicCalibration, Of
from training.export.family import Adapter, Exportable, Reference, Scale
from training.export.shap_package import import_shap
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, IntArray, Tree, TreeEnsemble
from training.point_score import PointRule, PointScore

# A bin that no training row fell in has no cover, and a game divides by covers: it counts as this share of the rows.
# The mean of the points moves by less than 1e-10, far below what float32 holds.
_UNSEEN_SHARE = 1e-12


def read_point_score(score: PointScore) -> Exportable:
    """A fitted point score as one tree for each rule, behind its line or with its table."""
    trees = [
        _tree(rule, score.column_of(rule), shares) for rule, shares in zip(score.rules, score.bin_shares_, strict=True)
    ]
    ensemble = TreeEnsemble(feature_count=score.n_features_in_, trees=tuple(trees), constant=np.zeros(1))
    if score.mapping == "logistic":
        line = Calibration(slope=score.slope_, intercept=score.intercept_)
        return TreeSum(ensemble=ensemble.calibrated(line), scale=Scale.LOG_ODDS)
    table = IsotonicCalibration(thresholds=score.totals_, probabilities=score.probabilities_, of=Of.SCORE)
    return Calibrated(model=TreeSum(ensemble=ensemble, scale=Scale.POINTS), scale=Scale.POINTS, calibrator=table)


def _tree(rule: PointRule, column: int, shares: FloatArray) -> Tree:
    """Whether the value is there at all, then bin after bin; leaves are the bins, and the missing value behind them.

    The root's test passes for every finite value and not for NaN. `x < b` is `x <= the float32 before b`.
    """
    covers = np.maximum(shares, _UNSEEN_SHARE)
    *bins, missing = range(len(covers))
    tests = np.concatenate([[np.finfo(np.float32).max], np.nextafter(rule.starts, np.float32(-np.inf))])
    left = np.array([1 if len(tests) > 1 else -1 - bins[0], *(-1 - leaf for leaf in bins[:-1])], dtype=np.int64)
    right = np.array(
        [-1 - missing, *range(2, len(tests)), *([-1 - bins[-1]] if len(tests) > 1 else [])], dtype=np.int64
    )
    below = np.cumsum(covers[:-1][::-1])[::-1]  # of each bin and those above it
    return Tree(
        column=np.full(len(tests), column),
        threshold=tests.astype(np.float32),
        nan_goes_left=np.zeros(len(tests), dtype=np.bool_),
        left=left,
        right=right,
        node_cover=np.array([covers.sum(), *below[: len(tests) - 1]]),
        leaf_cover=covers,
        leaf_value=rule.table.astype(np.float64)[:, np.newaxis],
    )


def _reference(score: PointScore, rows: Float32Array) -> Reference:
    """The score's own decision function and points, by its own arithmetic."""
    served = None if score.mapping == "logistic" else score.predict_proba(rows)[:, 1:]
    return Reference(
        scores=score.decision_function(rows)[:, np.newaxis],
        contributions=_by_feature(score, (score.points_by_rule(rows) - _means(score)) * _slope(score)),
        base_values=np.array([_means(score).sum() * _slope(score) + _intercept(score)]),
        served=served,
    )


def _shap(score: PointScore, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`LinearExplainer`, interventional, on each rule's points."""
    means, count = _means(score), len(score.rules)
    line = (np.full(count, _slope(score)), _intercept(score))
    explainer = import_shap().LinearExplainer(line, (means, np.eye(count)))
    return rows, _by_feature(score, np.asarray(explainer.shap_values(score.points_by_rule(rows).astype(np.float64))))


def _means(score: PointScore) -> FloatArray:
    """The mean points of each rule over the training rows."""
    pairs = zip(score.rules, score.bin_shares_, strict=True)
    return np.array([float(shares @ rule.table) for rule, shares in pairs])


def _slope(score: PointScore) -> float:
    return float(score.slope_) if score.mapping == "logistic" else 1.0


def _intercept(score: PointScore) -> float:
    return float(score.intercept_) if score.mapping == "logistic" else 0.0


def _by_feature(score: PointScore, values: FloatArray | IntArray) -> FloatArray:
    """Values [N, rules] as [N, 1, F]."""
    placed = np.zeros((len(values), 1, score.n_features_in_))
    for at, rule in enumerate(score.rules):
        placed[:, 0, score.column_of(rule)] += values[:, at]
    return placed


ADAPTER = Adapter(
    supported="PointScore",
    accepts=lambda estimator: isinstance(estimator, PointScore),
    read=read_point_score,
    reference=_reference,
    shap=_shap,
)
