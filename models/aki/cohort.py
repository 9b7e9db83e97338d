"""At which times of which patients the model `aki` is trained."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR
from features.reading.reader import Record, Stay
from models.aki.label import BASELINE_WITHIN_HOURS, creatinine_by_patient, falls_within
from models.aki.spec import HORIZON_HOURS
from models.cohort import Cohort, first_event, hourly

INPATIENT = frozenset({"IMP", "ACUTE", "NONAC"})  # HL7 v3 ActCode: inpatient encounter and the codes below it
ADULT_YEARS = 18.0
MICROSECONDS_PER_YEAR = round(365.25 * 24 * MICROSECONDS_PER_HOUR)
EVERY_HOURS, FROM_HOURS = 6, 24


def cohort(record: Record) -> Cohort:
    """Index times every 6 hours of adult inpatient stays, from 24 hours after admission to discharge.

    Left out are times after an acute kidney injury of the last 7 days, and times at which the outcome cannot be
    told: without a creatinine in the 7 days before, or without one in the 48 hours after.
    """
    stays = inpatient(record)
    found = hourly(record, stays, "inpatient stays, an index time every hour")
    found = found.where(
        _every_six_hours(record, found, stays), f"every {EVERY_HOURS} h, from {FROM_HOURS} h after admission"
    )
    return adults_at_risk(record, found)


def inpatient(record: Record) -> list[Stay]:
    """The stays in hospital."""
    return [stay for stay in record.stays if stay.encounter_class in INPATIENT]


def adults_at_risk(record: Record, found: Cohort) -> Cohort:
    """The index times of adults without an injury, of whom it can be told whether one followed."""
    birth = first_event(record.events, "age")[found.patients]
    found = found.where(
        found.times - birth >= ADULT_YEARS * MICROSECONDS_PER_YEAR, "adults, 18 years and older, age known"
    )
    has_injury, has_baseline, has_follow_up = _kidneys(record, found)
    found = found.where(~has_injury, "no acute kidney injury in the 7 days before")
    return found.where(
        (has_baseline & has_follow_up)[~has_injury],
        "creatinine in the 7 days before and in the 48 h after: the outcome can be told",
    )


def _every_six_hours(record: Record, cohort: Cohort, stays: Iterable[Stay]) -> NDArray[np.bool_]:
    """Which index times lie a multiple of 6 hours, and 24 at least, after the admission that they belong to."""
    number = {patient: i for i, patient in enumerate(record.events.patients)}
    keep = np.zeros(len(cohort.times), np.bool_)
    for stay in stays:
        lo, hi = np.searchsorted(cohort.patients, [number[stay.patient], number[stay.patient] + 1])
        since = cohort.times[lo:hi] - stay.start
        is_inside = since >= FROM_HOURS * MICROSECONDS_PER_HOUR
        if stay.end is not None:
            is_inside &= cohort.times[lo:hi] <= stay.end
        keep[lo:hi] |= is_inside & (since % (EVERY_HOURS * MICROSECONDS_PER_HOUR) == 0)
    return keep


def _kidneys(record: Record, cohort: Cohort) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """For each index time: an injury in the 7 days before, a creatinine in them, a creatinine in the horizon."""
    week = BASELINE_WITHIN_HOURS * MICROSECONDS_PER_HOUR
    horizon = round(HORIZON_HOURS * MICROSECONDS_PER_HOUR)
    has_injury, has_baseline, has_follow_up = np.zeros((3, len(cohort.times)), np.bool_)
    for creatinine in creatinine_by_patient(record.events):
        lo, hi = np.searchsorted(cohort.patients, [creatinine.patient, creatinine.patient + 1])
        at = cohort.times[lo:hi]
        has_injury[lo:hi] = falls_within(creatinine.time[creatinine.is_injury], after=at - week, until=at)
        has_baseline[lo:hi] = falls_within(creatinine.time, after=at - week, until=at)
        has_follow_up[lo:hi] = falls_within(creatinine.time, after=at, until=at + horizon)
    return has_injury, has_baseline, has_follow_up
