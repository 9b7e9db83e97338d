"""The bootstrap draws whole patients."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.resample import Estimate, bootstrap, estimate, number_patients


def test_patients_are_numbered_from_zero_whatever_they_are_called() -> None:
    numbers, count = number_patients(np.array(["b", "a", "b", "c"]))
    assert numbers.tolist() == [1, 0, 1, 2]
    assert count == 3


def test_each_resample_has_as_many_patients_as_there_are() -> None:
    drawn = bootstrap(lambda m: m.astype(np.float64), patients=7, resamples=50, rng=np.random.default_rng(1))
    assert drawn.shape == (50, 7)
    assert drawn.sum(axis=1).tolist() == [7.0] * 50


def test_the_same_seed_draws_the_same_patients() -> None:
    first, second = (
        bootstrap(lambda m: m.astype(np.float64), patients=9, resamples=5, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    assert first.tolist() == second.tolist()


def test_progress_is_told_after_each_resample() -> None:
    told: list[tuple[int, int]] = []
    bootstrap(
        lambda m: m.astype(np.float64),
        patients=2,
        resamples=3,
        rng=np.random.default_rng(0),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_spread_of_a_mean_is_that_of_its_patients() -> None:
    """The bootstrap's standard error of a mean over patients is sd / √P, within the noise of 4,000 resamples."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=400)

    def mean(multiplicities: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([multiplicities @ values / multiplicities.sum()])

    samples = bootstrap(mean, patients=400, resamples=4000, rng=rng)
    # The relative error of a standard deviation from R draws is about 1 / √(2 R) = 1.1 %; 5 % is over four of those.
    assert samples.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_rows_of_one_patient_widen_the_interval() -> None:
    """Ten equal rows of each patient are no more evidence than one: drawing rows would narrow the interval by √10."""
    rng = np.random.default_rng(6)
    values = np.repeat(rng.normal(size=200), 10)
    patients = np.repeat(np.arange(200), 10)

    def spread(of: NDArray[np.int64]) -> float:
        numbers, count = number_patients(of)

        def mean(multiplicities: NDArray[np.int64]) -> NDArray[np.float64]:
            weights = multiplicities[numbers]
            return np.array([weights @ values / weights.sum()])

        return float(bootstrap(mean, patients=count, resamples=1000, rng=rng).std())

    assert spread(patients) / spread(np.arange(2000)) == pytest.approx(np.sqrt(10), rel=0.15)


def test_the_interval_ends_at_the_2_5th_and_97_5th_percentile() -> None:
    measured = estimate(2.0, np.arange(101.0))
    assert (measured.lower, measured.upper) == pytest.approx((2.5, 97.5))


@pytest.mark.parametrize(
    ("value", "samples", "expected"),
    [
        pytest.param(
            2.0, [1.0, np.nan, 1.0], Estimate(value=2.0, lower=1.0, upper=1.0, undefined=1), id="one undefined"
        ),
        pytest.param(np.nan, [np.nan, np.nan], Estimate(value=None, undefined=2), id="all undefined"),
    ],
)
def test_undefined_resamples_are_counted(value: float, samples: list[float], expected: Estimate) -> None:
    assert expected == estimate(value, np.array(samples))


@pytest.mark.parametrize(("patients", "resamples"), [(0, 10), (10, 0)], ids=["no patients", "no resamples"])
def test_nothing_to_draw_is_refused(patients: int, resamples: int) -> None:
    with pytest.raises(ValueError, match="at least one patient and one resample"):
        bootstrap(lambda m: m.astype(np.float64), patients=patients, resamples=resamples, rng=np.random.default_rng(0))


def test_a_level_outside_0_and_1_and_a_matrix_of_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="level of confidence"):
        estimate(0.0, np.zeros(3), level=95)
    with pytest.raises(ValueError, match="one patient for each row"):
        number_patients(np.zeros((2, 2)))
