"""The normalised utility of the PhysioNet challenge 2019, by hand and against a literal reading of its rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.utility import (
    UtilityError,
    best_threshold,
    normalised_utility,
    utility_curve,
    utility_estimate,
)

Stay = tuple[list[bool], list[bool]]

# A septic stay of 24 h: first positive label at hour 10, so onset at hour 16. Utility of an alarm and of silence, and
# the gain of the alarm, hour by hour:
#
#   hour        0..3   4    5    6    7    8    9   10   11    12    13    14    15    16    17    18    19  20..
#   to onset   ..-13 -12  -11  -10   -9   -8   -7   -6   -5    -4    -3    -2    -1     0    +1    +2    +3  +4..
#   alarm      -0.05   0  1/6  2/6  3/6  4/6  5/6    1  8/9   7/9   6/9   5/9   4/9   3/9   2/9   1/9     0     0
#   silence        0   0    0    0    0    0    0    0 -2/9  -4/9  -6/9  -8/9 -10/9 -12/9 -14/9 -16/9    -2     0
#   gain       -0.05   0  1/6  2/6  3/6  4/6  5/6    1 10/9  11/9  12/9  13/9  14/9  15/9  16/9  17/9     2     0
#
# Best alarms (hours 4 to 19) gain (1+2+3+4+5)/6 + 1 + (10+11+12+13+14+15+16+17)/9 + 2 = 2.5 + 1 + 12 + 2 = 17.5.
HOURS = 24
BEST = 17.5
SEPTIC = [hour >= 10 for hour in range(HOURS)]
NEVER_SEPTIC = [False] * HOURS


def alarms(*hours: int) -> list[bool]:
    return [hour in hours for hour in range(HOURS)]


def stack(*stays: Stay) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Return labels, predictions, patients and hours of these stays."""
    labels = np.array([label for stay, _ in stays for label in stay])
    predictions = np.array([alarm for _, stay in stays for alarm in stay])
    patients = np.repeat(np.arange(len(stays)), [len(stay) for stay, _ in stays])
    hours = np.concatenate([np.arange(len(stay)) for stay, _ in stays])
    return labels, predictions, patients, hours


def utility_of(*stays: Stay) -> float:
    labels, predictions, patients, hours = stack(*stays)
    return normalised_utility(labels, predictions, patients, hours=hours)


@pytest.mark.parametrize(
    ("predictions", "gained"),
    [
        pytest.param(alarms(), 0, id="sepsis missed"),
        pytest.param(alarms(0), -0.05, id="alarm 16 h before onset: too early"),
        pytest.param(alarms(3), -0.05, id="alarm 13 h before onset: still too early"),
        pytest.param(alarms(4), 0, id="alarm 12 h before onset: worth nothing yet"),
        pytest.param(alarms(7), 3 / 6, id="alarm 9 h before onset: half way up"),
        pytest.param(alarms(10), 1, id="alarm 6 h before onset: optimal"),
        pytest.param(alarms(13), 12 / 9, id="alarm 3 h before onset"),
        pytest.param(alarms(16), 15 / 9, id="alarm at onset"),
        pytest.param(alarms(19), 2, id="alarm 3 h after onset: only ends the penalty"),
        pytest.param(alarms(20), 0, id="alarm 4 h after onset: too late"),
        pytest.param(alarms(9, 10, 11), 5 / 6 + 1 + 10 / 9, id="three hours of alarm"),
        pytest.param(alarms(*range(4, 20)), BEST, id="best alarms"),
        pytest.param(alarms(*range(HOURS)), BEST - 4 * 0.05, id="always alarmed"),
    ],
)
def test_an_alarm_is_worth_what_its_hour_is_worth(predictions: list[bool], gained: float) -> None:
    assert utility_of((SEPTIC, predictions)) == pytest.approx(gained / BEST, abs=1e-12)


@pytest.mark.parametrize(
    ("predictions", "gained"),
    [
        pytest.param(alarms(), 0, id="silent"),
        pytest.param(alarms(3, 20), -0.1, id="two false alarms"),
        pytest.param(alarms(*range(HOURS)), -1.2, id="24 false alarms"),
    ],
)
def test_each_alarm_in_a_patient_without_sepsis_costs_a_twentieth(predictions: list[bool], gained: float) -> None:
    # The septic patient beside gains 1 of 17.5; the never septic one adds nothing to the best.
    assert utility_of((SEPTIC, alarms(10)), (NEVER_SEPTIC, predictions)) == pytest.approx(
        (1 + gained) / BEST, abs=1e-12
    )


@pytest.mark.parametrize(
    ("labels", "predictions", "expected"),
    [
        # Onset 6 h after admission: the hours before admission are lost to the best alarms too, and hours 0 … 9 give
        # 1 + 12 + 2 = 15.
        pytest.param([True] * 12, [True] * 12, 1, id="septic from admission, always alarmed"),
        pytest.param([True] * 12, [True] + [False] * 11, 1 / 15, id="septic from admission, alarm at once"),
        # The stay ends 5 h before onset: best is 1/6+…+5/6 + 1 + 10/9 = 2.5 + 19/9.
        pytest.param(SEPTIC[:12], alarms(10)[:12], 1 / (2.5 + 19 / 9), id="stay ends before onset"),
    ],
)
def test_the_best_alarms_are_those_within_the_stay(
    labels: list[bool], predictions: list[bool], expected: float
) -> None:
    assert utility_of((labels, predictions)) == pytest.approx(expected, abs=1e-12)


def literal_utility(labels: list[bool], predictions: list[bool]) -> float:
    """Return the utility of one stay, hour by hour, as the paper's figure and the official scoring state it."""
    total = 0.0
    onset = labels.index(True) + 6 if True in labels else None
    for hour, alarm in enumerate(predictions):
        if onset is None:
            total += -0.05 if alarm else 0.0
            continue
        since = hour - onset
        if since > 3:
            continue
        if alarm:
            total += max((since + 12) / 6, -0.05) if since <= -6 else (3 - since) / 9
        elif since > -6:
            total += -2 * (since + 6) / 9
    return total


def literal_normalised_utility(stays: list[Stay]) -> float:
    observed = best = silent = 0.0
    for labels, predictions in stays:
        onset = labels.index(True) + 6 if True in labels else None
        window = [onset is not None and onset - 12 <= hour <= onset + 3 for hour in range(len(labels))]
        observed += literal_utility(labels, predictions)
        best += literal_utility(labels, window)
        silent += literal_utility(labels, [False] * len(labels))
    return (observed - silent) / (best - silent)


@st.composite
def stays_of_cohort(draw: st.DrawFn) -> list[Stay]:
    """Return a septic stay and up to five of any kind, with any alarms."""
    cohort: list[Stay] = []
    for septic in [True, *draw(st.lists(st.booleans(), max_size=5))]:
        length = draw(st.integers(1, 40))
        first_positive = draw(st.integers(0, length - 1)) if septic else length
        if not cohort:
            first_positive = 0  # an alarm helps in at least one hour
        labels = [hour >= first_positive for hour in range(length)]
        cohort.append((labels, draw(st.lists(st.booleans(), min_size=length, max_size=length))))
    return cohort


@given(cohort=stays_of_cohort())
def test_the_sum_of_gains_is_the_literal_definition(cohort: list[Stay]) -> None:
    assert utility_of(*cohort) == pytest.approx(literal_normalised_utility(cohort), abs=1e-9)


@given(cohort=stays_of_cohort(), seed=st.integers(0, 1000))
def test_the_curve_is_the_utility_at_each_threshold(cohort: list[Stay], seed: int) -> None:
    labels, _, patients, hours = stack(*cohort)
    # One decimal makes ties, also between probabilities and thresholds.
    probabilities = np.random.default_rng(seed).random(labels.size).round(1)
    thresholds = np.linspace(0, 1.1, 12).round(1)
    one_by_one = [
        normalised_utility(labels, probabilities >= threshold, patients, hours=hours) for threshold in thresholds
    ]
    curve = utility_curve(labels, probabilities, patients, hours=hours, thresholds=thresholds)
    assert curve == pytest.approx(np.array(one_by_one), abs=1e-9)


def test_of_equally_good_thresholds_the_highest_is_chosen() -> None:
    labels, predictions, patients, hours = stack((SEPTIC, alarms(*range(4, 20))))
    probabilities = np.where(predictions, 0.5, 0.2)
    # Up to 0.2 all hours are alarmed; above 0.5 none; between, the best ones.
    thresholds = np.array([0.1, 0.3, 0.5, 0.4, 0.6])
    chosen = best_threshold(labels, probabilities, patients, hours=hours, thresholds=thresholds)
    assert chosen.threshold == 0.5
    assert chosen.utility == pytest.approx(1)


def test_patients_may_have_names_and_stays_may_start_at_any_hour() -> None:
    labels, predictions, patients, hours = stack((SEPTIC, alarms(10)), (NEVER_SEPTIC, alarms(3)))
    names = np.array(["z", "a"])[patients]
    shifted = hours + np.array([5, 1])[patients]
    assert normalised_utility(labels, predictions, names, hours=shifted) == pytest.approx(0.95 / BEST)


def test_the_interval_holds_the_estimate_and_comes_from_patients() -> None:
    """Among 40 patients of whom half are caught at the best hour, utility varies as that half does."""
    stays = [(SEPTIC, alarms(10) if patient % 2 else alarms()) for patient in range(40)]
    labels, predictions, patients, hours = stack(*stays)
    measured = utility_estimate(
        labels, predictions, patients, hours=hours, rng=np.random.default_rng(2), resamples=2000
    )
    assert measured.value == pytest.approx(0.5 / BEST)
    assert measured.lower is not None
    assert measured.upper is not None
    # A share of 0.5 among 40 has a standard error of 0.079: 95 % lie within 0.155.
    assert measured.lower == pytest.approx((0.5 - 0.155) / BEST, abs=0.03 / BEST)
    assert measured.upper == pytest.approx((0.5 + 0.155) / BEST, abs=0.03 / BEST)
    assert measured.undefined == 0


def test_resamples_without_sepsis_are_counted() -> None:
    """One septic patient of two is missed by a quarter of the resamples."""
    labels, predictions, patients, hours = stack((SEPTIC, alarms(10)), (NEVER_SEPTIC, alarms()))
    measured = utility_estimate(
        labels, predictions, patients, hours=hours, rng=np.random.default_rng(4), resamples=1000
    )
    assert measured.undefined == pytest.approx(250, abs=60)  # over four standard errors of a binomial count


@pytest.mark.parametrize(
    ("patients", "hours", "message"),
    [
        pytest.param([1, 1, 1, 1], [0, 1, 3, 4], "1 rows do not, the first is row 2", id="an hour is missing"),
        pytest.param([1, 1, 1, 1], [0, 1, 1, 2], "rise by 1", id="an hour comes twice"),
        pytest.param([1, 1, 1, 1], [3, 2, 1, 0], "3 rows do not, the first is row 1", id="time runs backwards"),
        pytest.param([1, 2, 2, 1], [0, 0, 1, 1], "rows together", id="a patient's rows are apart"),
        pytest.param([1, 1, 1], [0, 1, 2, 3], "a patient and an hour for each of 4 rows", id="a patient is missing"),
    ],
)
def test_rows_that_are_not_whole_stays_are_refused(patients: list[int], hours: list[int], message: str) -> None:
    labels = np.array([False, True, True, True])
    with pytest.raises(UtilityError, match=message):
        normalised_utility(labels, labels, np.array(patients), hours=np.array(hours))


def test_a_cohort_in_which_no_alarm_can_help_is_refused() -> None:
    with pytest.raises(UtilityError, match="a septic patient"):
        utility_of((NEVER_SEPTIC, alarms()))


def test_predictions_and_probabilities_are_checked() -> None:
    labels, predictions, patients, hours = stack((SEPTIC, alarms(10)))
    with pytest.raises(UtilityError, match="a boolean prediction for each of 24 rows"):
        normalised_utility(labels, predictions[:3], patients, hours=hours)
    with pytest.raises(UtilityError, match="NaN"):
        utility_curve(labels, np.full(24, np.nan), patients, hours=hours, thresholds=np.array([0.5]))
    with pytest.raises(UtilityError, match="boolean labels"):
        normalised_utility(labels[:0], predictions[:0], patients[:0], hours=hours[:0])
