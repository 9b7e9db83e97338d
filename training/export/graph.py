"""Puts one model's scoring and explanation into one ONNX graph: the bundle's model.onnx.

The input is `features` float32[N, F], NaN = missing. The outputs, all float32, depend on the model; K is the number of
classes, in the order of the estimator's `classes_`:

| model | explained | served | explanation |
| --- | --- | --- | --- |
| binary, log-odds | `logit` [N] | `probability` [N] | `contributions` [N, F], `base_value` [1] |
| binary, a mean of shares (a forest) or points, without a line | `score` [N] | `probability` [N] | the same |
| several classes, log-odds | `logits` [N, K] | `probabilities` [N, K] | `contributions` [N, K, F], `base_value` [K] |
| several classes, means of shares | `scores` [N, K] | `probabilities` [N, K] | the same |
| regression | `prediction` [N] | `prediction` [N] | `contributions` [N, F], `base_value` [1] |
| regression with a log link | `score` [N] | `prediction` [N] = exp(score) | the same, of the score |

base_value + sum of contributions = what is explained. A model whose SHAP values have no closed form has neither output
of the explanation. The metadata says which output is `explained`, on which `scale` it is (`Scale`) and, where another
`calibrator` than a line stands behind it, which: the probability is then the calibrator's, not the scale's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from training.export.builder import GraphBuilder
from training.export.calibrated import Calibrated, add_probability, calibrated
from training.export.calibration import Calibrator
from training.export.errors import ExportError
from training.export.families import read_estimator
from training.export.family import Explained
from training.export.links import Form, add_served, form_of
from training.export.trees import Float32Array
from training.point_score import PointScore

# Pinned: the oldest with what is used. Opset 18 has Shape's slice, ReduceSum by input and ScatterElements that adds;
# ai.onnx.ml 3 has the TreeEnsembleRegressor in double precision.
ONNX_OPSET = 18
ONNX_ML_OPSET = 3
# With the TreeEnsemble that gives doubles, where a calibrator's steps need them.
ONNX_ML_OPSET_OF_DOUBLES = 5
ONNX_IR_VERSION = 9

# What a calibrator behind the score is fed with: double[N, 1].
DOUBLE_SCORE = "score/double"

_EXPLAINED_DOC = (
    "features -> {explained}, {served} and SHAP contributions; base_value + sum(contributions) = {explained}. "
)
_UNEXPLAINED_DOC = "features -> {explained}, {served}; the SHAP values have no closed form. "
_INPUT_DOC = "NaN is a missing value; infinities must be refused before the graph is run."


class Output(NamedTuple):
    """An output of the graph, float32."""

    name: str
    shape: tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphMetadata:
    """What the file says about itself besides its arithmetic."""

    model_id: str
    version: str
    licence: str
    description: str = ""


def export(
    estimator: object,
    *,
    feature_names: Sequence[str],
    calibration: Calibrator | None,
    metadata: GraphMetadata,
    background: Float32Array | None = None,
) -> bytes:
    """The serialised ONNX model of a fitted estimator; the module says its outputs.

    Run batches in chunks of about 8 rows: the explanation holds rows x leaves x path features x quadrature nodes in
    memory.

    Args:
        estimator: of one of the `families`.
        feature_names: the input's F columns in order.
        calibration: the Platt line from the estimator's score, its log-odds or its probability, to the log-odds; None
            for the estimator's own. The contributions are those of the calibrated log-odds. Any other calibrator
            stands behind the score: it gives the probability, and the contributions are those of the score.
        metadata: stored in the file.
        background: rows float32[N, F] over which an additive score's base value is the mean, where the estimator
            hasn't learnt it; say the training rows. Other families don't read it.

    Raises:
        NotExportableError: the estimator or a setting of it has no exact graph, or a line that it can't have.
        ExportError: feature names and estimator don't fit, or a graph was built that ONNX's checker refuses.
    """
    model = calibrated(read_estimator(estimator, background), calibration)
    names = tuple(feature_names)
    if len(names) != model.feature_count or len(set(names)) != len(names):
        raise ExportError(
            f"expected {model.feature_count} distinct feature names in the estimator's column order, got "
            f"{len(names)} with {len(set(names))} distinct"
        )
    _require_own_names(estimator, names)
    form = form_of(model.scale, model.target_count)
    graph, outputs = _graph(model, form)
    properties = {
        "model_id": metadata.model_id,
        "version": metadata.version,
        "licence": metadata.licence,
        "feature_names": "\n".join(names),
        "explained": form.explained,
        "scale": str(model.scale),
    }
    if model.calibrator is not None:
        properties["calibrator"] = type(model.calibrator).__name__
    doc = _EXPLAINED_DOC if any(output.name == "contributions" for output in outputs) else _UNEXPLAINED_DOC
    text = doc.format(explained=form.explained, served=form.served) + _INPUT_DOC
    return _serialised(graph, len(names), outputs, properties, text, metadata)


def _require_own_names(estimator: object, names: tuple[str, ...]) -> None:
    """A point score reads its features by name: in another order it would give other points."""
    if isinstance(estimator, PointScore) and tuple(estimator.feature_names) != names:
        raise ExportError(
            f"expected names and order of the point score's own features, {estimator.feature_names}, got {names}"
        )


def _graph(model: Calibrated, form: Form) -> tuple[GraphBuilder, tuple[Output, ...]]:
    graph = GraphBuilder(double_scores=model.double_scores)
    nodes = model.add_nodes(graph, "features")
    outputs = _add_scores(graph, model, nodes.scores, form)
    if nodes.explained is not None:
        outputs += _add_explanation(graph, model, nodes.explained, form)
    return graph, outputs


def _add_scores(graph: GraphBuilder, model: Calibrated, found: str, form: Form) -> tuple[Output, ...]:
    """The outputs before the explanation."""
    scores = graph.cast("score/float32", found, TensorProto.FLOAT)
    doc = f"What is explained, on the scale: {model.scale}."
    shape: tuple[str | int, ...] = ("N", model.target_count)
    if model.target_count == 1:
        axis = graph.constant("score/target_axis", [1], np.int64)
        graph.node(form.explained, "Squeeze", scores, axis, doc=doc)
        shape = ("N",)
    else:
        graph.node(form.explained, "Identity", scores, doc=doc)
    if model.calibrator is None:
        add_served(graph, model.scale, form)
    else:
        _add_calibrated(graph, model, found, form)
    return tuple(Output(name, shape) for name in dict.fromkeys((form.explained, form.served)))


def _add_calibrated(graph: GraphBuilder, model: Calibrated, found: str, form: Form) -> None:
    """What is served, by the calibrator behind the score, from the score in double precision."""
    double = graph.cast(DOUBLE_SCORE, found, TensorProto.DOUBLE)
    probability = add_probability(graph.scope("calibrator"), model, double)
    axis = graph.constant("calibrator/target_axis", [1], np.int64)
    squeezed = graph.node("calibrator/probability", "Squeeze", probability, axis)
    graph.cast(form.served, squeezed, TensorProto.FLOAT)


def _add_explanation(graph: GraphBuilder, model: Calibrated, explained: Explained, form: Form) -> tuple[Output, ...]:
    doc = f"SHAP values of {form.explained}."
    shape: tuple[str | int, ...] = ("N", model.target_count, model.feature_count)
    if model.target_count == 1:
        graph.node("contributions", "Identity", explained.contributions, doc=doc)
        shape = ("N", model.feature_count)
    else:
        by_target = graph.constant("by_target", [0, model.target_count, model.feature_count], np.int64)
        graph.node("contributions", "Reshape", explained.contributions, by_target, doc=doc)
    base = graph.constant("base", explained.base_values, np.float32)
    graph.node("base_value", "Identity", base, doc=f"{form.explained} before any feature.")
    return (Output("contributions", shape), Output("base_value", (model.target_count,)))


def _serialised(
    graph: GraphBuilder,
    feature_count: int,
    outputs: tuple[Output, ...],
    properties: dict[str, str],
    text: str,
    metadata: GraphMetadata,
) -> bytes:
    in_double = any(node.op_type == "TreeEnsemble" for node in graph.nodes)
    ml_opset = ONNX_ML_OPSET_OF_DOUBLES if in_double else ONNX_ML_OPSET

    def tensor(name: str, shape: tuple[str | int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    body = helper.make_graph(
        graph.nodes,
        metadata.model_id,
        [tensor("features", ("N", feature_count))],
        [tensor(output.name, output.shape) for output in outputs],
        initializer=graph.constants,
        doc_string=text,
    )
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", ONNX_OPSET), helper.make_opsetid("ai.onnx.ml", ml_opset)],
        ir_version=ONNX_IR_VERSION,
        producer_name="bedside",
        doc_string=metadata.description or text,
    )
    helper.set_model_props(model, properties)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(
            f"the graph of {metadata.model_id} is not valid ONNX; this is a fault of the export"
        ) from error
    return bytes(model.SerializeToString())
