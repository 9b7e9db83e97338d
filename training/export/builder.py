"""Collects named nodes and constants of one ONNX graph; each node's output has the node's name."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper


class GraphBuilder:
    """Grows a graph node by node. Names read `stage/what`, so that a viewer groups them.

    Args:
        double_scores: whether what follows the scores needs them in double precision, as a calibrator with steps does.
    """

    def __init__(self, *, double_scores: bool = False) -> None:
        self.double_scores = double_scores
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix = ""

    def scope(self, prefix: str, *, double_scores: bool = False) -> "GraphBuilder":
        """The same graph, in which every name that is added begins with `prefix/`: a model may hold others."""
        inner = GraphBuilder(double_scores=self.double_scores or double_scores)
        inner.nodes, inner.constants = self.nodes, self.constants
        inner._prefix = f"{self._prefix}{prefix}/"
        return inner

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Store an array in the file and return its name."""
        full = self._prefix + name
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), full))
        return full

    def indices(self, name: str, values: npt.NDArray[np.int64]) -> str:
        """Store indices in the smallest type; a Cast, folded when a session loads, widens them to int32."""
        narrow = next(kind for kind in (np.uint8, np.uint16, np.uint32) if values.max(initial=0) <= np.iinfo(kind).max)
        return self.cast(f"{name}/int32", self.constant(name, values, narrow), TensorProto.INT32)

    def node(self, name: str, operator: str, *inputs: str, doc: str = "", domain: str = "", **attributes: Any) -> str:
        """Add one node with one output and return the output's name."""
        full = self._prefix + name
        self.nodes.append(
            helper.make_node(operator, list(inputs), [full], name=full, doc_string=doc, domain=domain, **attributes)
        )
        return full

    def cast(self, name: str, value: str, to: int) -> str:
        """Add a Cast to an ONNX element type."""
        return self.node(name, "Cast", value, to=to)
