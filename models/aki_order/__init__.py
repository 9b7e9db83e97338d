"""Model `aki-order`: acute kidney injury after a drug is ordered. Trained on synthetic data only."""

from models.aki.label import label
from models.aki_order.cohort import cohort
from models.aki_order.spec import SPEC

__all__ = ["SPEC", "cohort", "label"]
