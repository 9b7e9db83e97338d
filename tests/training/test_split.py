"""Patients are split whole, and evenly by outcome."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.split import SplitError, holdout, patient_folds


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return patients and labels of shuffled rows, with at least three patients ever and three never positive."""
    ever_positive = [True] * 3 + [False] * 3 + draw(st.lists(st.booleans(), max_size=20))
    rows = draw(st.lists(st.integers(1, 4), min_size=len(ever_positive), max_size=len(ever_positive)))
    patients = np.repeat(np.arange(len(rows)), rows)
    last_row = np.cumsum(rows) - 1
    labels = np.zeros(patients.size, dtype=np.bool_)
    labels[last_row[np.array(ever_positive)]] = True
    order = np.random.default_rng(draw(st.integers(0, 100))).permutation(patients.size)
    return patients[order], labels[order]


def patients_per_fold(patients: NDArray[np.int64], fold_of_row: NDArray[np.int64], folds: int) -> list[int]:
    return [np.unique(patients[fold_of_row == fold]).size for fold in range(folds)]


@given(cohort=cohorts(), folds=st.integers(2, 3), seed=st.integers(0, 1000))
def test_no_patient_is_in_two_folds(cohort: tuple[NDArray[np.int64], NDArray[np.bool_]], folds: int, seed: int) -> None:
    patients, labels = cohort
    fold_of_row = patient_folds(patients, labels, folds=folds, rng=np.random.default_rng(seed))
    assert np.unique(patients).size == sum(patients_per_fold(patients, fold_of_row, folds))
    assert set(range(folds)) == set(fold_of_row.tolist())


@given(cohort=cohorts(), folds=st.integers(2, 3), seed=st.integers(0, 1000))
def test_folds_differ_by_at_most_one_ever_positive_patient(
    cohort: tuple[NDArray[np.int64], NDArray[np.bool_]], folds: int, seed: int
) -> None:
    patients, labels = cohort
    fold_of_row = patient_folds(patients, labels, folds=folds, rng=np.random.default_rng(seed))
    for stratum in (np.isin(patients, patients[labels]), ~np.isin(patients, patients[labels])):
        counts = patients_per_fold(patients[stratum], fold_of_row[stratum], folds)
        assert max(counts) - min(counts) <= 1


@given(cohort=cohorts(), seed=st.integers(0, 1000))
def test_a_patient_is_held_out_whole(cohort: tuple[NDArray[np.int64], NDArray[np.bool_]], seed: int) -> None:
    patients, labels = cohort
    held_out = holdout(patients, labels, fraction=0.4, rng=np.random.default_rng(seed))
    assert not set(patients[held_out].tolist()) & set(patients[~held_out].tolist())
    assert labels[held_out].any()
    assert labels[~held_out].any()


def test_a_fifth_of_both_groups_is_held_out() -> None:
    patients = np.arange(100).astype(str)
    labels = np.arange(100) < 10
    held_out = holdout(patients, labels, fraction=0.2, rng=np.random.default_rng(0))
    assert (held_out[labels].sum(), held_out[~labels].sum()) == (2, 18)


def test_the_seed_decides_who_is_where() -> None:
    patients, labels = np.arange(50), np.arange(50) < 20
    first, again, other = (
        patient_folds(patients, labels, folds=5, rng=np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("folds", [1, 4], ids=["one fold", "more folds than positive patients"])
def test_folds_that_cannot_all_have_both_outcomes_are_refused(folds: int) -> None:
    with pytest.raises(SplitError, match="Expected 2 to 3 folds"):
        patient_folds(np.arange(10), np.arange(10) < 3, folds=folds, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        pytest.param(0.0, "fraction between 0 and 1", id="nothing"),
        pytest.param(1.0, "fraction between 0 and 1", id="everything"),
        pytest.param(0.1, "ever positive patients", id="less than one positive patient"),
    ],
)
def test_a_holdout_that_lacks_an_outcome_is_refused(fraction: float, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        holdout(np.arange(10), np.arange(10) < 3, fraction=fraction, rng=np.random.default_rng(0))


def test_labels_of_another_length_or_type_are_refused() -> None:
    with pytest.raises(SplitError, match="a boolean label for each row"):
        patient_folds(np.arange(4), np.ones(3, dtype=np.bool_), folds=2, rng=np.random.default_rng(0))
    with pytest.raises(SplitError, match="type int64"):
        patient_folds(np.arange(4), np.ones(4, dtype=np.int64), folds=2, rng=np.random.default_rng(0))
