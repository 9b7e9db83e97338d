"""From what is explained to what is served: the names of a graph's outputs, and the link between the two.

The link is written twice: as nodes of the graph, and in double precision for the proof that the nodes are right.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from training.export.builder import GraphBuilder
from training.export.family import Scale
from training.export.trees import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The names of the outputs: what contributions add up to, and what is served; one for an outcome's own unit."""

    explained: str
    served: str


def form_of(scale: Scale, target_count: int) -> Form:
    """The outputs of a model with K targets on a scale."""
    several = target_count > 1
    match scale:
        case Scale.LOG_ODDS | Scale.ONE_VERSUS_REST:
            return Form(explained="logits", served="probabilities") if several else _LOGIT
        case Scale.PROBABILITY | Scale.POINTS:
            return Form(explained="scores", served="probabilities") if several else _SCORE
        case Scale.OUTCOME:
            return Form(explained="prediction", served="prediction")
        case Scale.LOG_OUTCOME:
            return Form(explained="score", served="prediction")


_LOGIT = Form(explained="logit", served="probability")
_SCORE = Form(explained="score", served="probability")


def add_served(graph: GraphBuilder, scale: Scale, form: Form) -> None:
    """Add the nodes from the output that is explained to the one that is served; none where they are one."""
    match scale:
        case Scale.LOG_ODDS if form == _LOGIT:
            _add_logistic(graph, form.explained, form.served)
        case Scale.LOG_ODDS:
            _add_softmax(graph, form.explained, form.served)
        case Scale.ONE_VERSUS_REST:
            _add_logistic(graph, form.explained, form.served)
        case Scale.PROBABILITY | Scale.POINTS:
            graph.node(form.served, "Identity", form.explained, doc="A mean of shares is a probability.")
        case Scale.OUTCOME:
            return
        case Scale.LOG_OUTCOME:
            graph.node(form.served, "Exp", form.explained, doc="The score is the outcome's logarithm.")


def served_of(scale: Scale, explained: FloatArray) -> FloatArray:
    """What is served for scores float64[N, K], in double precision: float64[N, K]."""
    match scale:
        case Scale.LOG_ODDS if explained.shape[1] > 1:
            raised = np.exp(explained - explained.max(axis=1, keepdims=True))
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))
        case Scale.LOG_ODDS | Scale.ONE_VERSUS_REST:
            return np.asarray(np.exp(np.minimum(explained, 0.0)) / (1.0 + np.exp(-np.abs(explained))))
        case Scale.PROBABILITY | Scale.POINTS | Scale.OUTCOME:
            return explained
        case Scale.LOG_OUTCOME:
            return np.asarray(np.exp(explained))


def _add_logistic(graph: GraphBuilder, logit: str, probability: str) -> None:
    """The logistic function as exp(min(z, 0)) / (1 + exp(-|z|)): relative accuracy for tiny risks, no overflow.

    The runtime's own Sigmoid and LOGISTIC transform flatten risks below about 1e-8.
    """
    zero, one = (graph.constant(f"sigmoid/{value}", value, np.float32) for value in (0, 1))
    magnitude = graph.node("sigmoid/magnitude", "Abs", logit)
    decay = graph.node("sigmoid/decay", "Exp", graph.node("sigmoid/minus_magnitude", "Neg", magnitude))
    numerator = graph.node("sigmoid/numerator", "Exp", graph.node("sigmoid/negative_part", "Min", logit, zero))
    graph.node(probability, "Div", numerator, graph.node("sigmoid/denominator", "Add", one, decay))


def _add_softmax(graph: GraphBuilder, logits: str, probabilities: str) -> None:
    """The softmax in double: a difference of large float32 logits would cost a tiny risk its last digits."""
    axis = graph.constant("softmax/axis", [1], np.int64)
    double = graph.cast("softmax/logits", logits, TensorProto.DOUBLE)
    largest = graph.node("softmax/largest", "ReduceMax", double, axis, keepdims=1)
    raised = graph.node("softmax/raised", "Exp", graph.node("softmax/below_largest", "Sub", double, largest))
    total = graph.node("softmax/total", "ReduceSum", raised, axis, keepdims=1)
    graph.cast(probabilities, graph.node("softmax/shares", "Div", raised, total), TensorProto.FLOAT)
