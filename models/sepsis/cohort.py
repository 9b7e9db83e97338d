"""The cohort: adults in intensive or intermediate care, an index time every hour of the stay."""

import numpy as np

from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.reading.reader import Record
from models.cohort import Cohort, hourly

# v3 ActCode: inpatient acute. MIMIC-IV on FHIR codes stays in intensive care so; the reader of the challenge's tables
# does the same. Wards by location follow when the reader knows an Encounter's locations.
INTENSIVE_CARE_CLASSES = frozenset({"ACUTE"})
ADULT_YEARS = 18

AGE = FeatureSet((Aggregate(concept="age", aggregation=Aggregation.YEARS_SINCE),))


def cohort(record: Record) -> Cohort:
    """Every hour of every stay in intensive care from the age of 18 on."""
    stays = [stay for stay in record.stays if stay.encounter_class in INTENSIVE_CARE_CLASSES]
    every = hourly(record, stays, "hours in intensive or intermediate care")
    age_years = compute(record.events, every.patients, every.times, AGE)[:, 0]
    return every.where(np.asarray(age_years >= ADULT_YEARS, np.bool_), f"aged {ADULT_YEARS} or older")
