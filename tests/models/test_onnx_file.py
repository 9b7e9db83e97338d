"""Reading an ONNX file's structure: every answer is the `onnx` package's, and what is no file is told."""

from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.catalog import find
from models.onnx_file import OnnxFileError, read_onnx
from tests.bundles import linear_graph


def _released() -> bytes:
    released = find("sepsis").released
    assert released is not None
    return (released / "model.onnx").read_bytes()


def _model(nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto] | None = None) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "made", [x], [y], initializer=initializers or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ours", 3)])


def test_the_released_graph_is_read_as_the_package_reads_it() -> None:
    content = _released()
    found, expected = read_onnx(content), onnx.load_from_string(content)
    assert found.opsets == {one.domain: one.version for one in expected.opset_import}
    assert found.metadata == {one.key: one.value for one in expected.metadata_props}
    assert found.outputs == tuple(one.name for one in expected.graph.output)
    assert (found.external, found.extras) == ((), ())
    for node, wanted in zip(found.nodes, expected.graph.node, strict=True):
        assert (node.name, node.operator, node.domain) == (wanted.name, wanted.op_type, wanted.domain)
        assert (node.inputs, node.outputs) == (tuple(wanted.input), tuple(wanted.output))


def test_all_attributes_of_the_released_trees_are_read_as_the_package_reads_them() -> None:
    content = _released()
    (wanted,) = (one for one in onnx.load_from_string(content).graph.node if one.op_type == "TreeEnsembleRegressor")
    (node,) = (one for one in read_onnx(content).nodes if one.operator == "TreeEnsembleRegressor")
    kinds = set()
    for attribute in wanted.attribute:
        assert attribute.name in node
        kinds.add(attribute.type)
        match attribute.type:
            case onnx.AttributeProto.INTS:
                assert node.integers(attribute.name).tolist() == list(attribute.ints)
            case onnx.AttributeProto.STRINGS:
                assert node.strings(attribute.name) == list(attribute.strings)
            case onnx.AttributeProto.INT:
                assert node.integer(attribute.name) == attribute.i
            case onnx.AttributeProto.TENSOR:
                np.testing.assert_array_equal(node.tensor(attribute.name), numpy_helper.to_array(attribute.t))
    assert len(kinds) == 4


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.booleans())
def test_integers_are_read_whatever_their_size_packed_or_one_by_one(values: list[int], packed: bool) -> None:  # noqa: FBT001
    node = helper.make_node("Sum", ["x"], ["y"], name="n")
    attribute = onnx.AttributeProto(name="values", type=onnx.AttributeProto.INTS, ints=values)
    node.attribute.append(attribute)
    content = _model([node]).SerializeToString()
    if packed and values:
        raw = b"".join(_varint(value % 2**64) for value in values)
        one_by_one = b"".join(b"\x40" + _varint(value % 2**64) for value in values)
        inner = attribute.SerializeToString()
        swapped = inner.replace(one_by_one, b"\x42" + _varint(len(raw)) + raw)
        node = onnx.NodeProto.FromString(node.SerializeToString())
        del node.attribute[:]
        assert onnx.AttributeProto.FromString(swapped).ints == attribute.ints
        found = read_onnx(_with_attribute(node, swapped)).nodes[0]
    else:
        found = read_onnx(content).nodes[0]
    assert found.integers("values").tolist() == values


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _with_attribute(node: onnx.NodeProto, attribute: bytes) -> bytes:
    """A model whose node has one more attribute, as bytes that the package would write otherwise."""
    inner: bytes = node.SerializeToString() + b"\x2a" + _varint(len(attribute)) + attribute
    graph = b"\x0a" + _varint(len(inner)) + inner
    return b"\x3a" + _varint(len(graph)) + graph


def test_a_part_of_the_graph_gives_what_the_whole_gives() -> None:
    content = linear_graph()
    part = onnx.load_from_string(read_onnx(content).only(["probability"]))
    onnx.checker.check_model(part, full_check=True)
    assert [one.name for one in part.graph.output] == ["probability"]
    whole = onnx.load_from_string(content)
    assert 0 < len(part.graph.node) < len(whole.graph.node)
    rows = np.array([[80.0] * 10, [np.nan] * 10], np.float32)
    (found,) = onnx.reference.ReferenceEvaluator(part).run(None, {"features": rows})
    (expected,) = onnx.reference.ReferenceEvaluator(whole).run(["probability"], {"features": rows})
    np.testing.assert_array_equal(found, expected)


def test_an_output_that_the_graph_lacks_is_told() -> None:
    with pytest.raises(OnnxFileError, match=r"Expected the outputs \['risk'\], the graph has \['base_value'"):
        read_onnx(linear_graph()).only(["risk"])


def test_tensors_in_other_files_subgraphs_and_functions_are_named(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(1000, np.float32), "weights")
    constant = helper.make_node("Constant", [], ["c"], name="c", value=numpy_helper.from_array(np.ones(1000), "inner"))
    model = _model([constant, helper.make_node("Add", ["x", "weights"], ["y"], name="add")], [weights])
    onnx.save(
        model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=10, convert_attribute=True, location="w"
    )
    assert set(read_onnx((tmp_path / "m.onnx").read_bytes()).external) == {"weights", "inner"}

    branch = helper.make_graph([], "empty", [], [])
    model = _model([helper.make_node("If", ["x"], ["y"], name="choose", then_branch=branch, else_branch=branch)])
    model.functions.append(helper.make_function("ours", "f", [], [], [], [helper.make_opsetid("", 18)]))
    assert read_onnx(model.SerializeToString()).extras == ("function", *["a subgraph in choose"] * 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "one graph, got 0", id="empty"),
        pytest.param(b"\x3a\x05ab", "the bytes end in the middle", id="cut short"),
        pytest.param(b"\x3b\x05ab", "wire type 3", id="a group"),
        pytest.param(b"\xff" * 11, "more than 64 bits", id="an endless number"),
        pytest.param(b"\x38\x01", "Expected a message or text in field 7, got a number", id="a number for the graph"),
    ],
)
def test_what_is_no_onnx_file_is_told(content: bytes, message: str) -> None:
    with pytest.raises(OnnxFileError, match=message):
        read_onnx(content)


@given(st.data())
def test_whatever_the_bytes_it_is_a_file_or_a_clear_error(data: st.DataObject) -> None:
    content = bytearray(linear_graph())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_onnx(bytes(content))
        found.only(found.outputs[:1])
    except OnnxFileError:
        return
