"""Readings: what a card tells of a concept is what the events say, of one patient and among many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.vocabulary.concept import load_vocabulary
from serving.readings import Reading, ReadingPlan, Stale
from tests.bundles import tiny_spec

HOUR = MICROSECONDS_PER_HOUR
SPEC = tiny_spec()
PLAN = ReadingPlan(spec=SPEC, vocabulary=load_vocabulary())
CONCEPTS = SPEC.features.concepts
PATIENTS = ("anna", "bert", "carl")

times = st.integers(0, 4)
some_events = st.lists(
    st.builds(
        lambda patient, concept, time, later, value: Event(patient, concept, time, time + later, value),
        st.sampled_from(PATIENTS),
        st.sampled_from([*CONCEPTS[:3], "sodium"]),
        times,
        st.integers(0, 2),
        st.sampled_from([1.0, 2.0, 3.0]),
    ),
    max_size=30,
)


def expected(events: Events, patient: int, concept: str, at: int) -> Reading | None:
    """The last value, and the last one of an earlier time."""
    time, value = (column.tolist() for column in events.series(patient, concept, at=at))
    if not time:
        return None
    earlier = [i for i, one in enumerate(time) if one < time[-1]]
    if not earlier:
        return Reading(value=value[-1], time=time[-1])
    return Reading(value=value[-1], time=time[-1], previous=value[earlier[-1]], previous_time=time[earlier[-1]])


@given(some_events, times)
def test_readings_are_the_last_two_values_at_different_times_known_by_then(found: list[Event], at: int) -> None:
    """A concept that no feature reads has none; one without a value has None, in the order of the features."""
    events = Events.of(found, patients=PATIENTS)
    for number, patient in enumerate(PATIENTS):
        wanted = {concept: expected(events, number, concept, at) for concept in CONCEPTS}
        alone = Events.of([one for one in found if one.patient == patient], patients=[patient])
        for told in (PLAN.readings(events, number, at), PLAN.readings(alone, 0, at)):
            assert list(told.items()) == list(wanted.items())


@pytest.mark.parametrize(
    ("hours_ago", "stale"),
    [
        pytest.param(23.9, 0, id="within the window"),
        pytest.param(24.0, 1, id="at its open end"),
        pytest.param(30.0, 1, id="before it"),
    ],
)
def test_a_reading_that_no_window_holds_is_stale(hours_ago: float, stale: int) -> None:
    at, time = 100 * HOUR, round((100 - hours_ago) * HOUR)
    readings = PLAN.readings(Events.of([Event("anna", "heart_rate", time, time, 80.0)]), 0, at)
    seen = PLAN.seen(readings, at)
    assert list(PLAN.stale(readings, seen)) == [Stale(concept="heart_rate", time=time)] * stale
    assert (seen["heart_rate"] is None) == bool(stale)


def test_what_was_not_measured_is_absent_and_what_was_not_diagnosed_is_not() -> None:
    readings = PLAN.readings(Events.of([Event("anna", "heart_rate", 0, 0, 80.0)]), 0, HOUR)
    assert PLAN.absent(readings) == (
        "temperature", "creatinine", "mean_pressure", "systolic_pressure", "age", "sex",
    )  # fmt: skip


def test_contributions_are_added_up_by_family_and_shown_by_the_first_that_has_a_value() -> None:
    """The largest come first, whichever way they point; those of one size in the order of the features."""
    pressure = Event("anna", "systolic_pressure", 0, 0, 90.0)
    seen = PLAN.readings(Events.of([pressure]), 0, HOUR)
    contributions = np.zeros(len(SPEC.features), np.float32)
    contributions[[0, 3, 4, 6]] = 0.25, -0.5, -1.0, 0.25  # heart rate, mean and systolic pressure, kidney disease
    told = [(one.concept, one.contribution, one.reading) for one in PLAN.contributors(contributions, None, seen)]
    assert told[:3] == [
        ("systolic_pressure", -1.5, Reading(value=90.0, time=0)),
        ("heart_rate", 0.25, None),
        ("chronic_kidney_disease", 0.25, None),
    ]
    assert {one[1] for one in told[3:]} == {0.0}
