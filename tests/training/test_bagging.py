"""Averaged boosters are one booster again, for its predictions and for its contributions."""

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from training.bagging import BaggedTrees, merge

PARAMETERS = {"num_leaves": 7, "n_estimators": 20, "subsample": 0.5, "subsample_freq": 1, "n_jobs": 1}


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, 6)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


@pytest.fixture(scope="module")
def labels(rows: NDArray[np.float32]) -> NDArray[np.int32]:
    signal = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1]) * np.nan_to_num(rows[:, 2])
    return (signal + np.random.default_rng(1).normal(size=len(rows)) > 1).astype(np.int32)


@pytest.fixture(scope="module")
def boosters(rows: NDArray[np.float32], labels: NDArray[np.int32]) -> list[lightgbm.Booster]:
    settings = {"objective": "binary", "verbosity": -1, **PARAMETERS}
    data = lightgbm.Dataset(rows, label=labels, free_raw_data=False, params={"verbosity": -1})
    return [lightgbm.train({**settings, "seed": seed}, data) for seed in range(3)]


@pytest.mark.parametrize("what", ["raw_score", "pred_contrib"])
def test_the_merged_booster_says_the_mean(
    boosters: list[lightgbm.Booster], rows: NDArray[np.float32], what: str
) -> None:
    expected = np.mean([booster.predict(rows, **{what: True}) for booster in boosters], axis=0)
    np.testing.assert_allclose(merge(boosters).predict(rows, **{what: True}), expected, atol=1e-12)


def test_one_booster_merges_into_itself(boosters: list[lightgbm.Booster], rows: NDArray[np.float32]) -> None:
    merged = merge(boosters[:1])
    np.testing.assert_array_equal(merged.predict(rows, raw_score=True), boosters[0].predict(rows, raw_score=True))


def test_bags_of_different_seeds_differ_and_the_fit_is_repeatable(
    rows: NDArray[np.float32], labels: NDArray[np.int32]
) -> None:
    one, again = (BaggedTrees(bags=2, parameters=PARAMETERS, seed=5).fit(rows, labels) for _ in range(2))
    single = BaggedTrees(bags=1, parameters=PARAMETERS, seed=5).fit(rows, labels)
    np.testing.assert_array_equal(one.decision_function(rows), again.decision_function(rows))
    assert not np.array_equal(one.decision_function(rows), single.decision_function(rows))


def test_nothing_is_said_before_the_fit(rows: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="fit"):
        BaggedTrees(bags=1, parameters=PARAMETERS, seed=0).decision_function(rows)
