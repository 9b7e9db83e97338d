"""Platt's line and beta calibration are those of maximum likelihood, isotonic steps those of least squares."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from training.calibrate import CalibrationError, apply, fit_beta, fit_isotonic, fit_platt
from training.export import BetaCalibration, Of
from training.export.trees import BoolArray, FloatArray
from training.logistic import recalibrate, recalibrate_in_the_large


def test_two_groups_are_moved_to_their_observed_log_odds() -> None:
    """With two distinct logits the line passes through both groups' observed log-odds, worked by hand."""
    #   logit   rows   positive   observed log-odds
    #    -1      10        2      ln(2/8)  = -1.386
    #    +1      10        6      ln(6/4)  = +0.405
    logits = np.repeat([-1.0, 1.0], 10)
    labels = np.array([True] * 2 + [False] * 8 + [True] * 6 + [False] * 4)
    low, high = np.log(2 / 8), np.log(6 / 4)

    fitted = fit_platt(logits, labels)

    assert fitted.slope == pytest.approx((high - low) / 2, abs=1e-12)
    assert fitted.intercept == pytest.approx((high + low) / 2, abs=1e-12)
    assert apply(fitted, np.array([-1.0, 1.0])) == pytest.approx([low, high], abs=1e-12)


@given(
    seed=st.integers(0, 10_000),
    slope=st.floats(0.2, 3.0),
    intercept=st.floats(-4.0, 2.0),
    shift=st.sampled_from([0.0, -30.0, 200.0]),
)
def test_the_line_is_that_of_unpenalised_logistic_regression(
    seed: int, slope: float, intercept: float, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=300)
    labels = rng.random(300) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    logits[:4], labels[:4] = [-1.0, 1.0, -1.0, 1.0], [True, False, False, True]  # the outcomes always mix

    fitted = fit_platt(logits + shift, labels)

    oracle = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-6).fit(logits[:, np.newaxis], labels)
    assert fitted.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert fitted.intercept + fitted.slope * shift == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_a_rare_outcome_gets_its_line_back() -> None:
    """At a prevalence of 0.02, 200,000 rows give back the line they were drawn from, within four standard errors."""
    rng = np.random.default_rng(11)
    logits = rng.normal(-3, 1, size=200_000)
    labels = rng.random(logits.size) < 1 / (1 + np.exp(-(0.8 * logits - 2.0)))
    assert 0.005 < labels.mean() < 0.03
    fitted = fit_platt(logits, labels)
    # Inverse information of about 2,500 positives: standard errors near 0.02 (slope) and 0.05 (intercept).
    assert fitted.slope == pytest.approx(0.8, abs=0.08)
    assert fitted.intercept == pytest.approx(-2.0, abs=0.2)


def test_calibrated_logits_need_no_second_calibration() -> None:
    rng = np.random.default_rng(12)
    logits = rng.normal(size=2000)
    labels = rng.random(2000) < 1 / (1 + np.exp(-2 * logits + 3))
    again = fit_platt(apply(fit_platt(logits, labels), logits), labels)
    assert again.slope == pytest.approx(1, abs=1e-9)
    assert again.intercept == pytest.approx(0, abs=1e-9)


def test_weights_count_as_repeated_rows() -> None:
    logits = np.array([-1.0, 0.0, 2.0])
    positives, negatives = np.array([1.0, 3.0, 2.0]), np.array([4.0, 1.0, 1.0])
    rows = np.concatenate([np.repeat(logits, [1, 3, 2]), np.repeat(logits, [4, 1, 1])])
    labels = np.array([True] * 6 + [False] * 6)
    fitted = fit_platt(rows, labels)
    assert recalibrate(logits, positives, negatives) == pytest.approx((fitted.slope, fitted.intercept), abs=1e-10)


@given(seed=st.integers(0, 10_000), shift=st.floats(-12.0, 12.0))
def test_in_the_large_the_mean_probability_becomes_the_prevalence(seed: int, shift: float) -> None:
    """The likelihood with the slope fixed to 1 has its maximum where Σ probability = Σ outcome."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(shift, 2, size=200)
    labels = rng.random(200) < 0.1
    labels[:2] = [True, False]
    intercept = recalibrate_in_the_large(logits, labels.astype(np.float64), (~labels).astype(np.float64))
    assert (1 / (1 + np.exp(-(logits + intercept)))).sum() == pytest.approx(labels.sum(), rel=1e-8)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        pytest.param([0.0, 1.0], [True, True], "both outcomes", id="only positive rows"),
        pytest.param([0.0, 1.0], [False, False], "both outcomes", id="only negative rows"),
        pytest.param([0.0, 1.0, 2.0], [False, False, True], "at which both outcomes mix", id="separated"),
        pytest.param([0.0, 1.0, 2.0], [True, False, False], "at which both outcomes mix", id="separated backwards"),
        pytest.param([0.0, 1.0, 1.0, 2.0], [False, False, True, True], "both outcomes mix", id="only touching"),
        pytest.param([1.0, 1.0], [False, True], "all the same", id="constant"),
        pytest.param([np.nan, 1.0], [False, True], "finite logits, 1 of 2", id="NaN"),
        pytest.param([np.inf, 1.0], [False, True], "finite logits, 1 of 2", id="infinite"),
        pytest.param([0.0, 1.0, 2.0], [False, True], "of one length", id="lengths differ"),
    ],
)
def test_what_has_no_line_is_refused(logits: list[float], labels: list[bool], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        fit_platt(np.array(logits), np.array(labels))


def _log_likelihood(beta: BetaCalibration, logits: FloatArray, labels: BoolArray) -> float:
    log_odds = beta.a * -np.logaddexp(0, -logits) + beta.b * np.logaddexp(0, logits) + beta.c
    return float(log_odds[labels].sum() - np.logaddexp(0, log_odds).sum())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    a=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    b=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    level=st.floats(-3.0, 3.0),
)
def test_no_beta_calibration_near_the_fitted_one_is_likelier(seed: int, a: float, b: float, level: float) -> None:
    """Also on the edge, where a or b would like to be negative: there only steps with a, b >= 0 count."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(level, 2, size=400)
    log_odds = -a * np.logaddexp(0, -logits) + b * np.logaddexp(0, logits) - 0.3
    labels = rng.random(400) < 1 / (1 + np.exp(-log_odds))
    logits[:4], labels[:4] = [-1.0, 1.0, -1.0, 1.0], [True, False, False, True]  # the outcomes always mix
    try:
        fitted = fit_beta(logits, labels)
    except CalibrationError:
        assert fit_platt(logits, labels).slope < 0.05  # noise without any rise
        return
    best = _log_likelihood(fitted, logits, labels)
    for step in rng.normal(size=(200, 3)) * rng.choice([1e-4, 1e-2, 1.0], size=(200, 1)):
        moved = np.array([fitted.a, fitted.b, fitted.c]) + step
        if min(moved[:2]) >= 0 and max(moved[:2]) > 0:
            beside = BetaCalibration(a=moved[0], b=moved[1], c=moved[2])
            assert _log_likelihood(beside, logits, labels) <= best + 1e-9


def test_beta_calibration_is_unpenalised_logistic_regression_on_both_logarithms() -> None:
    """Kull et al. 2017, section 4: wherever it wants both a and b to be positive."""
    rng = np.random.default_rng(3)
    logits = rng.normal(-1, 2, size=5000)
    terms = np.stack([-np.logaddexp(0, -logits), np.logaddexp(0, logits)], axis=1)
    labels = rng.random(5000) < 1 / (1 + np.exp(-(terms @ [1.5, 0.5] - 0.4)))
    fitted = fit_beta(logits, labels)
    oracle = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(terms, labels)
    assert [fitted.a, fitted.b] == pytest.approx(oracle.coef_[0].tolist(), abs=1e-4)
    assert fitted.c == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_isotonic_calibration_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=500)
    labels = rng.random(500) < 1 / (1 + np.exp(-2 * scores))
    fitted = fit_isotonic(scores, labels, of=Of.SCORE)
    oracle = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    asked = np.concatenate([scores, [-9.0, 9.0]])
    assert fitted.probability(asked).tolist() == oracle.predict(asked).tolist()
    assert fitted.of is Of.SCORE


@pytest.mark.parametrize(
    ("fit", "scores", "labels", "message"),
    [
        pytest.param(fit_beta, [0.0, 1.0, 2.0], [False, False, True], "outcomes mix", id="beta, separated"),
        pytest.param(fit_beta, [0.0, 1.0, 2.0], [False] * 3, "both outcomes", id="beta, one outcome"),
        pytest.param(
            fit_beta, [0.0, 1.0] * 4, [True, False, False, True] * 2, "three different", id="beta, two logits"
        ),
        pytest.param(fit_beta, [0.0, 1.0, 2.0], [False, True], "of one length", id="beta, lengths differ"),
        pytest.param(
            fit_beta,
            [-3.0, 0.0, 3.0] * 8,
            [True, False, False] * 7 + [False, True, True],
            "it falls",
            id="beta, falling",
        ),
        pytest.param(partial(fit_isotonic, of=Of.SCORE), [0.0, 1.0], [True, True], "both outcomes", id="isotonic, one"),
        pytest.param(partial(fit_isotonic, of=Of.SCORE), [np.nan, 1.0], [True, False], "1 scores", id="isotonic, NaN"),
    ],
)
def test_what_has_no_calibrator_is_refused(
    fit: Callable[[FloatArray, BoolArray], object], scores: list[float], labels: list[bool], message: str
) -> None:
    with pytest.raises(CalibrationError, match=message):
        fit(np.array(scores), np.array(labels))
