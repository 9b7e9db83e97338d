"""A model with its calibrator: a line folded into the score, or another calibrator as nodes behind it, in doubles."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from training.export.builder import GraphBuilder
from training.export.calibration import (
    SMALLEST_SHARE,
    BehindCalibrator,
    BetaCalibration,
    Calibration,
    Calibrator,
    IsotonicCalibration,
    Of,
    SigmoidCalibration,
)
from training.export.errors import NotExportableError
from training.export.family import Exportable, Nodes, Scale
from training.export.trees import Float32Array, FloatArray

_PROBABILISTIC = {Scale.LOG_ODDS, Scale.PROBABILITY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A model whose scores, on a scale, are what is explained, and what maps them to the probability.

    `calibrator` is None where the scale's own link does.
    """

    model: Exportable
    scale: Scale
    calibrator: BehindCalibrator | None = None

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return self.model.feature_count

    @property
    def target_count(self) -> int:
        """The number of targets K."""
        return self.model.target_count

    @property
    def thresholds(self) -> list[Float32Array]:
        """The model's."""
        return self.model.thresholds

    @property
    def double_scores(self) -> bool:
        """Whether the calibrator needs the scores in double precision; points are whole numbers in float32 too."""
        return self.calibrator is not None and self.scale is not Scale.POINTS

    def scaled(self, line: Calibration) -> "Calibrated":
        """Refused: it is calibrated.

        Raises:
            NotExportableError: always.
        """
        raise NotExportableError(f"expected no calibration of what is calibrated already, got {line}; leave it None")

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add the model's."""
        return self.model.add_nodes(graph, features)


def calibrated(model: Exportable, calibrator: Calibrator | None) -> Calibrated:
    """The model with a calibrator; a line on the score is folded into it.

    Raises:
        NotExportableError: the outcome isn't binary, the model is calibrated already, the line turns ranks round, or
            the calibrator is of a probability that the model has none of.
    """
    if calibrator is None:
        return model if isinstance(model, Calibrated) else Calibrated(model=model, scale=model.scale)
    if isinstance(model, Calibrated):
        raise NotExportableError(
            f"{type(calibrator).__name__} behind an estimator that is calibrated already; leave `calibration` None"
        )
    _require_binary(model)
    folded = as_line(calibrator, model.scale)
    if isinstance(folded, Calibration):
        _require_rising(folded)
        return Calibrated(model=model.scaled(folded), scale=Scale.LOG_ODDS)
    return Calibrated(model=model, scale=model.scale, calibrator=folded)


def as_line(calibrator: Calibrator, scale: Scale) -> Calibrator:
    """The calibrator as a line from the score to the log-odds, where it is one on this scale; else as it is."""
    match calibrator:
        case BetaCalibration(a=a, b=b, c=c) if a == b and scale is Scale.LOG_ODDS:
            return Calibration(slope=a, intercept=c)
        case SigmoidCalibration(slope=slope, intercept=intercept) if scale is Scale.PROBABILITY:
            return Calibration(slope=slope, intercept=intercept)
        case _:
            return calibrator


def _require_binary(model: Exportable) -> None:
    if model.target_count != 1 or model.scale not in _PROBABILISTIC:
        raise NotExportableError(
            f"expected a binary outcome behind a calibration line or another calibrator, got {model.target_count} "
            f"target(s) on the scale {model.scale}; leave `calibration` None"
        )


def _require_rising(line: Calibration) -> None:
    if line.slope <= 0:
        raise NotExportableError(
            f"expected a positive calibration slope, got {line.slope}: the calibrator turns the estimator's "
            "ranking round; check the labels it was fitted on"
        )


def probabilities(model: Calibrated, scores: FloatArray) -> FloatArray:
    """What is served for the scores of a binary model, float64, in double precision; same shape."""
    match model.calibrator:
        case None:
            return _linked(scores, model.scale)
        case IsotonicCalibration(of=Of.SCORE):
            return model.calibrator.probability(scores)
        case IsotonicCalibration():
            return model.calibrator.probability(_linked(scores, model.scale))
        case SigmoidCalibration(slope=slope, intercept=intercept):
            return _logistic(slope * _linked(scores, model.scale) + intercept)
        case BetaCalibration(a=a, b=b, c=c):
            ln_p, ln_rest = _logarithms(scores, model.scale)
            return _logistic(a * ln_p - b * ln_rest + c)


def add_probability(graph: GraphBuilder, model: Calibrated, scores: str) -> str:
    """Add the nodes from the scores of a binary model, double[N, 1], to what is served, double[N, 1]."""
    match model.calibrator:
        case None:
            return _add_linked(graph, scores, model.scale)
        case IsotonicCalibration(of=Of.SCORE):
            return _add_isotonic(graph, model.calibrator, scores)
        case IsotonicCalibration():
            return _add_isotonic(graph, model.calibrator, _add_linked(graph, scores, model.scale))
        case SigmoidCalibration(slope=slope, intercept=intercept):
            linked = _add_linked(graph.scope("uncalibrated"), scores, model.scale)
            raised = graph.node("by_slope", "Mul", linked, graph.constant("slope", slope, np.float64))
            line = graph.node("line", "Add", raised, graph.constant("intercept", intercept, np.float64))
            return _add_logistic(graph, line)
        case BetaCalibration():
            return _add_beta(graph, model.calibrator, scores, model.scale)


def _linked(scores: FloatArray, scale: Scale) -> FloatArray:
    return _logistic(scores) if scale is Scale.LOG_ODDS else scores


def _logistic(log_odds: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(log_odds, 0.0)) / (1.0 + np.exp(-np.abs(log_odds))))


def _logarithms(scores: FloatArray, scale: Scale) -> tuple[FloatArray, FloatArray]:
    """ln(p) and ln(1 - p)."""
    if scale is Scale.LOG_ODDS:
        return -np.logaddexp(0.0, -scores), -np.logaddexp(0.0, scores)
    share = np.clip(scores, SMALLEST_SHARE, 1.0 - SMALLEST_SHARE)
    return np.log(share), np.log1p(-share)


def _add_linked(graph: GraphBuilder, scores: str, scale: Scale) -> str:
    return _add_logistic(graph, scores) if scale is Scale.LOG_ODDS else scores


def _add_logistic(graph: GraphBuilder, log_odds: str) -> str:
    """exp(min(z, 0)) / (1 + exp(-|z|)): relative accuracy for tiny risks, no overflow."""
    zero, one = (graph.constant(f"logistic/{value}", value, np.float64) for value in (0, 1))
    minus = graph.node("logistic/minus_magnitude", "Neg", graph.node("logistic/magnitude", "Abs", log_odds))
    below = graph.node("logistic/numerator", "Exp", graph.node("logistic/negative_part", "Min", log_odds, zero))
    total = graph.node("logistic/denominator", "Add", one, graph.node("logistic/decay", "Exp", minus))
    return graph.node("logistic/probability", "Div", below, total)


def _add_beta(graph: GraphBuilder, beta: BetaCalibration, scores: str, scale: Scale) -> str:
    logarithm, rest = _add_logarithms(graph, scores, scale)
    of_p = graph.node("a_ln_p", "Mul", logarithm, graph.constant("a", beta.a, np.float64))
    of_rest = graph.node("b_ln_rest", "Mul", rest, graph.constant("b", beta.b, np.float64))
    both = graph.node("difference", "Sub", of_p, of_rest)
    return _add_logistic(graph, graph.node("log_odds", "Add", both, graph.constant("c", beta.c, np.float64)))


def _add_logarithms(graph: GraphBuilder, scores: str, scale: Scale) -> tuple[str, str]:
    """The nodes of ln(p) and ln(1 - p); from log-odds z as min(±z, 0) - ln(1 + exp(-|z|)), exact for tiny risks."""
    one = graph.constant("ln/one", 1.0, np.float64)
    if scale is not Scale.LOG_ODDS:
        low, high = (
            graph.constant(f"ln/{name}", value, np.float64)
            for name, value in (("lowest", SMALLEST_SHARE), ("highest", 1.0 - SMALLEST_SHARE))
        )
        share = graph.node("ln/share", "Min", graph.node("ln/raised", "Max", scores, low), high)
        return graph.node("ln/p", "Log", share), graph.node("ln/rest", "Log", graph.node("ln/other", "Sub", one, share))
    zero = graph.constant("ln/zero", 0.0, np.float64)
    minus = graph.node("ln/minus_magnitude", "Neg", graph.node("ln/magnitude", "Abs", scores))
    both = graph.node("ln/both", "Log", graph.node("ln/total", "Add", one, graph.node("ln/decay", "Exp", minus)))
    negated = graph.node("ln/negated", "Neg", scores)
    return (
        graph.node("ln/p", "Sub", graph.node("ln/below", "Min", scores, zero), both),
        graph.node("ln/rest", "Sub", graph.node("ln/above", "Min", negated, zero), both),
    )


def _add_isotonic(graph: GraphBuilder, isotonic: IsotonicCalibration, values: str) -> str:
    """The last threshold not above the value, by comparisons, and the line from there to the next."""
    x, y = isotonic.thresholds, isotonic.probabilities
    if len(x) == 1:  # one more that changes nothing, so that no array of the graph is empty
        x, y = np.append(x, np.inf), np.append(y, y)
    slopes = np.append(np.diff(y) / np.diff(x), 0.0)
    lowest, highest = (graph.constant(name, at, np.float64) for name, at in (("lowest", x[0]), ("highest", x[-1])))
    inside = graph.node("inside", "Min", graph.node("raised", "Max", values, lowest), highest)
    begun = graph.node("begun", "GreaterOrEqual", inside, graph.constant("later_thresholds", x[1:], np.float64))
    axis = graph.constant("threshold_axis", [1], np.int64)
    last = graph.node("last", "ReduceSum", graph.cast("as_int", begun, TensorProto.INT64), axis, keepdims=1)
    start, level, slope = (
        graph.node(f"{name}_there", "Gather", graph.constant(name, table, np.float64), last)
        for name, table in (("threshold", x), ("level", y), ("slope", slopes))
    )
    since = graph.node("since", "Mul", slope, graph.node("distance", "Sub", inside, start))
    return graph.node("calibrated", "Add", since, level, doc="Isotonic: linear between thresholds.")
