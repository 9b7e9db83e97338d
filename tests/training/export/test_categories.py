"""Categorical tests: sets of categories, and the nodes that look a value up."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from training.export.builder import GraphBuilder
from training.export.categories import EVERY_CATEGORY, CategorySet, CategoryTest, CategoryTests, Vocabulary, grouped
from training.export.parity import open_session
from training.export.trees import Float32Array

_NAN = float("nan")


def test_sets_meet_and_turn_round_bit_by_bit() -> None:
    vocabulary = Vocabulary(values=(0.0, 2.0, 5.0), whole=True)
    left = vocabulary.set_of([0.0, 5.0], missing=True)
    assert left == CategorySet(bits=(True, False, True, False, True))
    assert ~left == CategorySet(bits=(False, True, False, True, False))
    assert left & ~left == CategorySet(bits=(False,) * 5)
    assert EVERY_CATEGORY & left == left & EVERY_CATEGORY == left


def test_the_set_of_everything_has_no_complement() -> None:
    with pytest.raises(ValueError, match="set of everything"):
        _ = ~EVERY_CATEGORY


def test_equal_tests_share_a_column_and_features_stand_together() -> None:
    def asked(feature: int, *bits: bool) -> CategoryTest:
        return CategoryTest(feature=feature, left=CategorySet(bits=bits))

    first, second, other = asked(3, True, False, False), asked(3, False, False, True), asked(1, True, True, False)
    distinct, places = grouped([first, other, second, first])
    assert distinct == (other, second, first)
    assert places.tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("whole", "value", "goes_left"),
    [
        pytest.param(False, 2.0, True, id="a category of the set"),
        pytest.param(False, 0.0, False, id="a category outside"),
        pytest.param(False, 2.5, False, id="between two, compared as it is"),
        pytest.param(True, 2.5, True, id="between two, cut to its whole part"),
        pytest.param(True, -0.5, False, id="above -1, cut to 0"),
        pytest.param(True, -2.5, False, id="negative"),
        pytest.param(True, 1e30, False, id="beyond any integer"),
        pytest.param(True, _NAN, False, id="missing"),
    ],
)
def test_a_value_is_looked_up(value: float, *, whole: bool, goes_left: bool) -> None:
    vocabulary = Vocabulary(values=(0.0, 2.0), whole=whole)
    test = CategoryTest(feature=1, left=vocabulary.set_of([2.0]))
    opposite = CategoryTest(feature=1, left=~test.left)
    tests = CategoryTests(tests=(test, opposite), vocabularies=((1, vocabulary),))
    rows = np.array([[7.0, value]], dtype=np.float32)
    assert _columns(tests, rows)[0, 2:].tolist() == [float(not goes_left), float(goes_left)]


@pytest.mark.parametrize(
    ("others", "missing", "value", "goes_left"),
    [
        pytest.param(True, False, 9.0, True, id="others left"),
        pytest.param(True, False, _NAN, False, id="others left, missing right"),
        pytest.param(False, True, _NAN, True, id="missing left"),
        pytest.param(False, True, 9.0, False, id="missing left, others right"),
    ],
)
def test_unseen_and_missing_values_go_their_own_ways(
    value: float, *, others: bool, missing: bool, goes_left: bool
) -> None:
    vocabulary = Vocabulary(values=(0.0, 2.0), whole=False)
    test = CategoryTest(feature=0, left=vocabulary.set_of([], others=others, missing=missing))
    tests = CategoryTests(tests=(test,), vocabularies=((0, vocabulary),))
    assert _columns(tests, np.array([[value]], dtype=np.float32))[0, 1] == float(not goes_left)


def _columns(tests: CategoryTests, rows: Float32Array) -> np.ndarray:
    graph = GraphBuilder()
    columns = tests.add_columns(graph, "features")
    width = rows.shape[1]
    body = helper.make_graph(
        graph.nodes,
        "categories",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info(columns, TensorProto.FLOAT, ["N", width + len(tests.tests)])],
        initializer=graph.constants,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return np.asarray(open_session(model.SerializeToString()).run(None, {"features": rows})[0])
