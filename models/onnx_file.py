"""Reads an ONNX file's structure without the `onnx` package, which a lean server does without.

Only what the server asks: which operators of which domains, whether a tensor lies in another file, what a node's
attributes hold, and the same file with some nodes left out. Field numbers are those of ONNX's `onnx.proto`. The tests
compare every answer with the `onnx` package's.
"""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.wire import BYTES, Field, WireError, fields, integers, text, varint_bytes, view

_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 3, 5, 6
_ATTRIBUTE_INTS, _ATTRIBUTE_STRINGS, _ATTRIBUTE_GRAPHS = 8, 9, 11
_TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 2, 8, 9, 13, 14
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_NAME = 1


class _Model(IntEnum):
    """Fields of ModelProto."""

    GRAPH = 7
    OPSET = 8
    METADATA = 14
    TRAINING = 20
    FUNCTION = 25


class _InGraph(IntEnum):
    """Fields of GraphProto."""

    NODE = 1
    INITIALIZER = 5
    OUTPUT = 12
    VALUE = 13
    SPARSE = 15


_TENSOR_TYPES: dict[int, "np.dtype[Any]"] = {1: np.dtype("<f4"), 7: np.dtype("<i8"), 11: np.dtype("<f8")}


class OnnxFileError(WireError):
    """Not an ONNX file, or one with something that is not read here."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxNode:
    """One node of the graph."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    _attributes: dict[str, memoryview]

    def __contains__(self, attribute: str) -> bool:
        return attribute in self._attributes

    def integer(self, attribute: str) -> int:
        """The value of an `int` attribute."""
        for field in fields(self._attribute(attribute)):
            if field.number == _ATTRIBUTE_INT and isinstance(field.value, int):
                return field.value
        raise OnnxFileError(f"node {self.name}: expected an integer in {attribute}.")

    def integers(self, attribute: str) -> NDArray[np.int64]:
        """The values of an `ints` attribute, packed or one by one, int64[N]."""
        return integers(self._attribute(attribute), _ATTRIBUTE_INTS)

    def strings(self, attribute: str) -> list[bytes]:
        """The values of a `strings` attribute."""
        found = fields(self._attribute(attribute))
        return [bytes(view(field)) for field in found if field.number == _ATTRIBUTE_STRINGS]

    def tensor(self, attribute: str) -> NDArray[Any]:
        """The values of a `tensor` attribute of float, double or int64, flat; a view into the file."""
        for field in fields(self._attribute(attribute)):
            if field.number == _ATTRIBUTE_TENSOR:
                return _tensor(view(field), f"node {self.name}: {attribute}")
        raise OnnxFileError(f"node {self.name}: expected a tensor in {attribute}.")

    def _attribute(self, name: str) -> memoryview:
        if name not in self._attributes:
            raise OnnxFileError(f"node {self.name}: expected the attribute {name}; it has {sorted(self._attributes)}.")
        return self._attributes[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxFile:
    """What an ONNX file holds.

    Attributes:
        opsets: version by operator set; "" is ONNX's own.
        metadata: the file's properties.
        nodes: of the main graph, in its order.
        outputs: names of the graph's outputs.
        external: names of tensors that lie in other files, wherever in the graph.
        extras: what the file has beyond one graph: functions, training, sparse tensors, subgraphs.
    """

    content: bytes
    opsets: dict[str, int]
    metadata: dict[str, str]
    nodes: tuple[OnnxNode, ...]
    outputs: tuple[str, ...]
    external: tuple[str, ...]
    extras: tuple[str, ...]

    def only(self, outputs: Collection[str]) -> bytes:
        """The file with these outputs and the nodes and initializers that they depend on, and nothing else.

        Raises:
            OnnxFileError: the graph has no such output.
        """
        if not set(outputs) <= set(self.outputs):
            raise OnnxFileError(f"Expected the outputs {sorted(outputs)}, the graph has {sorted(self.outputs)}.")
        needed, kept_nodes = set(outputs), set()
        for at, node in reversed(list(enumerate(self.nodes))):  # a graph's nodes stand in topological order
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                kept_nodes.add(at)
        parts = bytearray()
        for field in fields(memoryview(self.content)):
            if field.number == _Model.GRAPH:
                graph = _graph_of(view(field), kept_nodes, needed, outputs)
                parts += varint_bytes(_Model.GRAPH << 3 | BYTES) + varint_bytes(len(graph)) + graph
            else:
                parts += field.whole
        return bytes(parts)


def _graph_of(graph: memoryview, nodes: Collection[int], values: Collection[str], outputs: Collection[str]) -> bytes:
    parts = bytearray()
    at = -1
    for field in fields(graph):
        match field.number:
            case _InGraph.NODE:
                at += 1
                kept = at in nodes
            case _InGraph.INITIALIZER:
                kept = _first_text(view(field), _TENSOR_NAME) in values
            case _InGraph.OUTPUT:
                kept = _first_text(view(field), _VALUE_NAME) in outputs
            case _InGraph.VALUE:
                kept = False  # shapes of inner values; a runtime infers them
            case _:
                kept = True
        if kept:
            parts += field.whole
    return bytes(parts)


def read_onnx(content: bytes) -> OnnxFile:
    """Read a file's structure; tensors stay where they are.

    Raises:
        OnnxFileError: not a protocol buffer of an ONNX model with one graph.
    """
    try:
        return _read(content)
    except OnnxFileError:
        raise
    except WireError as error:
        raise OnnxFileError(str(error)) from error
    except (IndexError, UnicodeDecodeError) as error:
        raise OnnxFileError("Expected an ONNX file; the bytes end in the middle of a field or are no text.") from error


def _read(content: bytes) -> OnnxFile:
    graphs: list[memoryview] = []
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    extras: list[str] = []
    for field in fields(memoryview(content)):
        match field.number:
            case _Model.GRAPH:
                graphs.append(view(field))
            case _Model.OPSET:
                opset = {inner.number: inner.value for inner in fields(view(field))}
                version = opset.get(_OPSET_VERSION, 0)
                opsets[text(opset.get(_OPSET_DOMAIN, 0))] = version if isinstance(version, int) else 0
            case _Model.METADATA:
                entry = {inner.number: inner.value for inner in fields(view(field))}
                metadata[text(entry.get(_ENTRY_KEY, 0))] = text(entry.get(_ENTRY_VALUE, 0))
            case _Model.FUNCTION | _Model.TRAINING:
                extras.append(_Model(field.number).name.lower())
    if len(graphs) != 1:
        raise OnnxFileError(f"Expected an ONNX file with one graph, got {len(graphs)}.")
    found = _read_graph(graphs[0])
    return OnnxFile(
        content=content,
        opsets=opsets,
        metadata=metadata,
        nodes=tuple(found.nodes),
        outputs=tuple(found.outputs),
        external=tuple(found.external),
        extras=(*extras, *found.extras),
    )


@dataclass(slots=True)
class _Graph:
    nodes: list[OnnxNode] = dataclasses.field(default_factory=list)
    outputs: list[str] = dataclasses.field(default_factory=list)
    external: list[str] = dataclasses.field(default_factory=list)
    extras: list[str] = dataclasses.field(default_factory=list)


def _read_graph(message: memoryview) -> _Graph:
    found = _Graph()
    for one in fields(message):
        match one.number:
            case _InGraph.NODE:
                node, subgraphs = _node(view(one))
                found.nodes.append(node)
                found.extras += [f"a subgraph in {node.name}"] * subgraphs
                found.external += (name for name in map(_external, _tensors(node)) if name is not None)
            case _InGraph.INITIALIZER:
                name = _external(view(one))
                found.external += [] if name is None else [name]
            case _InGraph.SPARSE:
                found.extras.append("sparse initializers")
            case _InGraph.OUTPUT:
                found.outputs.append(_first_text(view(one), _VALUE_NAME))
    return found


def _node(message: memoryview) -> tuple[OnnxNode, int]:
    texts: dict[int, list[str]] = {number: [] for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME)}
    texts |= {_NODE_OPERATOR: [], _NODE_DOMAIN: []}
    attributes: dict[str, memoryview] = {}
    subgraphs = 0
    for field in fields(message):
        if field.number == _NODE_ATTRIBUTE:
            attribute = view(field)
            attributes[_first_text(attribute, _ATTRIBUTE_NAME)] = attribute
        elif field.number in texts:
            texts[field.number].append(text(field.value))
    for attribute in attributes.values():
        head = next(_fields_besides(attribute, {_ATTRIBUTE_NAME}), None)
        subgraphs += head is not None and head.number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}
    node = OnnxNode(
        name="".join(texts[_NODE_NAME]),
        operator="".join(texts[_NODE_OPERATOR]),
        domain="".join(texts[_NODE_DOMAIN]),
        inputs=tuple(texts[_NODE_INPUT]),
        outputs=tuple(texts[_NODE_OUTPUT]),
        _attributes=attributes,
    )
    return node, subgraphs


def _tensors(node: OnnxNode) -> Iterator[memoryview]:
    for attribute in node._attributes.values():  # noqa: SLF001 - of this file
        head = next(_fields_besides(attribute, {_ATTRIBUTE_NAME}), None)
        if head is not None and head.number == _ATTRIBUTE_TENSOR:
            yield view(head)


def _fields_besides(message: memoryview, numbers: Collection[int]) -> Iterator[Field]:
    return (field for field in fields(message) if field.number not in numbers)


def _external(tensor: memoryview) -> str | None:
    """The name of a tensor that lies in another file."""
    name, outside = "", False
    for field in fields(tensor):
        if field.number == _TENSOR_NAME:
            name = text(field.value)
        outside |= field.number == _TENSOR_EXTERNAL or (field.number == _TENSOR_LOCATION and field.value != 0)
    return name if outside else None


def _tensor(message: memoryview, where: str) -> NDArray[Any]:
    kind: int | memoryview = 0
    raw: memoryview | None = None
    for field in fields(message):
        if field.number == _TENSOR_TYPE:
            kind = field.value
        elif field.number == _TENSOR_RAW:
            raw = view(field)
    if not isinstance(kind, int) or kind not in _TENSOR_TYPES or raw is None:
        raise OnnxFileError(f"{where}: expected raw data of float, double or int64, got element type {kind!r}.")
    values: NDArray[Any] = np.frombuffer(raw, _TENSOR_TYPES[kind])
    return values


def _first_text(message: memoryview, number: int) -> str:
    return next((text(field.value) for field in fields(message) if field.number == number), "")
