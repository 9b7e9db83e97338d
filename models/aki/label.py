"""Acute kidney injury by serum creatinine after KDIGO, and the label: whether it comes within the horizon.

Source: KDIGO Clinical Practice Guideline for Acute Kidney Injury, Kidney Int Suppl 2012;2:1-138, section 2.1.1:
a rise by 0.3 mg/dL (26.5 µmol/L) or more within 48 hours, or to 1.5 times baseline or more, known or presumed to
have occurred within the prior 7 days. The third criterion, urine output, is not read. The baseline is the lowest
creatinine of the 7 days before the measurement; without an earlier value there is nothing to compare with.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.reading.reader import Record
from models.aki.spec import HORIZON_HOURS
from models.cohort import Cohort

RISE_MG_PER_DL, RISE_WITHIN_HOURS = 0.3, 48
BASELINE_MULTIPLE, BASELINE_WITHIN_HOURS = 1.5, 168
# 26.5 µmol/L is 0.2998 mg/dL, and 1.2 − 0.9 is less than 0.3 in floating point: both are meant to count.
RISE_TOLERANCE_MG_PER_DL = 1e-3
MULTIPLE_TOLERANCE = 1e-6


class PatientCreatinine(NamedTuple):
    """Creatinine of one patient, by time: int64[n] UTC microseconds, float64[n] mg/dL, and bool[n] after KDIGO."""

    patient: int
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    is_injury: NDArray[np.bool_]


def label(record: Record, cohort: Cohort) -> NDArray[np.bool_]:
    """Whether a creatinine drawn in (t, t + 48 h] meets KDIGO's criteria, for each index time t, bool[N]."""
    labels = np.zeros(len(cohort.times), np.bool_)
    horizon = round(HORIZON_HOURS * MICROSECONDS_PER_HOUR)
    for creatinine in creatinine_by_patient(record.events):
        lo, hi = np.searchsorted(cohort.patients, [creatinine.patient, creatinine.patient + 1])
        labels[lo:hi] = falls_within(
            creatinine.time[creatinine.is_injury], after=cohort.times[lo:hi], until=cohort.times[lo:hi] + horizon
        )
    return labels


def falls_within(times: NDArray[np.int64], *, after: NDArray[np.int64], until: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether any of the sorted times lies in (after, until], for each pair of bounds, bool[N]."""
    return np.asarray(
        np.searchsorted(times, until, side="right") > np.searchsorted(times, after, side="right"), np.bool_
    )


def creatinine_by_patient(events: Events) -> Iterator[PatientCreatinine]:
    """The creatinine of each patient who has any."""
    if "creatinine" not in events.concepts:
        return
    chosen = events.concept == events.concepts.index("creatinine")
    patient, time, value = events.patient[chosen], events.time[chosen], events.value[chosen]
    for one in np.unique(patient).tolist():
        lo, hi = np.searchsorted(patient, [one, one + 1])
        yield PatientCreatinine(one, time[lo:hi], value[lo:hi], meets_kdigo(time[lo:hi], value[lo:hi]))


def meets_kdigo(time: NDArray[np.int64], value_mg_per_dl: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each creatinine of one patient meets KDIGO stage 1 or higher against earlier ones.

    Args:
        time: int64[n], UTC microseconds, ascending.
        value_mg_per_dl: float64[n].

    Returns:
        bool[n]; false where no earlier value lies within the window.
    """
    rise = value_mg_per_dl - _lowest_before(time, value_mg_per_dl, RISE_WITHIN_HOURS)
    multiple = value_mg_per_dl / _lowest_before(time, value_mg_per_dl, BASELINE_WITHIN_HOURS)
    has_risen = rise >= RISE_MG_PER_DL - RISE_TOLERANCE_MG_PER_DL
    return np.asarray(has_risen | (multiple >= BASELINE_MULTIPLE - MULTIPLE_TOLERANCE), np.bool_)


def _lowest_before(time: NDArray[np.int64], value: NDArray[np.float64], within_hours: int) -> NDArray[np.float64]:
    """The lowest value strictly before each, at most so many hours; infinity where there is none."""
    age = time[:, None] - time[None, :]
    is_earlier = (age > 0) & (age <= within_hours * MICROSECONDS_PER_HOUR)
    lowest: NDArray[np.float64] = np.where(is_earlier, value[None, :], np.inf).min(axis=1, initial=np.inf)
    return lowest
