"""Point scores: a clinician's rules, counted as at the bedside, and the risk that data gives each total."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from tests.training.point_scores import FEATURES, NEWS2, QSOFA
from training.logistic import CalibrationError
from training.point_score import PointRule, PointScore, PointScoreError, just_above

NAN = float("nan")
NORMAL = (16, 97, 0, 120, 70, 0, 37.0)


def _with(**changed: float) -> list[float]:
    """A normal patient but for some values, by the beginning of the feature's name."""
    return [
        next((value for name, value in changed.items() if feature.startswith(name)), normal)
        for feature, normal in zip(FEATURES, NORMAL, strict=True)
    ]


@pytest.mark.parametrize(
    ("row", "points"),
    [
        pytest.param(_with(), 0, id="normal"),
        pytest.param(_with(respiratory=8), 3, id="breathes 8 a minute"),
        pytest.param(_with(respiratory=11), 1, id="breathes 11"),
        pytest.param(_with(respiratory=21), 2, id="breathes 21"),
        pytest.param(_with(respiratory=25), 3, id="breathes 25"),
        pytest.param(_with(oxygen=91), 3, id="saturation 91 %"),
        pytest.param(_with(oxygen=95, supplemental=1), 3, id="saturation 95 % on oxygen"),
        pytest.param(_with(systolic=90), 3, id="systolic 90"),
        pytest.param(_with(systolic=219), 0, id="systolic 219"),
        pytest.param(_with(systolic=220), 3, id="systolic 220"),
        pytest.param(_with(heart=40), 3, id="pulse 40"),
        pytest.param(_with(heart=130), 2, id="pulse 130"),
        pytest.param(_with(altered=1), 3, id="confused"),
        pytest.param(_with(temperature=35.0), 3, id="35.0 °C"),
        pytest.param(_with(temperature=35.1), 1, id="35.1 °C"),
        pytest.param(_with(temperature=38.0), 0, id="38.0 °C"),
        pytest.param(_with(temperature=38.1), 1, id="38.1 °C"),
        pytest.param(_with(temperature=39.1), 2, id="39.1 °C"),
        pytest.param([26, 90, 1, 85, 135, 1, 34.0], 20, id="everything"),
        pytest.param([NAN] * 7, 0, id="nothing recorded"),
    ],
)
def test_news2_counts_as_its_chart(row: list[float], points: int) -> None:
    """As float32, 35.1 and 38.1 lie beside the numbers that are printed; a recorded 35.1 counts as one."""
    score = PointScore(NEWS2, FEATURES)
    assert score.points(np.array([row], dtype=np.float32)).tolist() == [points]
    assert score.points(np.array([row])).tolist() == [points]


@pytest.mark.parametrize(
    ("row", "points"),
    [
        pytest.param(_with(), 0, id="normal"),
        pytest.param(_with(respiratory=22), 1, id="breathes 22 a minute"),
        pytest.param(_with(systolic=100), 1, id="systolic 100"),
        pytest.param(_with(systolic=100.5), 0, id="systolic 100.5"),
        pytest.param(_with(respiratory=30, systolic=80, altered=1), 3, id="all three"),
    ],
)
def test_qsofa_counts_as_published(row: list[float], points: int) -> None:
    assert PointScore(QSOFA, FEATURES).points(np.array([row])).tolist() == [points]


@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=False), min_size=1, max_size=30))
def test_bins_are_right_open_on_float32(values: list[float]) -> None:
    rule = PointRule(feature="x", boundaries=(-1.5, 0.1, 35.1), points=(1, 2, 3, 4), if_missing=9)
    starts = [np.float32(boundary) for boundary in rule.boundaries]

    def expected(value: float) -> int:
        if np.isnan(value):
            return 9
        return next((points for points, end in zip(rule.points, starts, strict=False) if np.float32(value) < end), 4)

    asked = np.array(values, dtype=np.float32)
    assert rule.table[rule.bins(asked)].tolist() == [expected(value) for value in values]


def test_what_lies_just_above_is_in_the_next_bin() -> None:
    rule = PointRule(feature="x", boundaries=(just_above(100),), points=(1, 0))
    assert rule.bins(np.array([100, just_above(100)], dtype=np.float32)).tolist() == [0, 1]


def _cohort(seed: int = 0, rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Totals 0 to 3 whose log-odds of the outcome are total - 2."""
    rng = np.random.default_rng(seed)
    matrix = np.tile(np.array(NORMAL, dtype=np.float32), (rows, 1))
    matrix[:, 0] = np.where(rng.random(rows) < 0.4, 30, 16)
    matrix[:, 3] = np.where(rng.random(rows) < 0.3, 90, 120)
    matrix[:, 5] = rng.random(rows) < 0.2
    totals = PointScore(QSOFA, FEATURES).points(matrix)
    return matrix, rng.random(rows) < 1 / (1 + np.exp(2.0 - totals))


def test_a_logistic_mapping_gives_the_log_odds_of_each_total() -> None:
    """Drawn from slope 1 and intercept -2; four standard errors of 3,000 rows."""
    rows, labels = _cohort()
    score = PointScore(QSOFA, FEATURES).fit(rows, labels)
    assert score.slope_ == pytest.approx(1.0, abs=0.25)
    assert score.intercept_ == pytest.approx(-2.0, abs=0.25)
    np.testing.assert_allclose(score.decision_function(rows), score.slope_ * score.points(rows) + score.intercept_)
    # The likelihood's maximum: as many outcomes are expected as there were.
    assert score.predict_proba(rows)[:, 1].sum() == pytest.approx(labels.sum(), rel=1e-6)


def test_a_table_gives_the_share_with_the_outcome_at_each_total() -> None:
    rows, labels = _cohort()
    score = PointScore(QSOFA, FEATURES, "table").fit(rows, labels)
    totals = score.points(rows)
    assert score.decision_function(rows).tolist() == totals.tolist()
    for total in range(4):
        found = score.predict_proba(rows[totals == total])[0, 1]
        assert found == pytest.approx(labels[totals == total].mean(), abs=1e-12)


def test_a_table_does_not_fall_and_ends_at_its_last_totals() -> None:
    rows, labels = _cohort(rows=60)
    score = PointScore(NEWS2, FEATURES, "table").fit(rows, labels)
    asked = np.array([[26, 90, 1, 85, 135, 1, 34.0], *([16 + at, 97, 0, 120, 70, 0, 37.0] for at in range(15))])
    by_total = score.predict_proba(asked)[np.argsort(score.points(asked)), 1]
    assert (np.diff(by_total) >= 0).all()
    assert score.predict_proba(asked)[0, 1] == score.probabilities_[-1]


def test_it_is_an_estimator_of_scikit_learn() -> None:
    rows, labels = _cohort(rows=200)
    score = clone(PointScore(QSOFA, FEATURES)).fit(rows, np.where(labels, "died", "alive"))
    assert score.classes_.tolist() == ["alive", "died"]
    assert set(score.predict(rows)) <= {"alive", "died"}
    assert score.predict_proba(rows).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("boundaries", "points", "said"),
    [
        pytest.param((1.0,), (0,), "one more number of points", id="a bin without points"),
        pytest.param((2.0, 1.0), (0, 1, 2), "ascend", id="descending"),
        pytest.param((1.0, 1.0 + 1e-12), (0, 1, 2), "ascend as float32", id="the same as float32"),
        pytest.param((1e39,), (0, 1), "finite", id="beyond float32"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(
    boundaries: tuple[float, ...], points: tuple[int, ...], said: str
) -> None:
    with pytest.raises(PointScoreError, match=said):
        PointRule(feature="x", boundaries=boundaries, points=points)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        pytest.param(PointScore((), FEATURES), "got 0", id="no rule"),
        pytest.param(PointScore(QSOFA, (*FEATURES[1:], "y")), r"respiratory_rate_last_24h", id="an unknown feature"),
        pytest.param(PointScore(QSOFA, (*FEATURES[:6], FEATURES[0])), "distinct", id="a feature twice"),
        pytest.param(PointScore(QSOFA, FEATURES, "step"), "'logistic' or 'table'", id="an unknown mapping"),  # type: ignore[arg-type]
    ],
)
def test_scores_that_do_not_fit_their_features_are_refused(score: PointScore, said: str) -> None:
    rows, labels = _cohort(rows=50)
    with pytest.raises(PointScoreError, match=said):
        score.fit(rows, labels)


def test_a_risk_that_falls_as_points_rise_is_refused() -> None:
    rows, labels = _cohort()
    with pytest.raises(PointScoreError, match="rises with the points"):
        PointScore(QSOFA, FEATURES).fit(rows, ~labels)


def test_three_outcomes_are_refused() -> None:
    rows, _ = _cohort(rows=60)
    with pytest.raises(CalibrationError, match="binary outcome, got 3"):
        PointScore(QSOFA, FEATURES).fit(rows, np.arange(60) % 3)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(PointScoreError, match=r"\[N, 7\]"):
        PointScore(QSOFA, FEATURES).points(np.zeros((3, 6)))
