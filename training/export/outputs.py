"""What a graph gave, as doubles."""

from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from training.export.trees import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Any graph's outputs as doubles: K targets, F features; no contributions where they have no closed form."""

    explained: FloatArray  # [N, K]
    served: FloatArray  # [N, K]
    contributions: FloatArray | None  # [N, K, F]
    base_values: FloatArray | None  # [K]


def showing_doubles(model_bytes: bytes, name: str) -> bytes:
    """The same graph with one more output: the inner double[N, 1] of this name, for the proof alone."""
    model = onnx.load_from_string(model_bytes)
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N", 1]))
    return bytes(model.SerializeToString())
