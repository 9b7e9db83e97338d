"""Linear scores behind steps that make each column of one feature, in double precision.

Such a score is a sum of functions of one feature each, score = Σ_f g_f(x_f), and so its SHAP values are exact: φ_f =
g_f(x_f) - E[g_f]. The base value is the mean score: over the training rows, whose column means a `StandardScaler` at
the end of the steps has learnt, or over a background that is handed over. All columns of a feature (its value, whether
it was missing, its categories or splines) are added to it: one clinical quantity, one contribution.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from onnx import TensorProto
from sklearn import linear_model, svm
from sklearn.preprocessing import StandardScaler

from training.export.background import checked_background
from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.errors import NotExportableError
from training.export.family import Adapter, Explained, Nodes, Reference, Scale
from training.export.pipelines import Steps, read_steps, split
from training.export.preparation import NO_SOURCE, Preparation, add_prepared, float32_thresholds
from training.export.scaling import mean_behind
from training.export.shap_package import import_shap
from training.export.trees import Float32Array, FloatArray, IntArray

_Estimator: TypeAlias = Any  # scikit-learn publishes no types

_CLASSIFIERS = (linear_model.LogisticRegression, linear_model.LogisticRegressionCV, linear_model.SGDClassifier)
_REGRESSORS = (
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
)
# Scores without a probability: refused with what to use instead.
_WITHOUT_PROBABILITY = (
    svm.LinearSVC,
    linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV,
    linear_model.Perceptron,
    linear_model.PassiveAggressiveClassifier,
)
_SUPPORTED = (
    "a Pipeline of SimpleImputer and other steps (scalers, OneHotEncoder, SplineTransformer, ColumnTransformer) with "
    "LogisticRegression, SGDClassifier(loss='log_loss'), LinearRegression, Ridge, Lasso or ElasticNet"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """score = base + Σ_columns coefficient (column - mean), for each of K targets.

    Attributes:
        preparation: from F features to D columns.
        means: float64[D], of the columns over the background.
        coefficients: float64[K, D].
        base: float64[K], the scores at the means.
        scale: what the scores are.
        is_explained: whether the means are those of a background, so that there are contributions.
    """

    preparation: Preparation
    means: FloatArray
    coefficients: FloatArray
    base: FloatArray
    scale: Scale
    is_explained: bool = True

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return self.preparation.width

    @property
    def target_count(self) -> int:
        """The number of targets K."""
        return len(self.base)

    @property
    def thresholds(self) -> list[Float32Array]:
        """Categories, knots and limits; a line has no steps."""
        return float32_thresholds(self.preparation)

    def scaled(self, line: Calibration) -> "LinearModel":
        """The model whose scores are slope * score + intercept."""
        return replace(self, coefficients=self.coefficients * line.slope, base=self.base * line.slope + line.intercept)

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add the columns, and two products of them: with the coefficients, and with these by feature."""
        columns = add_prepared(graph, features, self.preparation)
        scope = graph.scope("linear")
        means = scope.constant("means", self.means, np.float64)
        centred = scope.node("centred", "Sub", columns, means, doc="What differs from the background's mean.")
        weights = scope.constant("coefficients", self.coefficients.T, np.float64)
        total = scope.node("sum", "MatMul", centred, weights)
        scores = scope.node("score", "Add", total, scope.constant("base", self.base, np.float64))
        return Nodes(scores=scores, explained=self._add_explained(scope, centred) if self.is_explained else None)

    def _add_explained(self, scope: GraphBuilder, centred: str) -> Explained:
        by_feature = scope.constant("coefficients_by_feature", self._by_feature(), np.float64)
        shares = scope.node("shares", "MatMul", centred, by_feature, doc="coefficient (column - mean), by feature.")
        return Explained(contributions=scope.cast("contributions", shares, TensorProto.FLOAT), base_values=self.base)

    def _by_feature(self) -> FloatArray:
        """float64[D, K * F]: each column's coefficients, in the places of its feature."""
        placed = np.zeros((len(self.means), self.target_count, self.feature_count))
        for column, source in enumerate(self.preparation.sources.tolist()):
            if source != NO_SOURCE:
                placed[column, :, source] = self.coefficients[:, column]
        return placed.reshape(len(self.means), -1)


def adapter(background: Float32Array | None, *, explained: bool = True) -> Adapter:
    """What the export knows of linear scores, explained against a background or, in a vote, not at all."""
    return Adapter(
        supported=_SUPPORTED,
        accepts=_accepts,
        read=partial(read_linear, background=background, explained=explained),
        reference=partial(_reference, background=background) if explained else _scores,
        shap=partial(_shap, background=background) if explained else None,
    )


def read_linear(
    estimator: _Estimator, background: Float32Array | None = None, *, explained: bool = True
) -> LinearModel:
    """A fitted pipeline, or an estimator alone, as weights on its columns.

    Raises:
        NotExportableError: a step or a setting without an exact graph; NaN that the estimator refuses; no means.
        ExportError: the background isn't float32[N, F].
    """
    steps, last = split(estimator)
    scale = _scale_of(last)
    preparation = read_steps(steps, int(estimator.n_features_in_))
    coefficients = np.atleast_2d(np.asarray(last.coef_, dtype=np.float64))
    if scale is Scale.OUTCOME and len(coefficients) > 1:
        raise NotExportableError(f"expected one outcome, got {len(coefficients)}; fit an estimator for each")
    require_no_missing(preparation, last)
    means = _means(steps, background, preparation.width) if explained else np.zeros(coefficients.shape[1])
    intercepts = np.broadcast_to(np.asarray(last.intercept_, dtype=np.float64), len(coefficients))
    return LinearModel(
        preparation=preparation,
        means=means,
        coefficients=coefficients,
        base=intercepts + coefficients @ means,
        scale=scale,
        is_explained=explained,
    )


def require_no_missing(preparation: Preparation, estimator: _Estimator) -> None:
    """Refuse steps that let a NaN through to an estimator that refuses it.

    Raises:
        NotExportableError: a column may be NaN.
    """
    missing = preparation.missing(np.ones(preparation.width, dtype=np.bool_))
    if missing.any():
        raise NotExportableError(
            f"{type(estimator).__name__} refuses NaN, and {int(missing.sum())} of its {len(missing)} columns may be "
            "missing; put SimpleImputer in front, fitted on all of them"
        )


def transformed(steps: Steps, rows: Float32Array) -> FloatArray:
    """What the steps make of float32[N, F], by scikit-learn on doubles: float64[N, D].

    On float32, scikit-learn would round between the steps.
    """
    found = rows.astype(np.float64)
    for _, step in steps:
        if not (step is None or step == "passthrough"):
            found = step.transform(found)
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)


def _accepts(estimator: object) -> bool:
    return isinstance(split(estimator)[1], (*_CLASSIFIERS, *_REGRESSORS, *_WITHOUT_PROBABILITY))


def _scale_of(last: _Estimator) -> Scale:
    name = type(last).__name__
    if isinstance(last, _REGRESSORS):
        return Scale.OUTCOME
    if isinstance(last, _WITHOUT_PROBABILITY):
        raise NotExportableError(f"{name} has a score and no probability; use LogisticRegression")
    if getattr(last, "solver", None) == "liblinear" and len(last.classes_) > 2:  # noqa: PLR2004
        raise NotExportableError(
            f"{name}(solver='liblinear') fits each of {len(last.classes_)} classes by itself; use solver='lbfgs'"
        )
    if isinstance(last, linear_model.SGDClassifier):
        if last.loss != "log_loss":
            raise NotExportableError(f"expected SGDClassifier(loss='log_loss'), got loss={last.loss!r}")
        if len(last.classes_) > 2:  # noqa: PLR2004 - binary has two classes
            raise NotExportableError(
                f"SGDClassifier gives {len(last.classes_)} classes one probability each, which do not add up to 1; use "
                "LogisticRegression"
            )
    return Scale.LOG_ODDS


def _means(steps: Steps, background: Float32Array | None, width: int) -> FloatArray:
    """The columns' means, over the background or, without one, over the training rows."""
    if background is not None:
        return np.asarray(transformed(steps, checked_background(background, width)).mean(axis=0))
    scaler = steps[-1][1] if steps else None
    means = mean_behind(scaler) if type(scaler) is StandardScaler else None
    if means is None:
        raise NotExportableError(
            "contributions start from the mean score, and no StandardScaler stands last that has learnt the columns' "
            "means; hand training rows, float32[N, F], to export(..., background=rows) and to prove(...)"
        )
    return means


def _scores(estimator: _Estimator, rows: Float32Array) -> Reference:
    """scikit-learn's own decision function or prediction, on doubles."""
    predict = estimator.predict if isinstance(split(estimator)[1], _REGRESSORS) else estimator.decision_function
    scores = np.asarray(predict(rows.astype(np.float64)), dtype=np.float64)
    return Reference(scores=scores.reshape(len(rows), -1), contributions=None, base_values=None)


def _reference(estimator: _Estimator, rows: Float32Array, *, background: Float32Array | None) -> Reference:
    """scikit-learn's own decision function and steps, on doubles."""
    steps, last = split(estimator)
    coefficients = np.atleast_2d(last.coef_)
    means = _means(steps, background, rows.shape[1])
    shares = (transformed(steps, rows) - means)[:, np.newaxis, :] * coefficients
    return replace(
        _scores(estimator, rows),
        contributions=_summed(shares, _owners(estimator, rows), rows.shape[1]),
        base_values=np.asarray(last.intercept_ + coefficients @ means, dtype=np.float64),
    )


def _shap(
    estimator: _Estimator, rows: Float32Array, *, background: Float32Array | None
) -> tuple[Float32Array, FloatArray]:
    """`LinearExplainer`, interventional, on the columns that the steps give; summed by feature."""
    steps, last = split(estimator)
    columns, means = transformed(steps, rows), _means(steps, background, rows.shape[1])
    intercepts = np.atleast_1d(last.intercept_)
    by_target = [
        import_shap().LinearExplainer((line, intercept), (means, np.eye(len(means)))).shap_values(columns)
        for line, intercept in zip(
            np.atleast_2d(last.coef_), np.broadcast_to(intercepts, len(np.atleast_2d(last.coef_))), strict=True
        )
    ]
    shares = np.stack([np.asarray(values, dtype=np.float64) for values in by_target], axis=1)
    return rows, _summed(shares, _owners(estimator, rows), rows.shape[1])


def _owners(estimator: _Estimator, rows: Float32Array) -> IntArray:
    """The feature that each column is made of, int64[D], by what moves when one feature alone takes the rows' values.

    A column that never moves in these rows is taken for what the reader says of it.
    """
    steps, _ = split(estimator)
    owners = read_steps(steps, rows.shape[1]).sources.copy()
    for feature in range(rows.shape[1]):
        moved = np.tile(rows[:1], (len(rows), 1))
        moved[:, feature] = rows[:, feature]
        columns = transformed(steps, moved)
        owners[(columns != columns[0]).any(axis=0)] = feature
    return owners


def _summed(shares: FloatArray, owners: IntArray, feature_count: int) -> FloatArray:
    """Shares [N, K, D] of columns as shares [N, K, F] of features."""
    return np.asarray(shares @ (owners[:, np.newaxis] == np.arange(feature_count)).astype(np.float64))
