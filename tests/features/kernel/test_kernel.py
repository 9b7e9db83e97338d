"""The feature kernel: what becomes of events at an index time, worked out by hand."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.feature import Aggregate, Aggregation, Difference, Feature, FeatureSet, Ratio
from features.kernel import Kernel, compute, search
from features.kernel.aggregations import AGGREGATIONS

NOON = 1_795_521_600_000_000  # 2026-11-24T12:00:00Z


def drawn(*chart: tuple[float, float] | tuple[float, float, float], concept: str = "lactate") -> list[Event]:
    """Events of one patient from (hour, value), or (hour, value, hour when it was known); noon is hour 12."""
    return [
        Event("anna", concept, at_hour(row[0]), at_hour(row[2] if len(row) == 3 else row[0]), row[1]) for row in chart
    ]


def at_hour(hour: float) -> int:
    return NOON + round((hour - 12) * MICROSECONDS_PER_HOUR)


def aggregate(aggregation: str, lookback_hours: float | None = None, concept: str = "lactate") -> Aggregate:
    return Aggregate(concept=concept, aggregation=Aggregation(aggregation), lookback_hours=lookback_hours)


def one(events: Sequence[Event], feature: Feature, *, hour: float = 12) -> float:
    """The feature of the one patient at an hour."""
    table = Events.of(events, patients=["anna"])
    return float(compute(table, np.zeros(1, np.int64), np.array([at_hour(hour)]), FeatureSet([feature]))[0, 0])


def same(found: float, expected: float) -> bool:
    return np.float32(found) == np.float32(expected) or (math.isnan(found) and math.isnan(expected))


RISING = drawn((6, 2.0), (8, 1.0), (10, 4.0), (11, 3.0))


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("last", 3.0),
        ("first", 2.0),
        ("min", 1.0),
        ("max", 4.0),
        ("sum", 10.0),
        ("mean", 2.5),
        ("count", 4.0),
        ("hours_covered", 4.0),
        ("delta", 1.0),
        # Means are 8.75 h and 2.5; Σ(t − t̄)(v − v̄) = 5.5 and Σ(t − t̄)² = 14.75.
        ("slope", 5.5 / 14.75),
        ("hours_since", 1.0),
        ("years_since", 1 / 8766),
        ("present", 1.0),
        ("distinct", 4.0),
        ("active", 0.0),  # a measurement is over when it is made
    ],
)
def test_four_lactates_in_the_morning_become_one_number(aggregation: str, expected: float) -> None:
    assert same(one(RISING, aggregate(aggregation, 24)), expected)


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_nothing_measured_is_missing_and_is_zero_only_where_events_are_counted(aggregation: Aggregation) -> None:
    expected = 0.0 if AGGREGATIONS[aggregation].needs == 0 else math.nan
    empty = drawn()
    other_concept = drawn((11, 80.0), concept="heart_rate")
    too_old = drawn((2, 1.0))
    for events in (empty, other_concept, too_old):
        assert same(one(events, aggregate(aggregation, 8)), expected)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("last", 2.0), ("mean", 2.0), ("count", 1.0), ("delta", math.nan), ("slope", math.nan), ("hours_since", 3.0)],
)
def test_of_one_value_there_is_no_change(aggregation: str, expected: float) -> None:
    assert same(one(drawn((9, 2.0)), aggregate(aggregation, 24)), expected)


@pytest.mark.parametrize(
    ("chart", "aggregation", "expected"),
    [
        pytest.param([(10, 5.0, 10.5), (10, 4.0, 11.0)], "last", 4.0, id="same time: the later known is last"),
        pytest.param([(10, 5.0, 10.5), (10, 4.0, 11.0)], "first", 5.0, id="same time: the earlier known is first"),
        pytest.param([(10, 5.0, 11.0), (10, 4.0, 11.0)], "last", 5.0, id="known at once: the higher is last"),
        pytest.param([(10, 5.0, 11.0), (10, 4.0, 11.0)], "first", 4.0, id="known at once: the lower is first"),
        pytest.param([(10, 5.0), (10, 4.0)], "delta", 1.0, id="same time: a delta runs from lower to higher"),
        pytest.param([(10, 5.0), (10, 4.0)], "slope", math.nan, id="same time: no slope"),
        pytest.param([(10, 0.1), (10, 0.2), (10, 0.3)], "slope", math.nan, id="three at one time: no slope"),
        pytest.param([(10, 4.0), (10, 4.0)], "count", 2.0, id="same time and value: two events"),
        pytest.param([(10, 4.0), (10, 4.0)], "hours_covered", 1.0, id="same time: one hour"),
        pytest.param([(9.75, 4.0), (10.25, 4.0)], "hours_covered", 2.0, id="half an hour apart, in two clock hours"),
        pytest.param([(10.0, 4.0), (10.75, 4.0)], "hours_covered", 1.0, id="45 minutes apart, in one clock hour"),
    ],
)
def test_ties(chart: list[Any], aggregation: str, expected: float) -> None:
    assert same(one(drawn(*chart), aggregate(aggregation, 24)), expected)


@pytest.mark.parametrize(
    ("microseconds", "lookback_hours", "expected"),
    [
        pytest.param(0, 4, 1.0, id="measured at the index time"),
        pytest.param(1, 4, 0.0, id="a microsecond after it"),
        pytest.param(-4 * MICROSECONDS_PER_HOUR, 4, 0.0, id="exactly at the open left end"),
        pytest.param(-4 * MICROSECONDS_PER_HOUR + 1, 4, 1.0, id="a microsecond inside"),
        pytest.param(-4 * MICROSECONDS_PER_HOUR - 1, 4, 0.0, id="a microsecond outside"),
        pytest.param(-99 * 8766 * MICROSECONDS_PER_HOUR, None, 1.0, id="a lifetime ago, without limit"),
        pytest.param(-99 * 8766 * MICROSECONDS_PER_HOUR, 720, 0.0, id="a lifetime ago, with a limit"),
    ],
)
def test_a_window_is_open_at_its_start_and_closed_at_the_index_time(
    microseconds: int, lookback_hours: float | None, expected: float
) -> None:
    event = Event("anna", "lactate", NOON + microseconds, NOON + microseconds, 2.0)
    assert one([event], aggregate("count", lookback_hours)) == expected


def test_windows_close_to_the_microsecond_even_when_all_events_lie_on_whole_seconds() -> None:
    """Search keys are in seconds then; index times need not be."""
    events = Events.of(drawn((8, 1.0), (12, 2.0)), patients=["anna"])
    at = np.array([NOON - 1, NOON, NOON + 1], np.int64)
    found = compute(events, np.zeros(3, np.int64), at, FeatureSet([aggregate("sum", 4)]))
    np.testing.assert_array_equal(found[:, 0], np.array([1.0, 2.0, 2.0], np.float32))


@pytest.mark.parametrize(
    ("hour", "last", "count"),
    [
        pytest.param(9, math.nan, 0.0, id="drawn at 8, not yet known"),
        pytest.param(10, 1.0, 1.0, id="known at 10"),
        pytest.param(11.5, 1.0, 1.0, id="the second drawn at 11, not yet known"),
        pytest.param(12, 3.0, 2.0, id="the second known at 12"),
    ],
)
def test_a_result_counts_from_when_it_was_known_and_at_the_time_it_was_drawn(
    hour: float, last: float, count: float
) -> None:
    events = drawn((8, 1.0, 10), (11, 3.0, 12))
    assert same(one(events, aggregate("last", 24), hour=hour), last)
    assert one(events, aggregate("count", 24), hour=hour) == count


def test_a_late_result_between_known_ones_is_left_out_of_every_aggregation() -> None:
    events = drawn((6, 2.0), (7, 99.0, 15), (8, 1.0), (10, 4.0), (11, 3.0), (11.5, -99.0, 13))
    for aggregation in Aggregation:
        feature = aggregate(aggregation, 24)
        assert one(events, feature) == one(RISING, feature)


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        pytest.param(drawn((8, 6.0)), drawn((8, 2.0), concept="creatinine"), 3.0, id="both there"),
        pytest.param(drawn((8, 6.0)), [], math.nan, id="no denominator"),
        pytest.param([], drawn((8, 2.0), concept="creatinine"), math.nan, id="no numerator"),
        pytest.param(drawn((8, 6.0)), drawn((8, 0.0), concept="creatinine"), math.nan, id="denominator 0"),
        pytest.param(drawn((8, 0.0)), drawn((8, 0.0), concept="creatinine"), math.nan, id="0 through 0"),
        pytest.param(drawn((8, 6.0)), drawn((8, -0.0), concept="creatinine"), math.nan, id="denominator -0"),
    ],
)
def test_ratio(numerator: list[Event], denominator: list[Event], expected: float) -> None:
    feature = Ratio(name="ratio", numerator=aggregate("last"), denominator=aggregate("last", concept="creatinine"))
    assert same(one([*numerator, *denominator], feature), expected)


def test_difference_is_missing_where_either_is() -> None:
    feature = Difference(
        name="pulse_pressure",
        minuend=aggregate("last", concept="systolic_pressure"),
        subtrahend=aggregate("last", concept="diastolic_pressure"),
    )
    systolic = drawn((8, 120.0), concept="systolic_pressure")
    diastolic = drawn((8, 80.0), concept="diastolic_pressure")
    assert one([*systolic, *diastolic], feature) == 40.0
    assert math.isnan(one(systolic, feature))
    assert math.isnan(one(diastolic, feature))


def test_a_feature_and_an_operand_of_another_may_be_the_same_aggregate() -> None:
    last, lowest = aggregate("last", 24), aggregate("min", 168)
    features = FeatureSet([Ratio(name="to_lowest", numerator=last, denominator=lowest), last])
    found = compute(Events.of(RISING), np.zeros(1, np.int64), np.array([NOON]), features)
    np.testing.assert_array_equal(found, np.array([[3.0, 3.0]], np.float32))


def test_a_window_too_long_for_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "KEY_LIMIT", 1_000)
    with pytest.raises(ValueError, match="span centuries at most"):
        compute(Events.of(RISING), np.zeros(1, np.int64), np.array([NOON]), FeatureSet([aggregate("last", 24)]))


def test_rows_come_back_in_the_order_of_the_index_times() -> None:
    events = Events.of([*drawn((8, 1.0), (10, 2.0)), Event("bert", "lactate", NOON, NOON, 7.0)])
    found = compute(
        events,
        np.array([1, 0, 0, 1, 0]),
        np.array([at_hour(12), at_hour(12), at_hour(9), at_hour(11), at_hour(9)]),
        FeatureSet([aggregate("last")]),
    )
    np.testing.assert_array_equal(found[:, 0], np.array([7.0, 2.0, 1.0, np.nan, 1.0], np.float32))


def test_no_events_at_all_leave_counts_of_zero_and_everything_else_missing() -> None:
    counts = [aggregate("count", 24), aggregate("present", 24), aggregate("hours_covered", 24)]
    others = [aggregate("last", 24), aggregate("sum", 24), aggregate("slope", 24), aggregate("years_since", 24)]
    events = Events.of([], patients=["anna"])
    found = compute(events, np.zeros(2, np.int64), np.array([0, NOON]), FeatureSet([*counts, *others]))
    assert (found[:, :3] == 0).all()
    assert np.isnan(found[:, 3:]).all()


def test_no_index_times_give_an_empty_matrix() -> None:
    nobody = np.empty(0, np.int64)
    found = compute(Events.of(RISING), nobody, nobody, FeatureSet([aggregate("last"), aggregate("min")]))
    assert found.shape == (0, 2)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("patients", "at", "message"),
    [
        pytest.param([0, 0], [NOON], "two arrays", id="of two lengths"),
        pytest.param([[0]], [[NOON]], "two arrays", id="of two dimensions"),
        pytest.param([1], [NOON], r"0\.\.0", id="a patient too far"),
        pytest.param([-1], [NOON], r"0\.\.0", id="a patient below 0"),
    ],
)
def test_index_arrays_that_fit_neither_each_other_nor_the_events_are_refused(
    patients: list[Any], at: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compute(Events.of(RISING), np.array(patients), np.array(at), FeatureSet([aggregate("last")]))


def test_a_slope_does_not_lose_its_digits_in_a_date_long_past() -> None:
    """Two values a millisecond apart, two thousand years ago: 1 per millisecond."""
    start = -60_000_000_000_000_000
    events = [Event("anna", "lactate", start + i * 1_000, start + i * 1_000, float(i)) for i in range(2)]
    assert same(one(events, aggregate("slope")), 3_600_000.0)


def test_windows_of_which_the_same_is_asked_lie_side_by_side_in_whatever_order_they_are_declared() -> None:
    """So their ranges are not copied; and which aggregations lie so depends on nothing but the features."""
    windows = [("lactate", 6), ("lactate", 24), ("sodium", 6), ("sodium", 24), ("sodium", None), ("lactate", None)]
    features = [aggregate("min", hours, concept) for concept, hours in windows[:3]]
    features += [aggregate("max", hours, concept) for concept, hours in windows[2::-1]]
    features += [aggregate("count", hours, concept) for concept, hours in windows[::-1]]
    kernel = Kernel(FeatureSet(features))
    assert [step.windows for step in kernel.steps] == [slice(3, 6), slice(3, 6), slice(0, 6)]
    assert kernel.steps[0].windows is kernel.steps[1].windows
