"""The runtime: a graph is served only if it shows its golden rows; what cannot be right is not said."""

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from models.bundle import Bundle, BundleError, load, write
from serving import runtime
from serving.assess import ServedModel
from serving.explainer import NoLibrary, load_library
from serving.runtime import Scorer
from tests.bundles import (
    BASE_VALUE,
    CENTRES,
    WEIGHTS,
    files_of,
    linear_graph,
    linear_rows,
    manifest_of,
    served_linear,
    tiny_spec,
    write_bundle,
)

AT_THE_CENTRES: NDArray[np.float32] = np.array([CENTRES], np.float32)


def test_a_row_is_scored_with_contributions_that_add_up_to_its_logit(linear: ServedModel) -> None:
    row = AT_THE_CENTRES.copy()
    row[0, 0] += 20
    scored = linear.scorer.score(row)
    assert scored.base_value == BASE_VALUE
    assert scored.contributions is not None
    np.testing.assert_allclose(scored.contributions, [20 * WEIGHTS[0], *[0] * 9], atol=1e-6)
    assert scored.logit == pytest.approx(BASE_VALUE + 20 * WEIGHTS[0])
    assert scored.probability == pytest.approx(1 / (1 + np.exp(-scored.logit)))


def test_trees_explain_every_row_and_the_one_in_which_all_is_missing(trees: ServedModel) -> None:
    rows = np.concatenate((trees.bundle.golden.matrix, np.full((1, 10), np.nan, np.float32)))
    for i in range(len(rows)):
        scored = trees.scorer.score(rows[i : i + 1])
        assert scored.contributions is not None
        assert scored.base_value + scored.contributions.sum() == pytest.approx(scored.logit, abs=1e-5)


@pytest.mark.parametrize(
    ("base", "probability"),
    [
        pytest.param(-60.0, 8.756511e-27, id="tiny"),
        pytest.param(-20.723, 1.0e-9, id="one in a billion"),
        pytest.param(0.0, 0.5, id="even"),
        pytest.param(60.0, 1.0, id="certain"),
    ],
)
def test_tiny_and_huge_risks_keep_their_probability(base: float, probability: float, tmp_path: Path) -> None:
    scored = served_linear(tmp_path, base=base).scorer.score(AT_THE_CENTRES)
    assert scored.probability == pytest.approx(probability, rel=1e-3, abs=0)
    assert scored.logit == pytest.approx(base)


@pytest.mark.parametrize("value", [np.inf, -np.inf], ids=["infinity", "minus infinity"])
def test_an_infinite_feature_is_refused(value: float, linear: ServedModel) -> None:
    row = AT_THE_CENTRES.copy()
    row[0, 3] = value
    with pytest.raises(ValueError, match="Expected finite features or NaN; one is infinite"):
        linear.scorer.score(row)


def test_a_probability_that_is_none_is_refused(tmp_path: Path) -> None:
    """With finite features only a broken graph gives NaN; the golden rows refuse it before anyone is scored."""
    spec = tiny_spec()
    model = linear_graph(base=float("nan"))
    write(tmp_path / "bundle", manifest_of(spec), files_of(spec, linear_graph(), linear_rows()) | {"model.onnx": model})
    with pytest.raises(BundleError, match="the graph's logit differs from the golden rows"):
        Scorer(_load(tmp_path))


def test_contributions_that_do_not_add_up_are_dropped_and_the_risk_is_kept(tmp_path: Path) -> None:
    honest = served_linear(tmp_path / "honest").scorer.score(AT_THE_CENTRES)
    leaking = served_linear(tmp_path / "leaking", leak=0.01).scorer.score(AT_THE_CENTRES)
    assert leaking.contributions is None
    assert leaking.logit == pytest.approx(honest.logit + 0.01)
    assert leaking.probability > honest.probability


def test_a_rounding_difference_does_not_cost_the_explanation(tmp_path: Path) -> None:
    assert served_linear(tmp_path, leak=1e-5).scorer.score(AT_THE_CENTRES).contributions is not None


def test_without_time_for_it_there_is_a_risk_and_no_explanation(linear: ServedModel) -> None:
    whole, hurried = linear.scorer.score(AT_THE_CENTRES), linear.scorer.score(AT_THE_CENTRES, seconds=0.0)
    assert (hurried.logit, hurried.probability, hurried.base_value) == (
        whole.logit,
        whole.probability,
        whole.base_value,
    )
    assert (hurried.contributions, hurried.unexplained) == (None, "deadline")
    assert whole.unexplained is None
    assert linear.scorer.explanation_seconds > 0


def test_trees_are_explained_by_compiled_code_where_it_was_built(trees: ServedModel, linear: ServedModel) -> None:
    because: str | None = None
    try:
        load_library()
    except NoLibrary as reason:
        because = str(reason)
    assert trees.scorer.explained_by == ("compiled" if because is None else "graph")
    assert trees.scorer.graph_because == because
    assert linear.scorer.graph_because == (because or "it has 0 sums of trees, not one")
    assert linear.scorer.explained_by == "graph"


def test_compiled_code_and_the_graph_give_the_same_card(trees: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = trees.bundle.golden.matrix

    def no_library(*_: object) -> None:
        raise NoLibrary("not today")

    monkeypatch.setattr(runtime, "explainer_of", no_library)
    by_graph = Scorer(trees.bundle)
    assert (by_graph.explained_by, by_graph.graph_because) == ("graph", "not today")
    for at in range(len(rows)):
        found, expected = by_graph.score(rows[at : at + 1]), trees.scorer.score(rows[at : at + 1])
        assert found[:3] == expected[:3]
        assert found.contributions is not None
        assert expected.contributions is not None
        np.testing.assert_allclose(found.contributions, expected.contributions, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("output", ["logit", "probability", "contributions", "base_value"])
def test_a_graph_that_does_not_reproduce_its_golden_rows_is_refused(output: str, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", tiny_spec(), linear_graph(), linear_rows())
    golden = bundle.golden
    changed = {
        "logit": (golden.logit[0] + 0.01, *golden.logit[1:]),
        "probability": (golden.probability[0] + 0.01, *golden.probability[1:]),
        "contributions": ((0.5, *golden.contributions[0][1:]), *golden.contributions[1:]),
        "base_value": golden.base_value + 0.01,
    }
    spoilt = msgspec.structs.replace(golden, **{output: changed[output]})
    with pytest.raises(BundleError, match=rf"on this machine \(onnxruntime .*\) the graph's {output} differs"):
        Scorer(dataclasses.replace(bundle, golden=spoilt))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(b"", "model.onnx: Expected an ONNX file with one graph, got 0", id="empty"),
        pytest.param(b"not a graph", "model.onnx: Expected an ONNX file", id="not ONNX"),
        pytest.param(linear_graph()[:-40], "model.onnx: Expected an ONNX file; the bytes end", id="cut short"),
        pytest.param(
            linear_graph(features="input"),
            r"expected the input features float32\[N, 10\] and the outputs .*; got \[\('input'",
            id="another input",
        ),
        pytest.param(linear_graph(width=9), r"expected the input features float32\[N, 10\]", id="a feature less"),
        pytest.param(
            linear_graph().replace(b"base_value", b"bias_value"),
            "base_value; got .*, bias_value",
            id="another output",
        ),
    ],
)
def test_what_is_no_graph_of_this_model_is_refused(model: bytes, message: str, tmp_path: Path) -> None:
    spec = tiny_spec()
    write(tmp_path / "bundle", manifest_of(spec), files_of(spec, linear_graph(), linear_rows()) | {"model.onnx": model})
    bundle = _load(tmp_path)
    with pytest.raises(BundleError, match=message):
        Scorer(bundle)


def _with_operator_of(domain: str) -> bytes:
    model = onnx.load_from_string(linear_graph())
    model.graph.node[0].domain = domain
    return bytes(model.SerializeToString())


def _with_tensor_elsewhere() -> bytes:
    model = onnx.load_from_string(linear_graph())
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(
            _with_operator_of("com.example"), "operators of the domain com.example", id="an operator of its own"
        ),
        pytest.param(_with_tensor_elsewhere(), "tensor weights in another file", id="a tensor in another file"),
    ],
)
def test_a_graph_that_reaches_beyond_its_file_is_refused_before_it_is_opened(
    model: bytes, message: str, tmp_path: Path
) -> None:
    spec = tiny_spec()
    write(tmp_path / "bundle", manifest_of(spec), files_of(spec, linear_graph(), linear_rows()) | {"model.onnx": model})
    with pytest.raises(BundleError, match=f"expected one graph of plain operators in one file; got {message}"):
        Scorer(_load(tmp_path))


def test_a_session_takes_one_thread_whatever_the_host_has(linear: ServedModel) -> None:
    options = linear.scorer._score.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def _load(folder: Path) -> Bundle:
    return load(folder / "bundle", tiny_spec())
