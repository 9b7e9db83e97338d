"""Events: sorted columns, whatever order the events came in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.events import Event, Events
from features.times import LATEST

MORNING = [
    Event("bert", "lactate", 20, 20, 3.0),
    Event("anna", "sodium", 10, 10, 140.0),
    Event("anna", "lactate", 30, 40, 2.0),
    Event("anna", "lactate", 10, 10, 1.0),
]


def rows(events: Events) -> list[tuple[str, str, int, int, float, int]]:
    columns = (events.patient, events.concept, events.time, events.known, events.value, events.until)
    return [
        (events.concepts[concept], events.patients[patient], time, known, value, until)
        for patient, concept, time, known, value, until in zip(*(column.tolist() for column in columns), strict=True)
    ]


def columns(**changed: Any) -> dict[str, Any]:
    sound = {
        "patients": ("anna",),
        "concepts": ("lactate",),
        "patient": np.zeros(2, np.int32),
        "concept": np.zeros(2, np.int32),
        "time": np.array([1, 2], np.int64),
        "known": np.array([1, 2], np.int64),
        "value": np.array([1.0, 2.0]),
        "until": np.array([1, 9], np.int64),
    }
    return sound | changed


def test_events_are_sorted_by_concept_patient_and_time() -> None:
    assert rows(Events.of(MORNING)) == [
        ("lactate", "anna", 10, 10, 1.0, 10),
        ("lactate", "anna", 30, 40, 2.0, 30),
        ("lactate", "bert", 20, 20, 3.0, 20),
        ("sodium", "anna", 10, 10, 140.0, 10),
    ]


def test_of_two_events_at_one_time_the_later_known_comes_last_then_the_higher() -> None:
    tied = [
        Event("anna", "lactate", 10, 12, 1.0),
        Event("anna", "lactate", 10, 11, 9.0),
        Event("anna", "lactate", 10, 12, 0.5),
    ]
    assert Events.of(tied).value.tolist() == [9.0, 0.5, 1.0]


def test_an_event_lasts_until_its_end_and_a_point_ends_at_its_time() -> None:
    stay = Event("anna", "inpatient_stay", 10, 12, 1.0, 50)
    events = Events.of([*MORNING, stay])
    assert events.until[events.concept == events.concepts.index("inpatient_stay")].tolist() == [50]
    points = events.concept != events.concepts.index("inpatient_stay")
    assert events.until[points].tolist() == events.time[points].tolist()


def test_of_two_events_that_are_alike_the_one_that_lasts_longer_comes_last() -> None:
    alike = [Event("anna", "icu_stay", 10, 10, 1.0, end) for end in (LATEST, 10, 30)]
    assert Events.of(alike).until.tolist() == [10, 30, LATEST]


def test_columns_without_ends_are_points() -> None:
    given_columns = {name: column for name, column in columns().items() if name != "until"}
    assert Events.sort(**given_columns).until.tolist() == [1, 2]
    assert Events.sort(**columns()).until.tolist() == [1, 9]


def test_columns_have_the_types_that_the_kernel_works_with() -> None:
    for events in (Events.of(MORNING), Events.of([])):
        assert [column.dtype for column in (events.patient, events.concept)] == [np.int32, np.int32]
        assert [column.dtype for column in (events.time, events.known, events.until)] == [np.int64] * 3
        assert events.value.dtype == np.float64


def test_no_events_are_events_too() -> None:
    events = Events.of([], patients=["anna"])
    assert len(events) == 0
    assert events.patients == ("anna",)
    assert events.concepts == ()
    assert not events.has_late


def test_patients_without_events_keep_their_place() -> None:
    events = Events.of(MORNING, patients=["zoe", "anna", "bert"])
    assert events.patients == ("zoe", "anna", "bert")
    assert rows(events)[0] == ("lactate", "anna", 10, 10, 1.0, 10)


def test_an_event_of_a_patient_who_is_not_listed_is_an_error() -> None:
    with pytest.raises(KeyError):
        Events.of(MORNING, patients=["anna"])


@given(
    st.permutations([*MORNING, *MORNING, Event("anna", "lactate", 10, 10, -0.0), Event("anna", "lactate", 10, 10, 0.0)])
)
def test_the_order_of_arrival_leaves_no_trace(arrived: list[Event]) -> None:
    """Not even in the sign of a zero, which ties with its opposite."""
    events = Events.of(arrived)
    assert rows(events) == rows(Events.of(sorted(arrived)))
    assert not np.signbit(events.value).any()


def test_late_results_are_noticed() -> None:
    assert Events.of(MORNING).has_late
    assert not Events.of([event for event in MORNING if event.known == event.time]).has_late


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"value": np.array([1.0])}, "one length", id="a short column"),
        pytest.param({"value": np.array([1.0, np.nan])}, "finite", id="a missing value"),
        pytest.param({"value": np.array([1.0, np.inf])}, "finite", id="an infinite value"),
        pytest.param({"known": np.array([1, 1], np.int64)}, "before its time", id="known before it was measured"),
        pytest.param({"until": np.array([1, 1], np.int64)}, "cannot end before", id="over before it began"),
    ],
)
def test_columns_that_contradict_themselves_are_refused(changed: dict[str, Any], message: str) -> None:
    Events(**columns())
    with pytest.raises(ValueError, match=message):
        Events(**columns(**changed))


@pytest.mark.parametrize(
    ("patient", "concept", "at", "expected"),
    [
        pytest.param("anna", "lactate", 40, [(10, 1.0), (30, 2.0)], id="all of it"),
        pytest.param("anna", "lactate", 39, [(10, 1.0)], id="before the second was known"),
        pytest.param("anna", "lactate", 9, [], id="before the first"),
        pytest.param("bert", "lactate", 40, [(20, 3.0)], id="another patient"),
        pytest.param("bert", "sodium", 40, [], id="a concept that this patient lacks"),
        pytest.param("anna", "potassium", 40, [], id="a concept that nobody has"),
    ],
)
def test_series(patient: str, concept: str, at: int, expected: list[tuple[int, float]]) -> None:
    events = Events.of(MORNING)
    times, values = events.series(events.patients.index(patient), concept, at=at)
    assert list(zip(times.tolist(), values.tolist(), strict=True)) == expected
