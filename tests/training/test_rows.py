"""Rows: the model's own cohort, label and features, with the subgroups that a report tells apart."""

from dataclasses import replace

import numpy as np
import pytest

from features.events import MICROSECONDS_PER_HOUR, Event, Events
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.reading.reader import Record, Stay
from features.refusals import Refusals
from models import aki, sepsis
from models.catalog import find
from training.dataset import Dataset, DatasetError
from training.rows import AGE_BANDS, clinical_model, make_rows

ENTRY = find("sepsis")
HOUR = MICROSECONDS_PER_HOUR
YEAR = round(365.25 * 24) * HOUR
HOURS = 9
# Patient, age in years at the start, sex (0 female, 1 male, None unknown), hour of the onset of sepsis.
PATIENTS = (("a", 30, 0, None), ("b", 45, 1, 8), ("c", 70, None, None), ("d", 80, 0, None), ("e", 17, 1, None))


def dataset(*, onset: bool = True, adult: bool = True) -> Dataset:
    events = []
    for name, age_years, sex, onset_hour in PATIENTS:
        born = -(age_years if adult else 10) * YEAR - HOUR
        events += [Event(name, "age", born, born, 0.0), Event(name, "heart_rate", HOUR, HOUR, 80.0 + age_years)]
        events += [] if sex is None else [Event(name, "sex", born, born, float(sex))]
        if onset and onset_hour is not None:
            events.append(Event(name, "sepsis_onset", onset_hour * HOUR, onset_hour * HOUR, 1.0))
    stays = tuple(Stay(patient=name, encounter_class="ACUTE", start=0, end=(HOURS - 1) * HOUR) for name, *_ in PATIENTS)
    record = Record(events=Events.of(events), stays=stays, refusals=Refusals(), resources=len(events))
    return Dataset(name="made", role="development", licence="", attribution="", record=record, files=())


def test_rows_are_the_models_cohort_with_its_label_and_its_features() -> None:
    given = dataset()
    rows = make_rows(ENTRY, given)
    cohort = sepsis.cohort(given.record)
    assert rows.patients.tolist() == cohort.patients.tolist() == [p for p in range(4) for _ in range(HOURS)]
    assert rows.hours.tolist() == list(range(HOURS)) * 4
    assert [(int(p), int(h)) for p, h in zip(rows.patients[rows.labels], rows.hours[rows.labels], strict=True)] == [
        (1, hour)
        for hour in range(2, HOURS)  # six hours before the onset, and on
    ]
    expected = compute(given.record.events, cohort.patients, cohort.times, ENTRY.spec.features)
    assert rows.matrix.tobytes() == expected.tobytes()
    assert rows.flow == cohort.flow


@pytest.mark.parametrize(
    ("subgroup", "members"),
    [
        ("female", [0, 3]),
        ("male", [1]),
        ("age 18-44", [0]),
        ("age 45-64", [1]),
        ("age 65-79", [2]),
        ("age 80+", [3]),
    ],
)
def test_a_subgroup_holds_its_members(subgroup: str, members: list[int]) -> None:
    """Who has no known sex is in neither of the two, and in an age band all the same."""
    rows = make_rows(ENTRY, dataset())
    assert sorted(set(rows.patients[rows.subgroups[subgroup]].tolist())) == members


def test_every_age_is_in_one_band() -> None:
    rows = make_rows(ENTRY, dataset())
    assert np.sum([rows.subgroups[name] for name, _, _ in AGE_BANDS], axis=0).tolist() == [1] * len(rows.labels)


def test_a_comparison_reads_other_features_at_the_same_index_times() -> None:
    features = FeatureSet((Aggregate(concept="heart_rate", aggregation=Aggregation.LAST, lookback_hours=24),))
    rows = make_rows(ENTRY, dataset(), features)
    assert rows.matrix.shape == (4 * HOURS, 1)
    assert rows.matrix[:3, 0].tolist() == pytest.approx([np.nan, 110, 110], nan_ok=True)
    assert rows.labels.tolist() == make_rows(ENTRY, dataset()).labels.tolist()


@pytest.mark.parametrize(
    ("given", "flow"),
    [
        (dataset(adult=False), "aged 18 or older: 0"),
        (dataset(onset=False), "aged 18 or older: 36"),
        (replace(dataset(), record=replace(dataset().record, stays=())), "hours in intensive or intermediate care: 0"),
    ],
    ids=["no adults", "nobody ill", "no stays"],
)
def test_a_cohort_without_both_outcomes_is_refused_with_its_flow(given: Dataset, flow: str) -> None:
    with pytest.raises(DatasetError, match=f"made: expected index times with and without the target; .*{flow}"):
        make_rows(ENTRY, given)


def test_a_models_folder_is_found_by_its_id() -> None:
    assert clinical_model(find("aki")).SPEC is aki.SPEC
    assert clinical_model(ENTRY).SPEC is sepsis.SPEC
