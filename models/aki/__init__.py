"""Model `aki`: acute kidney injury within 48 hours in hospital inpatients. Trained on synthetic data only."""

from models.aki.cohort import cohort
from models.aki.label import label
from models.aki.spec import SPEC

__all__ = ["SPEC", "cohort", "label"]
