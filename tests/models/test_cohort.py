"""Cohorts: an index time every hour of a stay, each once, and an account of who was left after each step."""

from collections.abc import Sequence

import numpy as np
import pytest

from features.events import MICROSECONDS_PER_HOUR as HOUR
from features.events import Event, Events
from features.reading.reader import Record, Stay
from features.refusals import Refusals
from models.bundle import FlowStep
from models.cohort import during, first_event, hourly, last_event, moments

START = 1_750_000_000_000_000
Span = tuple[str, float, float | None]


def event(patient: str, hour: float, concept: str = "heart_rate", value: float = 80.0) -> Event:
    time = START + round(hour * HOUR)
    return Event(patient, concept, time, time, value)


def record(events: Sequence[Event], stays: Sequence[Span] = (), patients: Sequence[str] = ("a", "b")) -> Record:
    return Record(
        events=Events.of(events, patients=patients),
        stays=tuple(
            Stay(
                patient=patient,
                encounter_class="IMP",
                start=START + round(first * HOUR),
                end=None if last is None else START + round(last * HOUR),
            )
            for patient, first, last in stays
        ),
        refusals=Refusals(),
        resources=0,
    )


@pytest.mark.parametrize(
    ("stays", "events", "expected"),
    [
        pytest.param([("a", 0, 2)], [], [("a", 0), ("a", 1), ("a", 2)], id="both ends count"),
        pytest.param([("a", 0, 1.9)], [], [("a", 0), ("a", 1)], id="the last hour is not full"),
        pytest.param([("a", 0, 0)], [], [("a", 0)], id="a stay of no length"),
        pytest.param([("a", 2, 1)], [], [], id="an end before the start"),
        pytest.param([("a", 0, None)], [event("a", 1.5)], [("a", 0), ("a", 1)], id="no end: to the last event"),
        pytest.param([("a", 0, None)], [event("b", 1.5)], [], id="no end and no event"),
        pytest.param(
            [("a", 0, 2), ("a", 1, 3)], [], [("a", 0), ("a", 1), ("a", 2), ("a", 3)], id="overlapping stays count once"
        ),
        pytest.param(
            [("b", 0, 1), ("a", 5, 5), ("a", 1, 1)],
            [],
            [("a", 1), ("a", 5), ("b", 0), ("b", 1)],
            id="sorted by patient and time",
        ),
        pytest.param(
            [("a", 0, 70_000_000)],
            [event("a", 1.5)],
            [("a", 0), ("a", 1)],
            id="until further notice: to the last event",
        ),
        pytest.param([], [event("a", 1)], [], id="no stay"),
    ],
)
def test_a_stay_has_an_index_time_every_hour(
    stays: list[Span], events: list[Event], expected: list[tuple[str, int]]
) -> None:
    read = record(events, stays)
    found = hourly(read, read.stays, "stays")
    patients = [read.events.patients[patient] for patient in found.patients]
    assert list(zip(patients, ((found.times - START) // HOUR).tolist(), strict=True)) == expected
    assert found.flow == (
        FlowStep(step="stays", patients=len({name for name, _ in expected}), index_times=len(expected)),
    )


def test_each_step_says_who_was_left() -> None:
    read = record([], [("a", 0, 2), ("b", 0, 1)])
    cohort = hourly(read, read.stays, "stays").where(np.array([False, True, False, False, False]), "the second hour")
    assert cohort.flow == (
        FlowStep(step="stays", patients=2, index_times=5),
        FlowStep(step="the second hour", patients=1, index_times=1),
    )
    assert cohort.times.tolist() == [START + HOUR]


def test_first_and_last_events_are_found_for_each_patient() -> None:
    events = Events.of([event("a", 3), event("a", 1), event("a", 2, "lactate"), event("b", 7, "lactate")])
    never = np.iinfo(np.int64)
    assert last_event(events).tolist() == [START + 3 * HOUR, START + 7 * HOUR]
    assert first_event(events, "heart_rate").tolist() == [START + HOUR, never.max]
    assert first_event(events, "sodium").tolist() == [never.max, never.max]
    assert last_event(Events.of([], patients=["a"])).tolist() == [never.min]


def test_a_first_event_can_be_asked_of_some_events_only() -> None:
    events = Events.of([event("a", 1, value=90.0), event("a", 2, value=140.0), event("a", 3, value=150.0)])
    fast = first_event(events, "heart_rate", lambda all_events: all_events.value > 130)
    assert fast.tolist() == [START + 2 * HOUR]


def found_moments(events: Sequence[Event], *concepts: str) -> list[tuple[str, float]]:
    found = moments(Events.of(events, patients=("a", "b")), concepts, "orders")
    assert found.flow == (
        FlowStep(step="orders", patients=len(set(found.patients.tolist())), index_times=len(found.times)),
    )
    return [
        ("ab"[patient], (time - START) / HOUR)
        for patient, time in zip(found.patients.tolist(), found.times.tolist(), strict=True)
    ]


def test_moments_are_the_times_of_some_events_each_once() -> None:
    """Sorted by patient and time; concepts that nobody has are no fault."""
    events = [
        *(event("b", 1, "statin"), event("a", 3, "statin"), event("a", 2, "nitrate"), event("a", 3, "nitrate")),
        event("a", 0, "heart_rate"),
    ]
    assert found_moments(events, "statin", "nitrate", "aspirin") == [("a", 2), ("a", 3), ("b", 1)]
    assert found_moments(events, "aspirin") == []


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        pytest.param([("a", 1, 3)], [False, True, True, False], id="both ends are inside"),
        pytest.param([("a", 2, None)], [False, False, True, False], id="no end: it goes on"),
        pytest.param([("a", 0, 0), ("b", 0, 5)], [True, False, False, True], id="of two patients"),
        pytest.param([], [False, False, False, False], id="none"),
    ],
)
def test_which_moments_lie_in_a_stay(stays: list[Span], expected: list[bool]) -> None:
    events = [*(event("a", hour, "statin") for hour in (0, 1, 3)), event("b", 1, "statin")]
    whole = record(events, stays)
    assert during(whole, moments(whole.events, ("statin",), "orders"), whole.stays).tolist() == expected
