"""The model `aki`: KDIGO by hand, a cohort by hand, and a label that sees only what comes within the horizon."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import models.aki
from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.feature import operands
from features.kernel import compute
from features.reading.reader import Record, Stay
from features.refusals import Refusals
from features.vocabulary.concept import load_vocabulary
from models.aki import SPEC, cohort, label
from models.aki.label import meets_kdigo
from models.cohort import ClinicalModel, Cohort
from models.words import load_words

HOUR = MICROSECONDS_PER_HOUR
START = 1_750_000_000_000_000
BORN_1960 = -315_619_200_000_000

Series = Sequence[tuple[float, float]]
"""Hours after the admission, and mg/dL."""


def events_of(creatinine: Series, *, patient: str = "1", born: int | None = BORN_1960) -> list[Event]:
    found = [
        Event(patient, "creatinine", START + round(hour * HOUR), START + round(hour * HOUR), value)
        for hour, value in creatinine
    ]
    return found if born is None else [*found, Event(patient, "age", born, born, 0.0)]


def record_of(events: list[Event], stays: Sequence[Stay]) -> Record:
    return Record(events=Events.of(events), stays=tuple(stays), refusals=Refusals(), resources=0)


def stay(hours: float = 96.0, *, patient: str = "1", encounter_class: str = "IMP") -> Stay:
    return Stay(patient=patient, encounter_class=encounter_class, start=START, end=START + round(hours * HOUR))


def at_hours(found: Cohort) -> list[int]:
    return [int(time - START) // HOUR for time in found.times]


def index_times(hours: Sequence[float]) -> Cohort:
    times = np.array([START + round(hour * HOUR) for hour in hours], np.int64)
    return Cohort(patients=np.zeros(len(times), np.int64), times=times, flow=())


def kdigo(series: Series) -> list[bool]:
    times = np.array([START + round(hour * HOUR) for hour, _ in series], np.int64)
    found: NDArray[np.bool_] = meets_kdigo(times, np.array([value for _, value in series]))
    return [bool(one) for one in found]


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param([], [], id="no creatinine"),
        pytest.param([(0, 4.0)], [False], id="a single value, however high"),
        pytest.param([(0, 0.9), (24, 1.2)], [False, True], id="rise by exactly 0.3 in 24 h"),
        pytest.param([(0, 1.0), (24, 1.29)], [False, False], id="rise by 0.29"),
        pytest.param([(0, 1.0), (48, 1.3)], [False, True], id="0.3 in exactly 48 h"),
        pytest.param([(0, 1.0), (49, 1.3)], [False, False], id="0.3 in 49 h"),
        pytest.param([(0, 80 / 88.402), (24, 106.5 / 88.402)], [False, True], id="26.5 µmol/L"),
        pytest.param([(0, 80 / 88.402), (24, 106 / 88.402)], [False, False], id="26 µmol/L"),
        pytest.param([(0, 0.5), (100, 0.75)], [False, True], id="1.5 times after 100 h"),
        pytest.param([(0, 0.5), (100, 0.74)], [False, False], id="1.48 times after 100 h"),
        pytest.param([(0, 0.5), (168, 0.75)], [False, True], id="1.5 times after exactly 7 days"),
        pytest.param([(0, 0.5), (169, 0.75)], [False, False], id="1.5 times after more than 7 days"),
        pytest.param(
            [(0, 1.0), (40, 0.6), (80, 0.9)], [False, False, True], id="baseline is the lowest, not the first"
        ),
        pytest.param([(0, 2.0), (24, 1.6), (48, 1.3)], [False, False, False], id="recovering"),
        pytest.param([(0, 1.0), (0, 2.0)], [False, False], id="two values at one time"),
        pytest.param([(0, 0.8), (24, 1.3), (48, 1.3), (80, 0.9)], [False, True, True, False], id="stays, then heals"),
    ],
)
def test_kdigo_by_hand(series: Series, expected: list[bool]) -> None:
    assert kdigo(series) == expected


# The injury is drawn at hour 72: 0.8 → 1.2 mg/dL within 24 h.
INJURY: Series = [(0, 0.8), (48, 0.8), (72, 1.2), (96, 1.2)]


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(23, False), (24, True), (48, True), (71.99, True), (72, True), (96, False)],
    ids=str,
)
def test_the_label_looks_from_after_the_index_time_to_48_hours_on(hour: float, expected: bool) -> None:  # noqa: FBT001
    record = record_of(events_of(INJURY), [stay()])
    assert label(record, index_times([hour])).tolist() == [expected]


def test_the_label_does_not_see_beyond_the_horizon_nor_other_patients() -> None:
    plain = record_of(events_of([(0, 0.8), (48, 0.8)]), [stay()])
    later = record_of(
        [*events_of([(0, 0.8), (48, 0.8), (73, 3.0)]), *events_of([(0, 0.8), (30, 3.0)], patient="2")],
        [stay(), stay(patient="2")],
    )
    at = index_times([24])
    assert label(plain, at).tolist() == label(later, at).tolist() == [False]


def test_without_any_creatinine_there_is_no_label_and_no_cohort() -> None:
    record = record_of(events_of([]), [stay()])
    assert label(record, index_times([24, 48])).tolist() == [False, False]
    assert len(cohort(record).times) == 0


def test_features_do_not_change_with_what_the_label_is_made_of() -> None:
    seen = events_of([(0, 0.8), (24, 0.9)])
    at = index_times([24])
    now = compute(Events.of(seen), at.patients, at.times, SPEC.features)
    with_outcome = Events.of([*seen, *events_of([(24.01, 2.0), (60, 3.0)], born=None)])
    np.testing.assert_array_equal(now, compute(with_outcome, at.patients, at.times, SPEC.features))
    assert label(record_of(events_of([(0, 0.8), (24, 0.9), (60, 3.0)]), [stay()]), at).tolist() == [True]


def test_index_times_come_every_6_hours_from_24_hours_to_discharge() -> None:
    record = record_of(events_of([(0, 0.8), (24, 0.8), (48, 0.8), (71, 0.8)]), [stay(66)])
    assert at_hours(cohort(record)) == [24, 30, 36, 42, 48, 54, 60, 66]


@pytest.mark.parametrize(
    ("events", "stays"),
    [
        pytest.param(events_of([(0, 0.8), (40, 0.8)], born=START - 17 * 8766 * HOUR), [stay()], id="a minor"),
        pytest.param(events_of([(0, 0.8), (40, 0.8)], born=None), [stay()], id="age unknown"),
        pytest.param(events_of([(0, 0.8), (40, 0.8)]), [stay(encounter_class="AMB")], id="an outpatient"),
        pytest.param(events_of([(0, 0.8), (40, 0.8)]), [stay(23)], id="home within a day"),
        pytest.param(events_of([(0, 0.8)]), [stay()], id="never measured again: the outcome cannot be told"),
        pytest.param(events_of([(96, 0.8)]), [stay(48)], id="never measured before: no baseline"),
    ],
)
def test_left_out_is(events: list[Event], stays: list[Stay]) -> None:
    assert len(cohort(record_of(events, stays)).times) == 0


def test_after_an_injury_there_are_no_index_times_for_7_days() -> None:
    creatinine = [(0, 0.8), (30, 1.2), *[(day * 24 + 6, 0.8) for day in range(2, 12)]]
    hours = at_hours(cohort(record_of(events_of(creatinine), [stay(240)])))
    assert hours == [24, *range(198, 241, 6)]  # hour 30 + 168 h is 198: the window before it is open at its start


def test_the_flow_tells_what_each_step_left() -> None:
    record = record_of(
        [*events_of(INJURY), *events_of([(0, 0.8), (40, 0.8)], patient="2", born=START - HOUR)],
        [stay(), stay(patient="2")],
    )
    steps = [(step.patients, step.index_times) for step in cohort(record).flow]
    assert steps == [(2, 194), (2, 26), (1, 13), (1, 8), (1, 8)]


def test_overlapping_stays_give_no_index_time_twice() -> None:
    record = record_of(events_of([(0, 0.8), (40, 0.8)]), [stay(30), stay(30)])
    assert at_hours(cohort(record)) == [24, 30]


def test_the_package_is_a_clinical_model() -> None:
    model: ClinicalModel = models.aki
    assert model.SPEC.id == "aki"
    assert model.SPEC.package == "aki"


def test_every_lookback_is_finite_but_those_of_sex_and_age() -> None:
    endless = {part.concept for feature in SPEC.features for part in operands(feature) if part.lookback_hours is None}
    assert endless == {"age", "sex"}


def test_every_concept_is_known_and_has_a_phrase_in_each_language() -> None:
    concepts = set(SPEC.features.concepts)
    assert all(name in load_vocabulary() for name in concepts)
    for words in load_words("aki").values():
        assert set(words.phrases) == concepts
        assert set(words.names) <= set(SPEC.features.ids)


def test_the_model_card_says_what_it_was_trained_on() -> None:
    path = Path(models.aki.__file__).with_name("training.toml")
    card = tomllib.loads(path.read_text(encoding="utf-8"))["card"]
    assert "must never be used for care" in card["risks_and_limits"]
    assert all(text.strip() for text in card.values())
