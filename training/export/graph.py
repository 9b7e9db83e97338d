"""Puts one model's scoring and explanation into one ONNX graph: the bundle's model.onnx."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper

from training.export.builder import GraphBuilder
from training.export.calibration import IDENTITY, Calibration
from training.export.errors import ExportError, NotExportableError
from training.export.families import read_estimator
from training.export.family import Explained, Exportable

# Pinned: the oldest with what is used. Opset 18 has Shape's slice, ReduceSum by input and ScatterElements that adds;
# ai.onnx.ml 3 has the TreeEnsembleRegressor in double precision.
ONNX_OPSET = 18
ONNX_ML_OPSET = 3
ONNX_IR_VERSION = 9

_ONNX_FILE_DOC = (
    "features -> calibrated logit, probability and SHAP contributions; base_value + sum(contributions) = logit. "
    "NaN is a missing value; infinities must be refused before the graph is run."
)


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
    calibration: Calibration | None,
    metadata: GraphMetadata,
) -> bytes:
    """The serialised ONNX model of a fitted binary estimator.

    Input `features` float32[N, F], NaN = missing. Outputs `logit` float32[N] (calibrated), `probability` float32[N],
    `contributions` float32[N, F], `base_value` float32[1]. Run batches in chunks of about 8 rows: the explanation
    holds rows x leaves x path features x quadrature nodes in memory.

    Args:
        estimator: `lightgbm.LGBMClassifier`, `lightgbm.Booster`, or a Pipeline of SimpleImputer, StandardScaler and
            LogisticRegression.
        feature_names: the input's F columns in order.
        calibration: the Platt line on the estimator's logit, or None.
        metadata: stored in the file.

    Raises:
        NotExportableError: the estimator or a setting of it has no exact graph.
        ExportError: feature names and estimator don't fit, or a graph was built that ONNX's checker refuses.
    """
    line = calibration or IDENTITY
    if line.slope <= 0:
        raise NotExportableError(
            f"expected a positive calibration slope, got {line.slope}: the calibrator turns the estimator's ranking "
            "round; check the labels it was fitted on"
        )
    model = read_estimator(estimator).scaled(line)
    names = tuple(feature_names)
    if len(names) != model.feature_count or len(set(names)) != len(names):
        raise ExportError(
            f"expected {model.feature_count} distinct feature names in the estimator's column order, got "
            f"{len(names)} with {len(set(names))} distinct"
        )
    graph, outputs = _graph(model)
    return _serialised(graph, outputs, names, metadata)


def _graph(model: Exportable) -> tuple[GraphBuilder, tuple[Output, ...]]:
    graph = GraphBuilder()
    nodes = model.add_nodes(graph, "features")
    outputs = _add_scores(graph, nodes.scores)
    if nodes.explained is not None:
        outputs += _add_explanation(graph, model, nodes.explained)
    return graph, outputs


def _add_scores(graph: GraphBuilder, found: str) -> tuple[Output, ...]:
    """The outputs before the explanation."""
    scores = graph.cast("score/float32", found, TensorProto.FLOAT)
    axis = graph.constant("score/target_axis", [1], np.int64)
    graph.node("logit", "Squeeze", scores, axis, doc="The calibrated log-odds.")
    _add_probability(graph)
    return (Output("logit", ("N",)), Output("probability", ("N",)))


def _add_explanation(graph: GraphBuilder, model: Exportable, explained: Explained) -> tuple[Output, ...]:
    graph.node("contributions", "Identity", explained.contributions, doc="SHAP values of the logit.")
    base = graph.constant("base", explained.base_values, np.float32)
    graph.node("base_value", "Identity", base, doc="The logit before any feature.")
    return (Output("contributions", ("N", model.feature_count)), Output("base_value", (1,)))


def _add_probability(graph: GraphBuilder) -> None:
    """The logistic function as exp(min(z, 0)) / (1 + exp(-|z|)): relative accuracy for tiny risks, no overflow.

    The runtime's own Sigmoid and LOGISTIC transform flatten risks below about 1e-8.
    """
    zero, one = (graph.constant(f"sigmoid/{value}", value, np.float32) for value in (0, 1))
    magnitude = graph.node("sigmoid/magnitude", "Abs", "logit")
    decay = graph.node("sigmoid/decay", "Exp", graph.node("sigmoid/minus_magnitude", "Neg", magnitude))
    numerator = graph.node("sigmoid/numerator", "Exp", graph.node("sigmoid/negative_part", "Min", "logit", zero))
    graph.node("probability", "Div", numerator, graph.node("sigmoid/denominator", "Add", one, decay))


def _serialised(
    graph: GraphBuilder, outputs: tuple[Output, ...], feature_names: tuple[str, ...], metadata: GraphMetadata
) -> bytes:
    def tensor(name: str, shape: tuple[str | int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    count = len(feature_names)
    body = helper.make_graph(
        graph.nodes,
        metadata.model_id,
        [tensor("features", ("N", count))],
        [tensor(output.name, output.shape) for output in outputs],
        initializer=graph.constants,
        doc_string=_ONNX_FILE_DOC,
    )
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", ONNX_OPSET), helper.make_opsetid("ai.onnx.ml", ONNX_ML_OPSET)],
        ir_version=ONNX_IR_VERSION,
        producer_name="bedside",
        doc_string=metadata.description or _ONNX_FILE_DOC,
    )
    helper.set_model_props(
        model,
        {
            "model_id": metadata.model_id,
            "version": metadata.version,
            "licence": metadata.licence,
            "feature_names": "\n".join(feature_names),
        },
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(
            f"the graph of {metadata.model_id} is not valid ONNX; this is a fault of the export"
        ) from error
    return bytes(model.SerializeToString())
