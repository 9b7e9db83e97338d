"""Collects named nodes and constants of one ONNX graph; each node's output has the node's name."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper


class GraphBuilder:
    """Grows a graph node by node. Names read `stage/what`, so that a viewer groups them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Store an array in the file and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def indices(self, name: str, values: npt.NDArray[np.int64]) -> str:
        """Store indices in the smallest type; a Cast, folded when a session loads, widens them to int64."""
        narrow = next(kind for kind in (np.uint8, np.uint16, np.uint32) if values.max(initial=0) <= np.iinfo(kind).max)
        return self.cast(f"{name}/int64", self.constant(name, values, narrow), TensorProto.INT64)

    def node(self, name: str, operator: str, *inputs: str, doc: str = "", domain: str = "", **attributes: Any) -> str:
        """Add one node with one output and return the output's name."""
        self.nodes.append(
            helper.make_node(operator, list(inputs), [name], name=name, doc_string=doc, domain=domain, **attributes)
        )
        return name

    def cast(self, name: str, value: str, to: int) -> str:
        """Add a Cast to an ONNX element type."""
        return self.node(name, "Cast", value, to=to)
