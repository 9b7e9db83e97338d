"""Measures of performance, by hand, against scikit-learn, and in their statistical behaviour."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training import evaluate as e
from training import tally as measures
from training.performance import Performance
from training.resample import Estimate
from training.tally import SUMMARIES, Ranking, rates, summarise

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.float64]

# Ten patients, worked by hand.
#   probability  0.9  0.8  0.7  0.4  0.4  0.3  0.3  0.2  0.1  0.1
#   outcome       +    +    -    +    -    +    -    -    -    -
PROBABILITIES = np.array([0.9, 0.8, 0.7, 0.4, 0.4, 0.3, 0.3, 0.2, 0.1, 0.1])
LABELS = np.array([True, True, False, True, False, True, False, False, False, False])


@st.composite
def scored_rows(draw: st.DrawFn) -> tuple[Labels, Probabilities]:
    """Return 4 to 60 rows with both outcomes and many ties."""
    count = draw(st.integers(4, 60))
    labels = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    labels[:2] = [True, False]
    tenths = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count))
    return labels, np.array(tenths) / 10


def simulated(rows: int, seed: int, *, slope: float = 1.0, shift: float = 0.0) -> tuple[Labels, Probabilities]:
    """Return outcomes, and probabilities that are calibrated but for a distorted logit `slope * logit + shift`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2.5, 1.2, size=rows)
    labels = rng.random(rows) < 1 / (1 + np.exp(-logits))
    return labels, 1 / (1 + np.exp(-(slope * logits + shift)))


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # The positives beat 6, 6, 4 + 1/2 and 3 + 1/2 of the 6 negatives (a tie counts one half).
        pytest.param(e.auroc, (6 + 6 + 4.5 + 3.5) / 24, id="auroc"),
        # Going down, the PPV at the positives: 1/1, 2/2, 3/5 and 4/7 (ties enter together).
        pytest.param(e.auprc, (1 + 1 + 3 / 5 + 4 / 7) / 4, id="auprc"),
        # Squares of 0.1, 0.2, 0.6, 0.7 (positives), and of 0.7, 0.4, 0.3, 0.2, 0.1, 0.1 (negatives).
        pytest.param(e.brier, (0.90 + 0.80) / 10, id="brier"),
    ],
)
def test_ten_patients_by_hand(measure: Callable[[Labels, Probabilities], float], expected: float) -> None:
    assert measure(LABELS, PROBABILITIES) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "specificity", "ppv", "npv", "alert_rate", "evaluated", "net_benefit"),
    [
        # threshold   TP/4  TN/6  TP/alarms  TN/silent  alarms/10  alarms/TP  TP/10 - FP/10 * odds
        pytest.param(0.05, 4 / 4, 0 / 6, 4 / 10, None, 1.0, 10 / 4, 0.4 - 0.6 * 5 / 95, id="everyone alarmed"),
        pytest.param(0.30, 4 / 4, 3 / 6, 4 / 7, 3 / 3, 0.7, 7 / 4, 0.4 - 0.3 * 3 / 7, id="threshold is a probability"),
        pytest.param(0.50, 2 / 4, 5 / 6, 2 / 3, 5 / 7, 0.3, 3 / 2, 0.2 - 0.1, id="even odds"),
        pytest.param(0.95, 0 / 4, 6 / 6, None, 6 / 10, 0.0, None, 0.0, id="no one alarmed"),
    ],
)
def test_an_operating_point_by_hand(
    threshold: float,
    sensitivity: float,
    specificity: float,
    ppv: float | None,
    npv: float | None,
    alert_rate: float,
    evaluated: float | None,
    net_benefit: float,
) -> None:
    point = e.at_threshold(LABELS, PROBABILITIES, threshold)
    expected = [sensitivity, specificity, ppv, npv, alert_rate, evaluated, net_benefit]
    measured = [
        point.sensitivity,
        point.specificity,
        point.ppv,
        point.npv,
        point.alert_rate,
        point.number_needed_to_evaluate,
        point.net_benefit,
    ]
    assert measured == [None if value is None else pytest.approx(value, abs=1e-12) for value in expected]


@given(rows=scored_rows(), seed=st.integers(0, 1000))
def test_weighted_measures_are_those_of_scikit_learn(rows: tuple[Labels, Probabilities], seed: int) -> None:
    labels, probabilities = rows
    weights = np.random.default_rng(seed).integers(0, 4, size=labels.size)
    weights[:2] = 1  # one positive and one negative row stay
    ranking = Ranking(labels, probabilities)
    tally = ranking.tally(ranking.sort(weights).astype(np.float64))
    assert measures.auroc(tally) == pytest.approx(roc_auc_score(labels, probabilities, sample_weight=weights))
    assert measures.auprc(tally) == pytest.approx(average_precision_score(labels, probabilities, sample_weight=weights))
    assert measures.brier(tally) == pytest.approx(brier_score_loss(labels, probabilities, sample_weight=weights))


@given(rows=scored_rows(), seed=st.integers(0, 1000))
def test_a_weight_of_two_is_the_row_twice(rows: tuple[Labels, Probabilities], seed: int) -> None:
    labels, probabilities = rows
    weights = np.random.default_rng(seed).integers(0, 4, size=labels.size)
    weights[:2] = 1
    ranking = Ranking(labels, probabilities)
    weighted = ranking.tally(ranking.sort(weights).astype(np.float64))
    repeated = Ranking(np.repeat(labels, weights), np.repeat(probabilities, weights)).tally()
    thresholds = np.array([0.05, 0.2, 0.5, 0.95])
    assert summarise(weighted) == pytest.approx(summarise(repeated), nan_ok=True, abs=1e-6)
    assert rates(weighted, thresholds) == pytest.approx(rates(repeated, thresholds), nan_ok=True, abs=1e-12)


@pytest.mark.parametrize(
    ("slope", "shift", "expected_slope", "expected_intercept"),
    [
        pytest.param(1.0, 0.0, 1.0, 0.0, id="calibrated"),
        pytest.param(1.0, 1.0, 1.0, -1.0, id="risk too high by one log-odds"),
        pytest.param(1.0, -0.5, 1.0, 0.5, id="risk too low by half a log-odds"),
        pytest.param(2.0, 0.0, 0.5, None, id="overconfident: logits doubled"),
        pytest.param(0.5, 0.0, 2.0, None, id="underconfident: logits halved"),
    ],
)
def test_slope_and_intercept_undo_the_distortion(
    slope: float, shift: float, expected_slope: float, expected_intercept: float | None
) -> None:
    """With 40,000 rows (about 5,000 positive) the standard errors are near 0.02: four of them are allowed."""
    labels, probabilities = simulated(40_000, seed=8, slope=slope, shift=shift)
    assert e.calibration_slope(labels, probabilities) == pytest.approx(expected_slope, rel=0.08)
    if expected_intercept is not None:
        assert e.calibration_intercept(labels, probabilities) == pytest.approx(expected_intercept, abs=0.08)


def test_the_intercept_is_the_one_in_the_large() -> None:
    """Doubled logits at a low prevalence predict too little risk: above 0 in the large, near 0 beside the slope."""
    labels, probabilities = simulated(40_000, seed=8, slope=2.0)
    assert e.calibration_intercept(labels, probabilities) > 0.5


def test_the_coarse_calibration_of_resamples_is_nearly_the_exact_one() -> None:
    labels, probabilities = simulated(20_000, seed=9, slope=1.3)
    tally = Ranking(labels, probabilities).tally()
    assert summarise(tally, coarse=True) == pytest.approx(summarise(tally), abs=1e-4)


def test_saturated_probabilities_have_a_finite_logit() -> None:
    labels, probabilities = simulated(2000, seed=10)
    probabilities[:4] = [0.0, 1.0, 1e-300, 0.5]
    assert np.isfinite(e.calibration_slope(labels, probabilities))
    assert evaluated(labels, probabilities).saturated == 3


@given(rows=scored_rows(), bins=st.integers(1, 12))
def test_reliability_bins_hold_every_row_once(rows: tuple[Labels, Probabilities], bins: int) -> None:
    labels, probabilities = rows
    cut = e.reliability(labels, probabilities, bins=bins)
    assert len(cut) <= bins
    assert sum(bin_.rows for bin_ in cut) == labels.size
    assert sum(bin_.observed * bin_.rows for bin_ in cut) == pytest.approx(labels.sum())
    assert sum(bin_.mean_probability * bin_.rows for bin_ in cut) == pytest.approx(probabilities.sum())
    means = [bin_.mean_probability for bin_ in cut]
    assert means == sorted(set(means))  # equal probabilities share a bin


def test_reliability_bins_are_of_equal_size_without_ties() -> None:
    labels, probabilities = simulated(1000, seed=1)
    assert [bin_.rows for bin_ in e.reliability(labels, probabilities, bins=4)] == [250] * 4


def test_the_decision_curve_by_hand() -> None:
    """At even odds a false alarm costs what a true one gains; at 0.2 a quarter of it."""
    alarms = np.array([True] * 3 + [False] * 7)  # 2 true, 1 false
    curve = e.decision_curve(LABELS, PROBABILITIES, [0.2, 0.5], rules={"top three": alarms})
    assert curve.thresholds == (0.2, 0.5)
    assert curve.model == pytest.approx((0.4 - 0.4 / 4, 0.2 - 0.1))
    assert curve.treat_all == pytest.approx((0.4 - 0.6 / 4, 0.4 - 0.6))
    assert curve.rules == {"top three": pytest.approx((0.2 - 0.1 / 4, 0.2 - 0.1))}


@pytest.mark.parametrize(
    ("budget", "threshold"),
    [
        pytest.param(1.0, 0.1, id="everyone"),
        pytest.param(0.7, 0.3, id="exactly spent"),
        pytest.param(0.6, 0.4, id="a tie that would overspend is left out"),
        pytest.param(0.1, 0.9, id="one in ten"),
    ],
)
def test_the_alert_budget_is_kept(budget: float, threshold: float) -> None:
    assert e.threshold_for_alert_rate(PROBABILITIES, budget) == threshold


def test_an_alert_budget_that_no_threshold_keeps_is_refused() -> None:
    with pytest.raises(e.EvaluationError, match="shared by 4 of 4 rows"):
        e.threshold_for_alert_rate(np.full(4, 0.5), 0.5)
    with pytest.raises(e.EvaluationError, match="alert rate in"):
        e.threshold_for_alert_rate(PROBABILITIES, 0.0)


def evaluated(
    labels: Labels,
    probabilities: Probabilities,
    *,
    seed: int = 1,
    resamples: int = 20,
    subgroups: Mapping[str, Labels] | None = None,
) -> Performance:
    """Evaluate at two thresholds, two rows a patient."""
    return e.evaluate(
        labels,
        probabilities,
        thresholds=[0.1, 0.3],
        patients=np.arange(labels.size) // 2,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        subgroups=subgroups or {},
    )


def test_a_performance_gathers_the_single_measures() -> None:
    labels, probabilities = simulated(600, seed=2)
    performance = evaluated(labels, probabilities)
    assert (performance.rows, performance.patients, performance.positives) == (600, 300, labels.sum())
    assert performance.positive_patients == labels.reshape(300, 2).any(axis=1).sum()
    for measure in (e.auroc, e.auprc, e.brier, e.calibration_slope, e.calibration_intercept):
        estimate: Estimate = getattr(performance, measure.__name__)
        assert estimate.value == pytest.approx(measure(labels, probabilities))
        assert estimate.lower is not None
        assert estimate.upper is not None
        assert estimate.lower < measure(labels, probabilities) < estimate.upper
    single = e.at_threshold(labels, probabilities, 0.3)
    assert performance.operating_points[1].threshold == 0.3
    assert performance.operating_points[1].ppv.value == single.ppv
    assert performance.operating_points[1].net_benefit.value == single.net_benefit
    assert performance.reliability == e.reliability(labels, probabilities)


def test_every_summary_has_its_field() -> None:
    assert set(SUMMARIES) <= {field.name for field in fields(Performance)}


def test_the_interval_of_the_prevalence_is_that_of_its_patients() -> None:
    """Two equal rows a patient: the 95 % interval is p ± 1.96 √(p (1 − p) / patients), not of rows."""
    labels = np.repeat(np.random.default_rng(3).random(500) < 0.3, 2)
    probabilities = np.random.default_rng(4).random(1000)
    prevalence = evaluated(labels, probabilities, resamples=1000).prevalence
    share = labels.mean()
    half_width = 1.96 * np.sqrt(share * (1 - share) / 500)
    assert prevalence.lower == pytest.approx(share - half_width, abs=0.15 * half_width)
    assert prevalence.upper == pytest.approx(share + half_width, abs=0.15 * half_width)


def test_the_same_seed_gives_the_same_intervals() -> None:
    labels, probabilities = simulated(300, seed=5)
    first, again, other = (evaluated(labels, probabilities, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.auroc != other.auroc


def test_subgroups_are_evaluated_on_their_own_rows() -> None:
    labels, probabilities = simulated(800, seed=6)
    women = np.random.default_rng(7).random(800) < 0.5
    performance = evaluated(labels, probabilities, subgroups={"women": women, "men": ~women})
    assert list(performance.subgroups) == ["women", "men"]
    assert performance.subgroups["women"].rows == women.sum()
    assert performance.subgroups["men"].auroc.value == pytest.approx(e.auroc(labels[~women], probabilities[~women]))
    assert performance.subgroups_refused == {}


def test_a_subgroup_without_both_outcomes_is_refused_by_name() -> None:
    subgroups = {"positive only": LABELS, "negative only": ~LABELS, "nobody": np.zeros_like(LABELS)}
    performance = evaluated(LABELS, PROBABILITIES, subgroups=subgroups)
    assert performance.subgroups == {}
    assert performance.subgroups_refused == {
        "positive only": "4 rows, 4 of them positive; both outcomes are needed",
        "negative only": "6 rows, 0 of them positive; both outcomes are needed",
        "nobody": "0 rows, 0 of them positive; both outcomes are needed",
    }


def test_a_performance_is_plain_json() -> None:
    """What is undefined (no slope for separated outcomes, resamples without one outcome) is null, never NaN."""
    labels, probabilities = np.array([True, True, False, False]), np.array([0.9, 0.8, 0.2, 0.05])
    plain = evaluated(labels, probabilities).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["calibration_slope"]["value"] is None
    assert plain["auroc"]["value"] == 1.0
    assert plain["auroc"]["undefined"] > 0


def test_progress_is_told_for_the_whole() -> None:
    told: list[tuple[int, int]] = []
    e.evaluate(
        LABELS,
        PROBABILITIES,
        thresholds=[0.5],
        patients=np.arange(10),
        rng=np.random.default_rng(0),
        resamples=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        pytest.param(
            [True, True], [0.1, 0.2], "both outcomes among the labels, got 2 positive of 2", id="all positive"
        ),
        pytest.param([False, False], [0.1, 0.2], "got 0 positive of 2 rows", id="all negative"),
        pytest.param([True, False], [0.1, np.nan], "1 of 2 are outside or NaN, the first in row 1", id="NaN"),
        pytest.param([True, False], [1.1, 0.2], "1 of 2 are outside or NaN, the first in row 0", id="above 1"),
        pytest.param([True, False], [0.1, -0.2], "outside or NaN", id="below 0"),
        pytest.param([True, False], [0.1], "of one length", id="lengths differ"),
        pytest.param([1, 0], [0.1, 0.2], "of type int64", id="labels are not boolean"),
    ],
)
@pytest.mark.parametrize("measure", [e.auroc, e.calibration_slope, evaluated], ids=["auroc", "slope", "evaluate"])
def test_rows_without_a_measure_are_refused(
    measure: Callable[[Labels, Probabilities], object], labels: list[bool], probabilities: list[float], message: str
) -> None:
    with pytest.raises(e.EvaluationError, match=message):
        measure(np.array(labels), np.array(probabilities))


@pytest.mark.parametrize(
    "probabilities", [[0.1, 0.2, 0.8, 0.9], [0.5] * 4], ids=["outcomes separated", "one probability"]
)
def test_no_calibration_slope_is_an_error_when_asked_for_alone(probabilities: list[float]) -> None:
    with pytest.raises(e.EvaluationError, match="there is no calibration slope"):
        e.calibration_slope(np.array([False, False, True, True]), np.array(probabilities))


@pytest.mark.parametrize("threshold", [0.0, 1.0, np.nan], ids=["0", "1", "NaN"])
def test_a_threshold_at_certainty_is_refused(threshold: float) -> None:
    with pytest.raises(e.EvaluationError, match="thresholds between 0 and 1"):
        e.at_threshold(LABELS, PROBABILITIES, threshold)


def test_masks_and_patients_of_another_length_are_refused_before_the_bootstrap() -> None:
    with pytest.raises(e.EvaluationError, match="in subgroup 'women'"):
        evaluated(LABELS, PROBABILITIES, subgroups={"women": np.array([True])})
    with pytest.raises(e.EvaluationError, match="in rule 'SIRS'"):
        e.evaluate(
            LABELS,
            PROBABILITIES,
            thresholds=[],
            patients=np.arange(10),
            rng=np.random.default_rng(0),
            rules={"SIRS": np.array([True])},
        )
    with pytest.raises(e.EvaluationError, match="in rule 'qSOFA'"):
        e.decision_curve(LABELS, PROBABILITIES, [0.5], rules={"qSOFA": np.array([True])})
    with pytest.raises(e.EvaluationError, match="a patient for each of 10 rows"):
        e.evaluate(LABELS, PROBABILITIES, thresholds=[], patients=np.arange(3), rng=np.random.default_rng(0))
    with pytest.raises(e.EvaluationError, match="at least one bin"):
        e.reliability(LABELS, PROBABILITIES, bins=0)
