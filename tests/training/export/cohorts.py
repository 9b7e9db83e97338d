"""Rows with categories and with several outcomes, for the tests of the tree families."""

import numpy as np

from tests.training.export.examples import cohort
from training.export.trees import Float32Array, FloatArray, IntArray


def classes(labels: IntArray, *, count: int = 3, seed: int = 0) -> IntArray:
    """Labels of several classes that depend on the binary ones; every class occurs."""
    rng = np.random.default_rng(seed)
    found = labels + rng.integers(0, count - 1, size=len(labels))
    found[:count] = np.arange(count)
    return found


def outcomes(labels: IntArray, *, scale: float = 1.0, seed: int = 0) -> FloatArray:
    """A positive outcome that depends on the labels."""
    rng = np.random.default_rng(seed)
    return (labels + rng.gamma(2.0, size=len(labels)) + 0.1) * scale


def wards(*, rows: int = 400, categories: int = 12, seed: int = 0) -> tuple[Float32Array, IntArray]:
    """Rows [N, 4] whose features 0 and 2 are categories, some missing, and labels that depend on both."""
    rng = np.random.default_rng(seed)
    values, labels = cohort(rows=rows, features=4, seed=seed)
    values[:, 0] = rng.integers(0, categories, size=rows)
    values[:, 2] = rng.integers(0, 5, size=rows)
    labels = labels ^ (values[:, 0] % 3 == 0) ^ (values[:, 2] == 1)
    values[rng.random(rows) < 0.1, 0] = np.nan
    return values, labels.astype(np.int64)


def with_unseen(rows: Float32Array, features: tuple[int, ...] = (0, 2)) -> Float32Array:
    """Rows whose categories were never seen: beyond, negative, between two, huge, and missing."""
    unseen = np.repeat(np.resize(rows, (7, rows.shape[1])), len(features), axis=0)
    for at, feature in enumerate(features):
        unseen[at :: len(features), feature] = [99, -1, 0.5, -0.5, 1e30, 1e9, np.nan]
    return np.concatenate([rows, unseen])
