"""Puts one model's scoring and explanation into one ONNX graph: the bundle's model.onnx."""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from training.export.builder import GraphBuilder
from training.export.calibration import IDENTITY, Calibration
from training.export.errors import ExportError, NotExportableError
from training.export.explanation import add_tree_contributions
from training.export.lightgbm_reader import read_lightgbm
from training.export.linear import LinearModel, add_linear, read_linear
from training.export.scoring import add_tree_score
from training.export.trees import TreeEnsemble, base_value, leaf_games

# Pinned: the oldest with what is used. Opset 18 has Shape's slice, ReduceSum by input and ScatterElements that adds;
# ai.onnx.ml 3 has the TreeEnsembleRegressor in double precision.
ONNX_OPSET = 18
ONNX_ML_OPSET = 3
ONNX_IR_VERSION = 9

_ONNX_FILE_DOC = (
    "features -> calibrated logit, probability and SHAP contributions; base_value + sum(contributions) = logit. "
    "NaN is a missing value; infinities must be refused before the graph is run."
)


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
    model = read_estimator(estimator).calibrated(line)
    names = tuple(feature_names)
    if len(names) != model.feature_count or len(set(names)) != len(names):
        raise ExportError(
            f"expected {model.feature_count} distinct feature names in the estimator's column order, got "
            f"{len(names)} with {len(set(names))} distinct"
        )
    return _serialised(_graph(model), names, metadata)


def read_estimator(estimator: object) -> TreeEnsemble | LinearModel:
    """The estimator as one of the families that have a graph, uncalibrated.

    Raises:
        NotExportableError: it belongs to none of them, or isn't fitted.
    """
    match estimator:
        case lightgbm.Booster():
            return read_lightgbm(estimator)
        case lightgbm.LGBMClassifier():
            _require_fitted(estimator)
            return read_lightgbm(estimator.booster_)
        case Pipeline():
            _require_fitted(estimator)
            return read_linear(estimator)
        case _:
            raise NotExportableError(
                f"{type(estimator).__name__} has no exact graph; use LGBMClassifier or lightgbm.Booster (binary), or a "
                "Pipeline of SimpleImputer, StandardScaler and LogisticRegression, and hand a calibrator over as "
                "Calibration"
            )


def _require_fitted(estimator: lightgbm.LGBMClassifier | Pipeline) -> None:
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise NotExportableError(f"{type(estimator).__name__} isn't fitted; call fit before export") from error


def _graph(model: TreeEnsemble | LinearModel) -> GraphBuilder:
    graph = GraphBuilder()
    if isinstance(model, LinearModel):
        add_linear(graph, "features", model)
        base = model.base
    else:
        games = leaf_games(model)
        base = base_value(model, games)
        add_tree_score(graph, "features", model)
        add_tree_contributions(graph, "features", games, model.feature_count)
    _add_probability(graph)
    graph.node(
        "base_value", "Identity", graph.constant("base", [base], np.float32), doc="The logit before any feature."
    )
    return graph


def _add_probability(graph: GraphBuilder) -> None:
    """The logistic function as exp(min(z, 0)) / (1 + exp(-|z|)): relative accuracy for tiny risks, no overflow.

    The runtime's own Sigmoid and LOGISTIC transform flatten risks below about 1e-8.
    """
    zero, one = (graph.constant(f"sigmoid/{value}", value, np.float32) for value in (0, 1))
    magnitude = graph.node("sigmoid/magnitude", "Abs", "logit")
    decay = graph.node("sigmoid/decay", "Exp", graph.node("sigmoid/minus_magnitude", "Neg", magnitude))
    numerator = graph.node("sigmoid/numerator", "Exp", graph.node("sigmoid/negative_part", "Min", "logit", zero))
    graph.node("probability", "Div", numerator, graph.node("sigmoid/denominator", "Add", one, decay))


def _serialised(graph: GraphBuilder, feature_names: tuple[str, ...], metadata: GraphMetadata) -> bytes:
    def tensor(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    count = len(feature_names)
    body = helper.make_graph(
        graph.nodes,
        metadata.model_id,
        [tensor("features", ["N", count])],
        [
            tensor("logit", ["N"]),
            tensor("probability", ["N"]),
            tensor("contributions", ["N", count]),
            tensor("base_value", [1]),
        ],
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
