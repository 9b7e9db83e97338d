"""MEDS, the Medical Event Data Standard: events out of it and into it, as Parquet.

Source: the schema of `meds` (subject_id, time, code, numeric_value; a subject in one file, sorted by time),
https://github.com/Medical-Event-Data-Standard/meds. What MEDS leaves to each data set, and Bedside needs, stands in
further columns, which the standard allows: `unit`, and when a value became known and how long a state lasted.
"""

from training.meds.codes import MedsCode, parse_code
from training.meds.reading import read_meds
from training.meds.writing import write_meds

__all__ = ["MedsCode", "parse_code", "read_meds", "write_meds"]
