"""Calibrators behind a score: the nodes are the calibrator, for tiny risks and beside each threshold too."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression

from tests.training.export.cohorts import classes, outcomes
from tests.training.export.columns import ran
from tests.training.export.examples import CALIBRATION, baseline, cohort, exported, trained
from training.export import (
    BetaCalibration,
    Calibration,
    IsotonicCalibration,
    NotExportableError,
    Of,
    ParityError,
    SigmoidCalibration,
    prove,
)
from training.export.builder import GraphBuilder
from training.export.calibrated import Calibrated, add_probability, calibrated, probabilities
from training.export.calibration import BehindCalibrator, Calibrator
from training.export.families import read_estimator
from training.export.family import Scale
from training.export.parity import open_session, run_outputs
from training.export.trees import FloatArray

STEPS = IsotonicCalibration(
    thresholds=np.array([-3.0, -1.0, -1.0 + 1e-12, 0.25, 4.0]),
    probabilities=np.array([0.0, 1e-9, 0.2, 0.2, 0.97]),
    of=Of.SCORE,
)
BETA = BetaCalibration(a=1.4, b=0.6, c=-0.5)


def _model(calibrator: BehindCalibrator, scale: Scale) -> Calibrated:
    rows, labels = cohort()
    return Calibrated(model=read_estimator(trained(rows, labels)), scale=scale, calibrator=calibrator)


def _nodes(model: Calibrated, scores: FloatArray) -> FloatArray:
    """What the calibrator's nodes give for scores in double precision."""
    graph = GraphBuilder()
    found = add_probability(graph, model, "scores")
    return ran(graph, found, {"scores": (TensorProto.DOUBLE, scores[:, np.newaxis])})[:, 0]


def _isotonic(seed: int, size: int, spread: float) -> IsotonicRegression:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=size) * spread
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return isotonic.fit(scores, rng.random(size) < 1 / (1 + np.exp(-scores / spread)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 300), spread=st.sampled_from([1e-9, 1e-3, 1.0, 1e6]))
def test_isotonic_nodes_are_those_of_scikit_learn_beside_each_threshold(seed: int, size: int, spread: float) -> None:
    """Exactly on each threshold, one step of a double beside it, 1e-12 beside it, and beyond all of them."""
    isotonic = _isotonic(seed, size, spread)
    model = _model(IsotonicCalibration.of_sklearn(isotonic, Of.SCORE), Scale.LOG_ODDS)
    at = isotonic.X_thresholds_
    beside = [np.nextafter(at, np.inf), np.nextafter(at, -np.inf), at + 1e-12, at - 1e-12, at - 1e9, at + 1e9]
    tried = np.concatenate([at, *beside, np.random.default_rng(seed).normal(size=50) * spread])
    np.testing.assert_array_equal(_nodes(model, tried), isotonic.predict(tried))


@settings(max_examples=50, deadline=None)
@given(
    logit=st.floats(-700, 700),
    a=st.floats(0, 5),
    b=st.floats(0.01, 5),
    c=st.floats(-5, 5),
    scale=st.sampled_from([Scale.LOG_ODDS, Scale.PROBABILITY]),
)
def test_beta_nodes_are_its_formula_down_to_tiny_risks(
    logit: float, a: float, b: float, c: float, scale: Scale
) -> None:
    """Kull et al. 2017, worked in extended precision."""
    model = _model(BetaCalibration(a=a, b=b, c=c), scale)
    exact = np.longdouble(logit)
    score = logit if scale is Scale.LOG_ODDS else float(1 / (1 + np.exp(-exact)))
    if scale is Scale.PROBABILITY:
        share = np.longdouble(min(max(score, 2.0**-52), 1 - 2.0**-52))
        exact = np.log(share) - np.log1p(-share)
    log_odds = -a * np.logaddexp(np.longdouble(0), -exact) + b * np.logaddexp(np.longdouble(0), exact) + c
    expected = float(1 / (1 + np.exp(-log_odds)))
    assert _nodes(model, np.array([score]))[0] == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("scale", [Scale.LOG_ODDS, Scale.PROBABILITY])
@pytest.mark.parametrize(
    "calibrator",
    [
        pytest.param(STEPS, id="steps of the score"),
        pytest.param(
            IsotonicCalibration(thresholds=np.array([0.2, 0.8]), probabilities=np.array([0.1, 0.6]), of=Of.PROBABILITY),
            id="steps of the probability",
        ),
        pytest.param(
            IsotonicCalibration(thresholds=np.array([0.5]), probabilities=np.array([0.3]), of=Of.SCORE), id="constant"
        ),
        pytest.param(BETA, id="beta"),
        pytest.param(SigmoidCalibration(slope=6.0, intercept=-9.0), id="sigmoid of the probability"),
    ],
)
def test_the_nodes_and_the_numbers_of_the_proof_agree(calibrator: BehindCalibrator, scale: Scale) -> None:
    model = _model(calibrator, scale)
    logits = np.array([-1e30, -700, -37, -20.723, -3, -1, -1 + 1e-12, 0, 0.25, 1e-9, 4, 37, 700, 1e30])
    scores = logits if scale is Scale.LOG_ODDS else 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    found = _nodes(model, scores)
    np.testing.assert_allclose(found, probabilities(model, scores), rtol=1e-13, atol=1e-300)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(
    "calibrator",
    [
        pytest.param(STEPS, id="isotonic"),
        pytest.param(BETA, id="beta"),
        pytest.param(SigmoidCalibration(slope=6.0, intercept=-9.0), id="sigmoid of the probability"),
    ],
)
def test_a_calibrator_behind_the_logit_leaves_logit_and_contributions_as_they_are(
    calibrator: BehindCalibrator,
) -> None:
    rows, labels = cohort()
    for estimator in (trained(rows, labels), baseline(rows, labels)):
        graph = exported(estimator, 5, calibrator)
        proof = prove(graph, estimator, calibrator, rows[:80])
        assert proof.largest_double_score_difference is not None
        plain, found = (run_outputs(open_session(one), rows) for one in (exported(estimator, 5), graph))
        np.testing.assert_allclose(found.explained, plain.explained, rtol=1e-7)
        assert found.contributions is not None
        assert plain.contributions is not None
        np.testing.assert_allclose(found.contributions, plain.contributions, rtol=1e-6, atol=1e-7)
        assert np.abs(found.served - plain.served).max() > 0.01


def test_the_file_says_which_calibrator_stands_behind_the_logit() -> None:
    rows, labels = cohort()
    model = onnx.load_from_string(exported(trained(rows, labels), 5, STEPS))
    properties = {prop.key: prop.value for prop in model.metadata_props}
    assert properties["explained"] == "logit"
    assert properties["calibrator"] == "IsotonicCalibration"
    # The operator that sums trees in double is of ai.onnx.ml 5.
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18, "ai.onnx.ml": 5}


@pytest.mark.parametrize("risk", [1e-9, 1e-6, 0.999999])
def test_tiny_risks_keep_their_digits_behind_beta_calibration(risk: float) -> None:
    """From the score in double, not from a logit that float32 has rounded: at 1e-9 that alone costs 1e-6."""
    rows, labels = cohort()
    shifted = trained(rows, labels, min_data_in_leaf=399)
    raw = float(shifted.predict(rows[:1], raw_score=True)[0])
    beta = BetaCalibration(a=0.9, b=1.1, c=float(np.log(risk / (1 - risk))))
    found = run_outputs(open_session(exported(shifted, 5, beta)), rows[:1])
    log_odds = -0.9 * np.logaddexp(0, -raw) + 1.1 * np.logaddexp(0, raw) + beta.c
    assert found.served[0, 0] == pytest.approx(1 / (1 + np.exp(-log_odds)), rel=1e-7)


@pytest.mark.parametrize(
    ("calibrator", "line"),
    [
        pytest.param(BetaCalibration(a=1.3, b=1.3, c=-0.4), Calibration(slope=1.3, intercept=-0.4), id="beta, a = b"),
    ],
)
def test_what_is_a_line_on_the_log_odds_is_folded_and_explained(calibrator: Calibrator, line: Calibration) -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    assert exported(model, 5, calibrator) == exported(model, 5, line)
    prove(exported(model, 5, calibrator), model, calibrator, rows[:50])


def test_a_line_on_a_forest_s_score_is_its_log_odds() -> None:
    rows, labels = cohort()
    forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(rows, labels)
    sigmoid = SigmoidCalibration(slope=6.0, intercept=-3.0)
    graph = exported(forest, 5, sigmoid)
    prove(graph, forest, sigmoid, rows[:60])
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.explained[:, 0], 6 * forest.predict_proba(rows)[:, 1] - 3, atol=1e-6)
    assert found.contributions is not None


@pytest.mark.parametrize("calibrator", [STEPS, BETA], ids=["isotonic", "beta"])
def test_a_forest_keeps_its_score_behind_steps_and_beta(calibrator: BehindCalibrator) -> None:
    rows, labels = cohort()
    forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(rows, labels)
    graph = exported(forest, 5, calibrator)
    prove(graph, forest, calibrator, rows[:60])
    assert [output.name for output in open_session(graph).get_outputs()][:2] == ["score", "probability"]


@pytest.mark.parametrize("tensor", ["calibrator/level", "calibrator/later_thresholds", "calibrator/slope"])
def test_tampered_steps_fail(tensor: str) -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    graph = onnx.load_from_string(exported(model, 5, STEPS))
    (found,) = (initializer for initializer in graph.graph.initializer if initializer.name == tensor)
    found.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(found) * 0.99, tensor))
    with pytest.raises(ParityError, match="probability"):
        prove(graph.SerializeToString(), model, STEPS, rows[:50])


def test_steps_fed_with_a_score_rounded_to_float32_fail() -> None:
    """What a converter does that chains two operators."""
    rows, labels = cohort()
    model = trained(rows, labels)
    graph = onnx.load_from_string(exported(model, 5, STEPS))
    (double,) = (node for node in graph.graph.node if node.name == "score/double")
    double.input[0] = "score/float32"
    with pytest.raises(ParityError, match="score in double"):
        prove(graph.SerializeToString(), model, STEPS, rows[:50])


@pytest.mark.parametrize("calibrator", [CALIBRATION, STEPS, BETA], ids=["a line", "isotonic", "beta"])
def test_only_a_binary_outcome_has_a_calibrator(calibrator: Calibrator) -> None:
    rows, labels = cohort()
    several = trained(rows, classes(labels), objective="multiclass", num_class=3)
    regression = trained(rows, outcomes(labels), objective="regression")
    for model in (several, regression):
        with pytest.raises(NotExportableError, match="expected a binary outcome"):
            calibrated(read_estimator(model), calibrator)
