"""Point scores as graphs: the same points for every float32 value, and what each rule added to the log-odds."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.export.examples import METADATA
from tests.training.point_scores import FEATURES, NEWS2, QSOFA
from training.export import BetaCalibration, ExportError, NotExportableError, export, prove
from training.export.parity import open_session, run_graph, run_outputs
from training.export.trees import BoolArray, Float32Array
from training.point_score import PointRule, PointScore


def _patients(seed: int = 0, rows: int = 400) -> tuple[Float32Array, BoolArray]:
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(18, 5, rows),
        rng.normal(95, 3, rows),
        rng.random(rows) < 0.2,
        rng.normal(115, 25, rows),
        rng.normal(85, 25, rows),
        rng.random(rows) < 0.1,
        rng.normal(37, 1.2, rows),
    ]
    matrix = np.stack(columns, axis=1).round(1).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.15] = np.nan
    totals = PointScore(NEWS2, FEATURES).points(matrix)
    return matrix, rng.random(rows) < 1 / (1 + np.exp(3.0 - 0.5 * totals))


def _exported(score: PointScore) -> bytes:
    return export(score, feature_names=score.feature_names, calibration=None, metadata=METADATA)


@pytest.mark.parametrize("rules", [NEWS2, QSOFA], ids=["NEWS2", "qSOFA"])
@pytest.mark.parametrize("mapping", ["logistic", "table"])
def test_clinical_scores_are_exported_exactly(rules: tuple[PointRule, ...], mapping: str) -> None:
    rows, labels = _patients()
    score = PointScore(rules, FEATURES, mapping).fit(rows, labels)  # type: ignore[arg-type]
    graph = _exported(score)
    proof = prove(graph, score, None, rows[:100])
    assert proof.rows_against_shap > 0
    # Each boundary, and the largest float32, which tells a value from a missing one.
    assert proof.thresholds_covered == sum(len(rule.boundaries) + 1 for rule in rules)
    nodes = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    assert nodes.count("TreeEnsembleRegressor") == 1


def test_a_contribution_is_points_minus_mean_points_times_the_slope() -> None:
    rows, labels = _patients()
    score = PointScore(NEWS2, FEATURES).fit(rows, labels)
    found = run_graph(open_session(_exported(score)), rows)
    points = score.points_by_rule(rows)
    np.testing.assert_allclose(found.contributions, score.slope_ * (points - points.mean(axis=0)), atol=1e-6)
    assert found.base_value == pytest.approx(score.decision_function(rows).mean(), abs=1e-6)


def test_a_table_is_explained_in_points() -> None:
    rows, labels = _patients()
    score = PointScore(NEWS2, FEATURES, "table").fit(rows, labels)
    graph = _exported(score)
    session = open_session(graph)
    assert session.get_modelmeta().custom_metadata_map["scale"] == "points"
    found = run_outputs(session, rows)
    assert found.explained[:, 0].tolist() == score.points(rows).tolist()
    np.testing.assert_allclose(found.served[:, 0], score.predict_proba(rows)[:, 1], rtol=1e-7)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), mapping=st.sampled_from(["logistic", "table"]))
def test_random_scores_are_exported_exactly(data: st.DataObject, mapping: str) -> None:
    """Several rules on one feature, points below 0, bins that no row fell in, a rule that is always the same."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    names = ("a", "b", "c")
    rules = []
    for _ in range(data.draw(st.integers(1, 5))):
        boundaries = np.unique(rng.normal(size=rng.integers(0, 5)).astype(np.float32) * 3).tolist()
        points = rng.integers(-3, 9, size=len(boundaries) + 1).tolist()
        rules.append(
            PointRule(
                feature=str(rng.choice(names)),
                boundaries=tuple(boundaries),
                points=tuple(points),
                if_missing=int(rng.integers(-3, 9)),
            )
        )
    rows = rng.normal(size=(120, 3)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    score = PointScore(tuple(rules), names, "table").fit(rows, np.arange(120) % 2 == 0)
    if mapping == "logistic":
        # A line by hand: points at random may separate the outcomes, or turn them round, and then have none.
        score.mapping, score.slope_, score.intercept_ = "logistic", 0.7, -1.5
    prove(_exported(score), score, None, rows[:40], shap_rows=8)


def test_names_in_another_order_are_refused() -> None:
    """A score reads its features by name."""
    rows, labels = _patients()
    score = PointScore(QSOFA, FEATURES).fit(rows, labels)
    with pytest.raises(ExportError, match="order of the point score's own features"):
        export(score, feature_names=FEATURES[::-1], calibration=None, metadata=METADATA)


def test_a_table_behind_which_a_calibrator_would_stand_is_refused() -> None:
    rows, labels = _patients()
    score = PointScore(QSOFA, FEATURES, "table").fit(rows, labels)
    with pytest.raises(NotExportableError, match="calibrated already"):
        export(score, feature_names=FEATURES, calibration=BetaCalibration(a=1, b=1, c=0), metadata=METADATA)
