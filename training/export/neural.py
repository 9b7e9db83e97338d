"""Multi-layer perceptrons behind steps: exact scores in double precision, and no closed form of their SHAP values.

A graph of one has no `contributions`; a runtime explains it by permutation SHAP.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.errors import NotExportableError
from training.export.family import Adapter, Nodes, Reference, Scale
from training.export.linear import require_no_missing, transformed
from training.export.pipelines import read_steps, split
from training.export.preparation import Preparation, add_prepared, float32_thresholds
from training.export.trees import Float32Array, FloatArray

_Estimator: TypeAlias = Any  # scikit-learn publishes no types

_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """double[N, I] @ weights float64[I, O] + offsets float64[O]."""

    weights: FloatArray
    offsets: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralNetwork:
    """Layers with an activation between them; the scores are what the last one gives, before any link."""

    preparation: Preparation
    layers: tuple[Layer, ...]
    activation: str
    scale: Scale

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return self.preparation.width

    @property
    def target_count(self) -> int:
        """The number of targets K."""
        return len(self.layers[-1].offsets)

    @property
    def thresholds(self) -> list[Float32Array]:
        """Those of the steps."""
        return float32_thresholds(self.preparation)

    def scaled(self, line: Calibration) -> "NeuralNetwork":
        """The network whose scores are slope * score + intercept, folded into the last layer."""
        *before, last = self.layers
        weights, offsets = last.weights * line.slope, last.offsets * line.slope + line.intercept
        return replace(self, layers=(*before, Layer(weights=weights, offsets=offsets)))

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add a product, a sum and an activation for each layer."""
        found = add_prepared(graph, features, self.preparation)
        for number, layer in enumerate(self.layers, start=1):
            scope = graph.scope(f"layer{number}")
            product = scope.node("product", "MatMul", found, scope.constant("weights", layer.weights, np.float64))
            found = scope.node("sum", "Add", product, scope.constant("offsets", layer.offsets, np.float64))
            if number < len(self.layers):
                found = _add_activation(scope, found, self.activation)
        return Nodes(scores=found, explained=None)


def read_network(estimator: _Estimator) -> NeuralNetwork:
    """A fitted pipeline, or a network alone, as its layers.

    Raises:
        NotExportableError: a step or a setting without an exact graph; NaN that the network refuses.
    """
    steps, last = split(estimator)
    scale = _scale_of(last)
    preparation = read_steps(steps, int(estimator.n_features_in_))
    require_no_missing(preparation, last)
    return NeuralNetwork(
        preparation=preparation,
        layers=tuple(
            Layer(weights=np.asarray(weights, dtype=np.float64), offsets=np.asarray(offsets, dtype=np.float64))
            for weights, offsets in zip(last.coefs_, last.intercepts_, strict=True)
        ),
        activation=last.activation,
        scale=scale,
    )


def _scale_of(last: _Estimator) -> Scale:
    if last.activation not in _ACTIVATIONS:
        raise NotExportableError(f"expected one of the activations {', '.join(_ACTIVATIONS)}, got {last.activation!r}")
    match last.out_activation_:
        case "identity" if last.n_outputs_ == 1:
            return Scale.OUTCOME
        case "softmax":
            return Scale.LOG_ODDS
        case "logistic" if last.n_outputs_ == 1:
            return Scale.LOG_ODDS
        case _:
            raise NotExportableError(
                f"expected a network with one outcome, or one class of several, got {last.n_outputs_} outputs behind "
                f"{last.out_activation_!r}; fit a network for each, with loss='squared_error' where it is a regression"
            )


def _add_activation(graph: GraphBuilder, values: str, activation: str) -> str:
    match activation:
        case "relu":
            return graph.node("relu", "Relu", values)
        case "tanh":
            return graph.node("tanh", "Tanh", values)
        case "logistic":
            return _add_logistic(graph, values)
        case _:
            return values


def _add_logistic(graph: GraphBuilder, values: str) -> str:
    """1 / (1 + exp(-z)) in operators of known precision; exp may overflow to infinity, whose inverse is 0."""
    one = graph.constant("one", 1.0, np.float64)
    decay = graph.node("decay", "Exp", graph.node("negated", "Neg", values))
    return graph.node("logistic", "Div", one, graph.node("total", "Add", one, decay))


def _accepts(estimator: object) -> bool:
    return isinstance(split(estimator)[1], MLPClassifier | MLPRegressor)


def _reference(estimator: _Estimator, rows: Float32Array) -> Reference:
    """scikit-learn's own forward pass on doubles, of a copy that leaves the last activation out."""
    steps, last = split(estimator)
    bare = copy.copy(last)
    bare.out_activation_ = "identity"
    columns = transformed(steps, rows)
    found = bare.predict_proba(columns) if isinstance(last, MLPClassifier) else bare.predict(columns)
    scores = np.asarray(found, dtype=np.float64).reshape(len(rows), -1)
    # Of two classes it gives 1 - score and score.
    is_binary = isinstance(last, MLPClassifier) and last.n_outputs_ == 1
    return Reference(scores=scores[:, 1:] if is_binary else scores, contributions=None, base_values=None)


ADAPTER = Adapter(
    supported="MLPClassifier or MLPRegressor, behind the same steps",
    accepts=_accepts,
    read=read_network,
    reference=_reference,
    shap=None,
)
