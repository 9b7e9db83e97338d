"""The label: sepsis begins within the horizon, or has begun.

The event `sepsis_onset` is the onset after Sepsis-3 as the challenge defines it (Reyna 2020): the earlier of suspected
infection and organ dysfunction, whose time the data set gives.
"""

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR
from features.reading.reader import Record
from models.cohort import Cohort, first_event

ONSET = "sepsis_onset"
HORIZON_HOURS = 6.0


def label(record: Record, cohort: Cohort) -> NDArray[np.bool_]:
    """Whether the index time is at most six hours before the patient's onset, or after it, bool[N]."""
    onset = first_event(record.events, ONSET)[cohort.patients]
    horizon = round(HORIZON_HOURS * MICROSECONDS_PER_HOUR)
    return np.asarray(cohort.times >= onset - horizon, np.bool_)
