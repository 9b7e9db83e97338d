"""Logistic regression behind median imputation and standardisation, in double precision.

A linear logit has exact contributions φ_f = w_f (x_f - mean_f), here with the imputed value for a missing one, so that
the base value is the logit at the training mean. The share of a missing indicator is added to its feature: one
clinical quantity, one contribution.
"""

from dataclasses import dataclass, replace

import numpy as np
from onnx import TensorProto
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.errors import NotExportableError
from training.export.family import Adapter, Explained, Nodes, Reference, Scale
from training.export.shap_package import import_shap
from training.export.trees import Float32Array, FloatArray

_SUPPORTED = (
    "a Pipeline of SimpleImputer(strategy='median', add_indicator=True or False), StandardScaler() and "
    "LogisticRegression()"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """logit = base + Σ_f weight (x - mean) + indicator_weight (missing - missing_mean), x imputed by the median.

    Arrays are float64[F]; a feature without an indicator, or never observed in training, has weights of 0.
    """

    base: float
    median: FloatArray
    mean: FloatArray
    weight: FloatArray
    missing_mean: FloatArray
    indicator_weight: FloatArray

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return len(self.median)

    @property
    def target_count(self) -> int:
        """One."""
        return 1

    @property
    def scale(self) -> Scale:
        """A logistic regression's score is the log-odds."""
        return Scale.LOG_ODDS

    @property
    def thresholds(self) -> list[Float32Array]:
        """None: a line has no steps."""
        return [np.array([], dtype=np.float32)] * self.feature_count

    def scaled(self, line: Calibration) -> "LinearModel":
        """The model whose score is slope * score + intercept."""
        return replace(
            self,
            base=self.base * line.slope + line.intercept,
            weight=self.weight * line.slope,
            indicator_weight=self.indicator_weight * line.slope,
        )

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add each feature's share, double[N, F], and their sum."""
        shares = _add_shares(graph, features, self)
        axis = graph.constant("linear/feature_axis", [1], np.int64)
        total = graph.node("linear/sum", "ReduceSum", shares, axis, keepdims=1)
        base = graph.constant("linear/base", self.base, np.float64)
        return Nodes(
            scores=graph.node("linear/score", "Add", total, base),
            explained=Explained(
                contributions=graph.cast("linear/contributions", shares, TensorProto.FLOAT),
                base_values=np.array([self.base]),
            ),
        )


def read_linear(pipeline: Pipeline) -> LinearModel:
    """The fitted pipeline as weights on its inputs.

    Raises:
        NotExportableError: other steps, or settings of a step that change the arithmetic.
    """
    imputer, scaler, regression = _steps(pipeline)
    observed = np.flatnonzero(~np.isnan(imputer.statistics_.astype(np.float64)))
    if imputer.keep_empty_features:
        observed = np.arange(len(imputer.statistics_))
    per_unit = regression.coef_[0] / scaler.scale_
    flagged = imputer.indicator_.features_ if imputer.add_indicator else np.array([], dtype=np.int64)
    count, kept = len(imputer.statistics_), len(observed)

    def placed(at: np.ndarray, values: np.ndarray) -> FloatArray:
        spread = np.zeros(count)
        spread[at] = values
        return spread

    return LinearModel(
        base=float(regression.intercept_[0]),
        median=placed(observed, imputer.statistics_[observed]),
        mean=placed(observed, scaler.mean_[:kept]),
        weight=placed(observed, per_unit[:kept]),
        missing_mean=placed(flagged, scaler.mean_[kept:]),
        indicator_weight=placed(flagged, per_unit[kept:]),
    )


def _add_shares(graph: GraphBuilder, features: str, model: LinearModel) -> str:
    """Add the nodes that give what each feature adds to the base, double[N, F]."""
    value = graph.cast("linear/features", features, TensorProto.DOUBLE)
    missing = graph.node("linear/missing", "IsNaN", value)
    median = graph.constant("linear/median", model.median, np.float64)
    imputed = graph.node("linear/imputed", "Where", missing, median, value)
    mean = graph.constant("linear/mean", model.mean, np.float64)
    weight = graph.constant("linear/weight", model.weight, np.float64)
    centred = graph.node("linear/centred", "Sub", imputed, mean)
    measured = graph.node("linear/by_value", "Mul", centred, weight, doc="w (x - mean), with the median if missing.")
    flag = graph.cast("linear/flag", missing, TensorProto.DOUBLE)
    missing_mean = graph.constant("linear/missing_mean", model.missing_mean, np.float64)
    indicator_weight = graph.constant("linear/indicator_weight", model.indicator_weight, np.float64)
    flag_centred = graph.node("linear/flag_centred", "Sub", flag, missing_mean)
    flagged = graph.node("linear/by_missing", "Mul", flag_centred, indicator_weight)
    return graph.node("linear/shares", "Add", measured, flagged)


def _steps(pipeline: Pipeline) -> tuple[SimpleImputer, StandardScaler, LogisticRegression]:
    steps = [step for _, step in pipeline.steps]
    if [type(step) for step in steps] != [SimpleImputer, StandardScaler, LogisticRegression]:
        got = ", ".join(type(step).__name__ for step in steps)
        raise NotExportableError(f"expected {_SUPPORTED}, got the steps {got}")
    imputer, scaler, regression = steps
    if hasattr(imputer, "feature_names_in_"):
        raise NotExportableError(
            "the pipeline was fitted on a data frame; fit it on the float32 feature matrix, names go to `export`"
        )
    if imputer.strategy != "median" or not np.isnan(imputer.missing_values):
        raise NotExportableError(
            f"expected SimpleImputer(strategy='median', missing_values=nan), got strategy={imputer.strategy!r}, "
            f"missing_values={imputer.missing_values!r}"
        )
    if not (scaler.with_mean and scaler.with_std):
        raise NotExportableError(
            "expected StandardScaler(with_mean=True, with_std=True); base_value is the mean's logit"
        )
    if len(regression.classes_) != 2:  # noqa: PLR2004 - binary has two classes
        raise NotExportableError(f"expected a binary outcome, got {len(regression.classes_)} classes")
    return imputer, scaler, regression


def _accepts(estimator: object) -> bool:
    return isinstance(estimator, Pipeline)


def _reference(pipeline: Pipeline, rows: Float32Array) -> Reference:
    """From the pipeline's own steps, on doubles: scikit-learn would round in float32 between the steps."""
    scores = np.asarray(pipeline.decision_function(rows.astype(np.float64)), dtype=np.float64)
    standardised = pipeline[:-1].transform(rows.astype(np.float64))
    shares = _by_feature(pipeline, standardised * pipeline[-1].coef_[0])
    return Reference(
        scores=scores[:, np.newaxis],
        contributions=shares[:, np.newaxis, :],
        base_values=np.asarray(pipeline[-1].intercept_, dtype=np.float64),
    )


def _shap(pipeline: Pipeline, rows: Float32Array) -> tuple[Float32Array, FloatArray]:
    """`LinearExplainer` on the standardised columns, whose background mean is 0."""
    regression = pipeline[-1]
    standardised = pipeline[:-1].transform(rows.astype(np.float64))
    count = regression.coef_.shape[1]
    explainer = import_shap().LinearExplainer(
        (regression.coef_[0], regression.intercept_[0]), (np.zeros(count), np.eye(count))
    )
    shares = _by_feature(pipeline, np.asarray(explainer.shap_values(standardised), dtype=np.float64))
    return rows, shares[:, np.newaxis, :]


def _by_feature(pipeline: Pipeline, shares: FloatArray) -> FloatArray:
    """Shares of the imputer's output columns summed by input feature, by the names that scikit-learn gives them."""
    imputer = pipeline[0]
    inputs = [f"x{position}" for position in range(imputer.n_features_in_)]
    summed = np.zeros((len(shares), len(inputs)))
    for column, name in enumerate(imputer.get_feature_names_out(inputs)):
        summed[:, inputs.index(name.removeprefix("missingindicator_"))] += shares[:, column]
    return summed


ADAPTER = Adapter(supported=_SUPPORTED, accepts=_accepts, read=read_linear, reference=_reference, shap=_shap)
