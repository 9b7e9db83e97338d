"""The synthetic cohort gives the model `aki` something to learn, and nothing that gives the outcome away."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.kernel import compute
from models.aki import SPEC, cohort, label
from tests.training.synthetic.conftest import read
from training.synthetic import generate


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    folder: Path = tmp_path_factory.mktemp("learnable")
    generate(folder, patients=500, seed=5)
    record = read(folder)
    found = cohort(record)
    return compute(record.events, found.patients, found.times, SPEC.features), label(record, found)


def test_the_outcome_is_neither_rare_nor_common(rows: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> None:
    _, labels = rows
    assert 0.02 < labels.mean() < 0.12


def test_no_single_feature_tells_the_outcome(rows: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> None:
    matrix, labels = rows
    best = {name: auroc(column, labels) for name, column in zip(SPEC.features.ids, matrix.T, strict=True)}
    assert max(max(one, 1 - one) for one in best.values()) < 0.85


def test_creatinine_that_has_risen_tells_something(rows: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> None:
    matrix, labels = rows
    assert auroc(matrix[:, SPEC.features.ids.index("creatinine_to_lowest_168h")], labels) > 0.55


def auroc(values: NDArray[np.float32], labels: NDArray[np.bool_]) -> float:
    """Mann–Whitney, ties counted half; missing values take the middle."""
    filled = np.where(np.isnan(values), np.nanmedian(values), values)
    negatives = np.sort(filled[~labels])
    below = np.searchsorted(negatives, filled[labels], side="left")
    until = np.searchsorted(negatives, filled[labels], side="right")
    return float(((below + until) / 2 / len(negatives)).mean())
