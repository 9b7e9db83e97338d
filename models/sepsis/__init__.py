"""Model `sepsis`: onset of sepsis within six hours in adults in intensive or intermediate care."""

from models.sepsis.cohort import cohort
from models.sepsis.label import label
from models.sepsis.spec import SPEC

__all__ = ["SPEC", "cohort", "label"]
