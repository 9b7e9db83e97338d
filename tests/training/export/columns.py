"""What the steps of a pipeline make of rows, by the graph alone, for the tests of steps."""

import onnx
from onnx import TensorProto, helper

from training.export.builder import GraphBuilder
from training.export.graph import ONNX_IR_VERSION, ONNX_OPSET
from training.export.parity import open_session
from training.export.preparation import Preparation, add_prepared
from training.export.trees import Float32Array, FloatArray


def prepared(preparation: Preparation, rows: Float32Array) -> FloatArray:
    """The columns double[N, D] that a graph of the steps gives."""
    graph = GraphBuilder()
    found = add_prepared(graph, "features", preparation)
    return ran(graph, found, {"features": (TensorProto.FLOAT, rows)})


def ran(graph: GraphBuilder, output: str, inputs: dict[str, tuple[int, Float32Array | FloatArray]]) -> FloatArray:
    """One inner double[N, D] of a graph, for its inputs [N, …] by type."""
    body = helper.make_graph(
        graph.nodes,
        "inner",
        [helper.make_tensor_value_info(name, kind, ["N", rows.shape[1]]) for name, (kind, rows) in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.DOUBLE, ["N", "D"])],
        initializer=graph.constants,
    )
    opset = helper.make_opsetid("", ONNX_OPSET)
    model = helper.make_model(body, opset_imports=[opset], ir_version=ONNX_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    session = open_session(model.SerializeToString())
    found: FloatArray = session.run([output], {name: rows for name, (_, rows) in inputs.items()})[0]
    return found
