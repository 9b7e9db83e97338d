"""Rows: a data set at a model's index times, as the matrix and the labels that estimators learn from."""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from models.bundle import FlowStep
from models.catalog import CatalogEntry
from models.cohort import ClinicalModel, Cohort
from training.dataset import Dataset, DatasetError

AGE_BANDS = (("age 18-44", 0, 45), ("age 45-64", 45, 65), ("age 65-79", 65, 80), ("age 80+", 80, 200))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What is learned from, or tested on.

    Attributes:
        matrix: float32[N, F].
        labels: bool[N].
        patients: int64[N].
        hours: int64[N], hours of the index times; the challenge's utility counts them.
        subgroups: masks bool[N] by name.
        flow: how the index times came about.
    """

    dataset: Dataset
    cohort: Cohort
    matrix: NDArray[np.float32]
    labels: NDArray[np.bool_]
    patients: NDArray[np.int64]
    hours: NDArray[np.int64]
    subgroups: dict[str, NDArray[np.bool_]]
    flow: tuple[FlowStep, ...]


def clinical_model(entry: CatalogEntry) -> ClinicalModel:
    """The model's folder as training uses it."""
    return cast("ClinicalModel", import_module(f"models.{entry.spec.package}"))


def make_rows(entry: CatalogEntry, dataset: Dataset, features: FeatureSet | None = None) -> Rows:
    """Compute a model's cohort, labels and features on a data set.

    Args:
        entry: the model.
        dataset: the events.
        features: for a comparison; by default the model's own.

    Raises:
        DatasetError: the cohort is empty or knows only one outcome.
    """
    model, record = clinical_model(entry), dataset.record
    cohort = model.cohort(record)
    labels = model.label(record, cohort)
    if not labels.any() or labels.all():
        steps = ", ".join(f"{step.step}: {step.index_times}" for step in cohort.flow)
        raise DatasetError(f"{dataset.name}: expected index times with and without the target; {steps}.")
    return Rows(
        dataset=dataset,
        cohort=cohort,
        matrix=compute(record.events, cohort.patients, cohort.times, features or entry.spec.features),
        labels=labels,
        patients=cohort.patients,
        hours=cohort.times // MICROSECONDS_PER_HOUR,
        subgroups=_subgroups(dataset, cohort),
        flow=cohort.flow,
    )


def _subgroups(dataset: Dataset, cohort: Cohort) -> dict[str, NDArray[np.bool_]]:
    described = compute(
        dataset.record.events,
        cohort.patients,
        cohort.times,
        FeatureSet(
            (
                Aggregate(concept="sex", aggregation=Aggregation.LAST),
                Aggregate(concept="age", aggregation=Aggregation.YEARS_SINCE),
            )
        ),
    )
    sex, age_years = described.T
    groups = {"female": sex == 0, "male": sex == 1}
    return groups | {name: (age_years >= low) & (age_years < high) for name, low, high in AGE_BANDS}
