"""From what is explained to what is served: names, and nodes that keep tiny risks."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from training.export.builder import GraphBuilder
from training.export.family import Scale
from training.export.links import Form, add_served, form_of, served_of
from training.export.parity import open_session
from training.export.trees import Float32Array

# A risk of one in a billion beside certainty; the largest and smallest scores that a logistic function tells apart.
_LOGITS = np.array(
    [[-20.723, 0.0, 1.0], [0.0, 0.0, 0.0], [200.0, -200.0, 3.0], [-80.0, -80.5, -79.0], [80.0, 80.5, 0.0]],
    dtype=np.float32,
)


@pytest.mark.parametrize(
    ("scale", "targets", "expected"),
    [
        (Scale.LOG_ODDS, 1, ("logit", "probability")),
        (Scale.LOG_ODDS, 3, ("logits", "probabilities")),
        (Scale.ONE_VERSUS_REST, 3, ("logits", "probabilities")),
        (Scale.PROBABILITY, 1, ("score", "probability")),
        (Scale.PROBABILITY, 3, ("scores", "probabilities")),
        (Scale.OUTCOME, 1, ("prediction", "prediction")),
        (Scale.LOG_OUTCOME, 1, ("score", "prediction")),
    ],
)
def test_the_outputs_are_named_by_scale_and_targets(scale: Scale, targets: int, expected: tuple[str, str]) -> None:
    assert form_of(scale, targets) == Form(explained=expected[0], served=expected[1])


@pytest.mark.parametrize(
    ("scale", "targets"),
    [
        pytest.param(Scale.LOG_ODDS, 3, id="softmax"),
        pytest.param(Scale.ONE_VERSUS_REST, 3, id="one versus rest"),
        pytest.param(Scale.LOG_ODDS, 1, id="logistic"),
        pytest.param(Scale.PROBABILITY, 3, id="shares"),
    ],
)
def test_the_nodes_serve_what_double_precision_says_to_a_millionth(scale: Scale, targets: int) -> None:
    scores = _LOGITS[:, :targets]
    found = _run(scale, scores, targets)
    expected = served_of(scale, scores.astype(np.float64)).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-38)


def test_a_log_outcome_is_raised_to_its_outcome() -> None:
    scores = np.array([[-20.0], [0.0], [3.5], [60.0]], dtype=np.float32)
    np.testing.assert_allclose(_run(Scale.LOG_OUTCOME, scores, 1), np.exp(scores[:, 0].astype(np.float64)), rtol=1e-6)


def _run(scale: Scale, scores: Float32Array, targets: int) -> np.ndarray:
    graph = GraphBuilder()
    form = form_of(scale, targets)
    shape = ["N"] if targets == 1 else ["N", targets]
    add_served(graph, scale, form)
    body = helper.make_graph(
        graph.nodes,
        "link",
        [helper.make_tensor_value_info(form.explained, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(form.served, TensorProto.FLOAT, shape)],
        initializer=graph.constants,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    given = scores[:, 0] if targets == 1 else scores
    return np.asarray(open_session(model.SerializeToString()).run(None, {form.explained: given})[0])
