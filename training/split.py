"""Split by patient, never by row, with the patients who ever had the outcome spread evenly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.resample import number_patients


class SplitError(ValueError):
    """The patients cannot be split as asked."""


def patient_folds(
    patients: NDArray[Any], labels: NDArray[np.bool_], *, folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give each row the fold of its patient, int64[N] in 0 … folds - 1.

    Patients who are ever positive and those who never are get dealt out separately, so that in each of the
    two groups the folds differ by at most one patient.

    Args:
        patients: the patient of each row, any 1-D array of N.
        labels: bool[N].
        folds: at least 2, at most the number of patients in the smaller of the two groups.
        rng: shuffles the patients before they are dealt out.

    Raises:
        SplitError: the shapes differ, or there are too few patients in a group for that many folds.
    """
    numbers, ever_positive = _ever_positive(patients, labels)
    smallest = int(min(ever_positive.sum(), (~ever_positive).sum()))
    if not 2 <= folds <= smallest:  # noqa: PLR2004 - one fold is no split
        raise SplitError(
            f"Expected 2 to {smallest} folds (patients in the smaller of the ever and never positive), got {folds}."
        )
    fold_of_patient = np.empty(ever_positive.size, dtype=np.int64)
    for stratum in (ever_positive, ~ever_positive):
        members = rng.permutation(np.flatnonzero(stratum))
        fold_of_patient[members] = np.arange(members.size) % folds
    return fold_of_patient[numbers]


def holdout(
    patients: NDArray[Any], labels: NDArray[np.bool_], *, fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Hold out this fraction of patients, ever and never positive alike; bool[N], True in rows held out.

    Raises:
        SplitError: the shapes differ, the fraction is outside (0, 1), or one of the two parts would have
            no patient of one group.
    """
    if not 0 < fraction < 1:
        raise SplitError(f"Expected a fraction between 0 and 1, got {fraction}.")
    numbers, ever_positive = _ever_positive(patients, labels)
    held_out = np.zeros(ever_positive.size, dtype=np.bool_)
    for name, stratum in (("ever", ever_positive), ("never", ~ever_positive)):
        members = rng.permutation(np.flatnonzero(stratum))
        count = round(fraction * members.size)
        if not 0 < count < members.size:
            raise SplitError(
                f"Expected both parts to have {name} positive patients; {fraction} of {members.size} leaves "
                "one part without. Use more patients or another fraction."
            )
        held_out[members[:count]] = True
    return held_out[numbers]


def _ever_positive(patients: NDArray[Any], labels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the patient's number in each row, and for each patient whether any of the rows is positive."""
    if patients.shape != labels.shape or labels.dtype != np.bool_:
        raise SplitError(
            f"Expected a patient and a boolean label for each row, got {patients.shape} patients and "
            f"{labels.shape} labels of type {labels.dtype}."
        )
    numbers, count = number_patients(patients)
    return numbers, np.bincount(numbers, weights=labels, minlength=count) > 0
