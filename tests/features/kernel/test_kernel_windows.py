"""Windows of the feature kernel that skip the present or begin with a stay, and what goes on at an index time."""

import math
from typing import Any

import pytest

from features.events import Event
from features.feature import Aggregate, Aggregation, Difference, Ratio
from features.times import LATEST
from tests.features.kernel.test_kernel import aggregate, at_hour, drawn, one, same

STAY = "inpatient_stay"


def held(*periods: tuple[float, float | None] | tuple[float, float | None, float], concept: str = STAY) -> list[Event]:
    """Events of one patient from (hour of the start, hour of the end or None), or with the hour when it was known."""
    return [
        Event(
            "anna",
            concept,
            at_hour(period[0]),
            at_hour(period[2] if len(period) == 3 else period[0]),
            1.0,
            LATEST if period[1] is None else at_hour(period[1]),
        )
        for period in periods
    ]


LACTATES = drawn((1, 9.0), (6, 2.0), (8, 1.0), (10, 4.0), (11, 3.0))
IN_STAY = Aggregate(concept="lactate", aggregation=Aggregation.COUNT, since=STAY)


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        pytest.param([], 0.0, id="no stay: an empty window"),
        pytest.param([(5, None)], 4.0, id="an open stay"),
        pytest.param([(6, None)], 4.0, id="what was measured at the start is inside"),
        pytest.param([(6.001, None)], 3.0, id="a moment after that it is not"),
        pytest.param([(5, 20)], 4.0, id="an end after the index time"),
        pytest.param([(5, 12)], 0.0, id="an end at the index time: over"),
        pytest.param([(5, 11.5)], 0.0, id="an end before it"),
        pytest.param([(5, None), (9, None)], 2.0, id="of two the one that began later"),
        pytest.param([(9, None), (5, 30)], 2.0, id="even if it is to end earlier"),
        pytest.param([(5, None), (9, 11)], 4.0, id="one that is over does not count"),
        pytest.param([(9, None), (9, 13)], 2.0, id="two that began at once"),
        pytest.param([(13, None)], 0.0, id="one that begins later"),
        pytest.param([(5, None), (9, None, 14)], 4.0, id="one that is known only later"),
        pytest.param([(5, None, 12)], 4.0, id="one known just now"),
        pytest.param([(-800_000, None)], 5.0, id="one that was never closed"),
    ],
)
def test_a_window_begins_with_the_stay_that_goes_on(stays: list[Any], expected: float) -> None:
    assert one([*LACTATES, *held(*stays)], IN_STAY) == expected


def test_without_a_stay_a_value_is_missing() -> None:
    feature = Aggregate(concept="lactate", aggregation=Aggregation.MAX, since=STAY)
    assert math.isnan(one([*LACTATES, *held((5, 11))], feature))
    assert one([*LACTATES, *held((5, None))], feature) == 4.0


def test_a_result_of_the_stay_that_is_not_known_yet_does_not_count() -> None:
    late = drawn((9, 99.0, 15))
    feature = Aggregate(concept="lactate", aggregation=Aggregation.MAX, since=STAY)
    assert one([*LACTATES, *late, *held((5, None))], feature) == 4.0


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param({"lookback_hours": 24, "skip_hours": 2}, 4.0, id="measured just when the window ends"),
        pytest.param({"lookback_hours": 24, "skip_hours": 2.01}, 3.0, id="a moment later"),
        pytest.param({"lookback_hours": 6, "skip_hours": 3}, 1.0, id="open at its start"),
        pytest.param({"skip_hours": 3}, 3.0, id="all of the past but three hours"),
        pytest.param({"since": STAY, "skip_hours": 3}, 2.0, id="of the stay all but three hours"),
        pytest.param({"since": STAY, "skip_hours": 30}, 0.0, id="a stay shorter than what is skipped"),
    ],
)
def test_a_window_may_end_before_the_index_time(window: dict[str, Any], expected: float) -> None:
    feature = Aggregate(concept="lactate", aggregation=Aggregation.COUNT, **window)
    assert one([*LACTATES, *held((5, None))], feature) == expected


def test_a_result_drawn_before_the_window_ends_counts_though_it_was_known_after() -> None:
    """What is skipped is about when it was drawn; what is known is asked at the index time."""
    feature = Aggregate(concept="lactate", aggregation=Aggregation.LAST, lookback_hours=24, skip_hours=3)
    assert one(drawn((6, 2.0), (8, 1.0, 11.5)), feature) == 1.0
    assert one(drawn((6, 2.0), (8, 1.0, 12.5)), feature) == 2.0


def test_hours_since_are_counted_from_the_index_time() -> None:
    feature = Aggregate(concept="lactate", aggregation=Aggregation.HOURS_SINCE, lookback_hours=24, skip_hours=3)
    assert one(LACTATES, feature) == 4.0


def test_a_rise_above_the_baseline_of_a_week_without_today() -> None:
    """Creatinine 90 the day before yesterday, 80 yesterday morning, 60 two hours ago, 120 now: up by 40, not by 60."""
    baseline = Aggregate(concept="creatinine", aggregation=Aggregation.MIN, lookback_hours=168, skip_hours=24)
    rise = Difference(name="rise", minuend=aggregate("last", 24, "creatinine"), subtrahend=baseline)
    ratio = Ratio(name="ratio", numerator=aggregate("last", 24, "creatinine"), denominator=baseline)
    chart = drawn((-30, 90.0), (-13, 80.0), (10, 60.0), (12, 120.0), concept="creatinine")
    assert one(chart, rise) == 40.0
    assert one(chart, ratio) == 1.5


@pytest.mark.parametrize(
    ("periods", "window", "expected"),
    [
        pytest.param([(8, None)], {}, 1.0, id="open"),
        pytest.param([(8, 13)], {}, 1.0, id="ends later"),
        pytest.param([(12, None)], {}, 1.0, id="begins at the index time"),
        pytest.param([(8, 12)], {}, 0.0, id="ends at the index time"),
        pytest.param([(8, 8)], {}, 0.0, id="a point"),
        pytest.param([(12, 12)], {}, 0.0, id="a point at the index time"),
        pytest.param([(13, None)], {}, 0.0, id="begins later"),
        pytest.param([(8, None, 13)], {}, 0.0, id="known later"),
        pytest.param([(8, 20), (9, 10)], {}, 1.0, id="a later one is over, this one not"),
        pytest.param([(-90, None)], {}, 1.0, id="begun long ago"),
        pytest.param([(-90, None)], {"lookback_hours": 24}, 0.0, id="begun too long ago"),
        pytest.param([(11, None)], {"skip_hours": 2}, 0.0, id="begun too lately"),
    ],
)
def test_active_is_what_began_and_has_not_ended(periods: list[Any], window: dict[str, Any], expected: float) -> None:
    feature = Aggregate(concept="vancomycin", aggregation=Aggregation.ACTIVE, **window)
    assert one(held(*periods, concept="vancomycin"), feature) == expected


@pytest.mark.parametrize(
    ("chart", "expected"),
    [
        pytest.param([(6, 1.0), (8, 2.0), (9, 1.0), (10, 3.0)], 3.0, id="three codes, one of them twice"),
        pytest.param([(6, 2.0), (7, 2.0)], 1.0, id="one code"),
        pytest.param([(6, 0.0), (7, -0.0)], 1.0, id="one zero"),
        pytest.param([(6, 1.0), (8, 2.0, 13)], 1.0, id="the second known later"),
        pytest.param([(2, 1.0)], 0.0, id="before the window"),
    ],
)
def test_distinct_counts_each_value_once(chart: list[Any], expected: float) -> None:
    assert one(drawn(*chart, concept="antibiotic"), aggregate("distinct", 8, "antibiotic")) == expected


def test_one_concept_may_be_both_measured_and_the_start_of_its_window() -> None:
    feature = Aggregate(concept=STAY, aggregation=Aggregation.HOURS_SINCE, since=STAY)
    assert same(one(held((2, None), (9, None)), feature), 3.0)
