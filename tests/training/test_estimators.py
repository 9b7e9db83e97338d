"""The estimators behind scikit-learn's interface: missing values are data, and a seed gives the same model."""

import numpy as np
import pytest

from tests.training.made import made_rows
from training import evaluate
from training.cross_validation import sigmoid
from training.estimators import boosted_trees, fit, logistic_baseline, logits

PARAMETERS = {"n_estimators": 12, "num_leaves": 7, "bagging_fraction": 0.7, "bagging_freq": 1}


def test_both_estimators_tell_the_ill_from_the_well() -> None:
    rows = made_rows()
    for estimator in (boosted_trees(PARAMETERS, seed=1, threads=1), logistic_baseline()):
        found = logits(fit(estimator, rows.matrix, rows.labels), rows.matrix)
        assert found.dtype == np.float64
        assert evaluate.auroc(rows.labels, sigmoid(found)) > 0.7


def test_a_value_that_is_missing_can_tell_something() -> None:
    """Where only the ill lack a value, both estimators learn it from that; neither imputes it away."""
    rows = made_rows()
    rows.matrix[:, 0] = np.where(rows.labels, np.nan, 0.0)
    for estimator in (boosted_trees(PARAMETERS, seed=1, threads=1), logistic_baseline()):
        found = logits(fit(estimator, rows.matrix, rows.labels), rows.matrix)
        assert evaluate.auroc(rows.labels, sigmoid(found)) == 1


def test_the_baseline_keeps_a_feature_that_nobody_has() -> None:
    rows = made_rows()
    rows.matrix[:, 1] = np.nan
    assert np.isfinite(logits(fit(logistic_baseline(), rows.matrix, rows.labels), rows.matrix)).all()


@pytest.mark.parametrize(("seed", "is_same"), [(1, True), (2, False)], ids=["the same seed", "another seed"])
def test_the_seed_decides_the_trees(seed: int, *, is_same: bool) -> None:
    rows = made_rows()
    first, second = (
        fit(boosted_trees(PARAMETERS, seed=number, threads=1), rows.matrix, rows.labels).booster_.model_to_string()
        for number in (1, seed)
    )
    assert (first.partition("\nparameters")[0] == second.partition("\nparameters")[0]) is is_same


def test_bags_are_averaged_and_no_parameter_of_the_library() -> None:
    rows = made_rows()
    alone = fit(boosted_trees(PARAMETERS, seed=1, threads=1), rows.matrix, rows.labels)
    three = fit(boosted_trees({**PARAMETERS, "bags": 3}, seed=1, threads=1), rows.matrix, rows.labels)
    assert alone.booster_.num_trees() == PARAMETERS["n_estimators"]
    assert three.booster_.num_trees() == 3 * PARAMETERS["n_estimators"]
