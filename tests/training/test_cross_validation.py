"""Cross-validation: nobody is judged by an estimator, or by a calibration, that has seen them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.made import made_rows
from training import calibrate
from training.cross_validation import OutOfFold, cross_validate, sigmoid
from training.rows import Rows

FOLDS = 4


class Watched:
    """An estimator that keeps what it was fitted on and asked for; its log-odds are the first feature."""

    def __init__(self) -> None:
        self.fitted: NDArray[np.float32] = np.empty((0, 2), np.float32)
        self.asked: NDArray[np.float32] = np.empty((0, 2), np.float32)

    def fit(self, rows: NDArray[np.float32], labels: NDArray[np.int32]) -> "Watched":
        assert set(labels.tolist()) == {0, 1}
        self.fitted = rows
        return self

    def decision_function(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        self.asked = rows
        return rows[:, 0].astype(np.float64)


def watched(rows: Rows, **settings: Any) -> tuple[OutOfFold, list[Watched]]:
    made: list[Watched] = []

    def make() -> Watched:
        made.append(Watched())
        return made[-1]

    given: dict[str, Any] = {"folds": FOLDS, "seed": 3, "name": "watched", "progress": lambda *_: None} | settings
    return cross_validate(rows, make, **given), made


def test_no_patient_is_both_learned_from_and_judged() -> None:
    rows = made_rows()
    rows.matrix[:, 1] = rows.patients  # the second feature names the patient
    _, estimators = watched(rows)
    assert len(estimators) == FOLDS
    for one in estimators:
        assert set(one.fitted[:, 1]) & set(one.asked[:, 1]) == set()
    judged = np.concatenate([one.asked[:, 1] for one in estimators])
    assert sorted(judged.tolist()) == sorted(rows.patients.tolist())


def test_every_row_gets_the_logit_of_its_own_features() -> None:
    rows = made_rows()
    found, _ = watched(rows)
    assert found.logits.tolist() == rows.matrix[:, 0].astype(np.float64).tolist()


def test_the_calibration_of_a_fold_is_fitted_on_the_others() -> None:
    rows = made_rows()
    found, _ = watched(rows)
    for fold in range(FOLDS):
        held_out = found.folds == fold
        others = calibrate.fit_platt(found.logits[~held_out], rows.labels[~held_out])
        expected = sigmoid(calibrate.apply(others, found.logits[held_out]))
        assert found.probabilities[held_out].tolist() == expected.tolist()


def test_the_released_calibration_is_fitted_on_all_out_of_fold_logits() -> None:
    rows = made_rows()
    found, _ = watched(rows)
    assert found.calibration == calibrate.fit_platt(found.logits, rows.labels)


def test_the_seed_decides_the_folds() -> None:
    rows = made_rows()
    first, again, other = (watched(rows, seed=seed)[0] for seed in (1, 1, 2))
    assert first.folds.tolist() == again.folds.tolist()
    assert first.folds.tolist() != other.folds.tolist()


def test_progress_counts_the_folds() -> None:
    told: list[tuple[str, int, int]] = []
    watched(made_rows(), progress=lambda *step: told.append(step))
    assert told == [("cross-validating watched", done, FOLDS) for done in range(FOLDS + 1)]


@pytest.mark.parametrize(("logit", "probability"), [(0.0, 0.5), (np.log(3), 0.75), (-np.log(9), 0.1)])
def test_log_odds_are_probabilities(logit: float, probability: float) -> None:
    assert sigmoid(np.array([logit])).tolist() == pytest.approx([probability])
