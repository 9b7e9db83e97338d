"""Cross-validation by patient: what the estimators say of patients they have not seen, calibrated on others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import calibrate, split
from training.dataset import Progress
from training.estimators import fit, logits
from training.export import Calibration
from training.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutOfFold:
    """One estimator's out-of-fold results.

    Attributes:
        folds: int64[N], the fold in which each row was held out.
        logits: float64[N], raw.
        probabilities: float64[N], each calibrated on the other folds.
        calibration: fitted on all out-of-fold logits, for the model fitted on all rows.
    """

    folds: NDArray[np.int64]
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    calibration: Calibration


def cross_validate(
    rows: Rows, make: Callable[[], Any], *, folds: int, seed: int, name: str, progress: Progress
) -> OutOfFold:
    """Fit on all folds but one, predict that one, in turn; then calibrate each fold on the others.

    Args:
        rows: with patients, whose rows stay together.
        make: gives a fresh estimator.
        folds: how many.
        seed: of the split.
        name: of the estimator, for the progress.
        progress: told of each fold.
    """
    fold = split.patient_folds(rows.patients, rows.labels, folds=folds, rng=np.random.default_rng(seed))
    raw = np.empty(len(rows.labels), np.float64)
    for held_out in range(folds):
        progress(f"cross-validating {name}", held_out, folds)
        test = fold == held_out
        raw[test] = logits(fit(make(), rows.matrix[~test], rows.labels[~test]), rows.matrix[test])
    progress(f"cross-validating {name}", folds, folds)
    probabilities = np.empty_like(raw)
    for held_out in range(folds):
        test = fold == held_out
        others = calibrate.fit_platt(raw[~test], rows.labels[~test])
        probabilities[test] = sigmoid(calibrate.apply(others, raw[test]))
    return OutOfFold(
        folds=fold, logits=raw, probabilities=probabilities, calibration=calibrate.fit_platt(raw, rows.labels)
    )


def sigmoid(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds as probabilities."""
    return 1.0 / (1.0 + np.exp(-numbers))
