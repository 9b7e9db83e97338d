"""Rows and results made of random numbers, small enough that every test of the training line may make its own."""

import numpy as np

from features.events import MICROSECONDS_PER_HOUR, Events
from features.reading.reader import Record
from features.refusals import Refusals
from models.cohort import Cohort
from training.dataset import Dataset
from training.rows import Rows


def made_rows(*, patients: int = 120, hours: int = 6, features: int = 2, seed: int = 0) -> Rows:
    """Stays of some hours; a sixth of the patients are ill throughout, and the first feature tells, with noise."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), hours)
    hour = np.tile(np.arange(hours), patients)
    labels = patient % 6 == 0
    matrix = rng.normal(size=(len(labels), features))
    matrix[:, 0] += labels
    events = Events.of([], patients=[str(number) for number in range(patients)])
    record = Record(events=events, stays=(), refusals=Refusals(), resources=0)
    return Rows(
        dataset=Dataset(name="made", role="development", licence="", attribution="", record=record, files=()),
        cohort=Cohort(patients=patient, times=hour * MICROSECONDS_PER_HOUR, flow=()),
        matrix=matrix.astype(np.float32),
        labels=labels,
        patients=patient,
        hours=hour,
        subgroups={"even": patient % 2 == 0},
        flow=(),
    )
