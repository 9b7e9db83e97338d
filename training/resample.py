"""Bootstrap over patients: how far a number would move had other patients been admitted.

Rows of one patient resemble each other, so drawing rows would give intervals that are too narrow. Whole
patients are drawn with replacement (cluster bootstrap; Davison and Hinkley 1997,
doi:10.1017/CBO9780511802843, section 3.8). A drawn sample is never built: it is a multiplicity for each
patient, which a statistic uses as the weight of rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], None]
"""Called with (resamples done, resamples in all) after each resample."""

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""From int64[P] multiplicities of the patients to float64[M] numbers, NaN where the sample defines none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its percentile interval; None where it is undefined.

    `undefined` counts the resamples that gave no number (no alarm, so no PPV): the interval is over the
    others.
    """

    value: float | None
    lower: float | None = None
    upper: float | None = None
    undefined: int = 0


def number_patients(patients: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Number patients from 0: the patient's number in each row, intp[N], and how many patients there are."""
    if patients.ndim != 1 or patients.size == 0:
        raise ValueError(f"Expected one patient for each row of a 1-D array, got shape {patients.shape}.")
    distinct, numbers = np.unique(patients, return_inverse=True)
    return numbers, distinct.size


def bootstrap(
    statistic: Statistic,
    *,
    patients: int,
    resamples: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Draw `patients` patients with replacement, `resamples` times: the statistic of each, float64[R, M].

    Args:
        statistic: takes the multiplicity of each patient, numbered as by `number_patients`.
        patients: how many patients there are, at least 1.
        resamples: how many samples to draw, at least 1.
        rng: the only source of chance.
        progress: called after each resample.
    """
    if patients < 1 or resamples < 1:
        raise ValueError(f"Expected at least one patient and one resample, got {patients} and {resamples}.")
    samples = []
    for done in range(1, resamples + 1):
        drawn = rng.integers(0, patients, size=patients)
        samples.append(statistic(np.bincount(drawn, minlength=patients).astype(np.int64)))
        if progress is not None:
            progress(done, resamples)
    return np.array(samples, dtype=np.float64)


def estimate(value: float, samples: NDArray[np.float64], *, level: float = 0.95) -> Estimate:
    """Join a number and its resamples, float64[R], to an `Estimate`; NaN means undefined in both."""
    if not 0 < level < 1:
        raise ValueError(f"Expected a level of confidence between 0 and 1, got {level}.")
    defined = samples[~np.isnan(samples)]
    undefined = samples.size - defined.size
    point = None if np.isnan(value) else float(value)
    if defined.size == 0:
        return Estimate(value=point, undefined=undefined)
    lower, upper = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=point, lower=float(lower), upper=float(upper), undefined=undefined)
