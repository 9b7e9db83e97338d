"""Counts and distributions in bounded memory: exact while there are few, close when there are many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.coverage.sketches import Histogram, Numbers, PatientSample, hashes_of, weighted_quantile


def _add(sample: PatientSample, patients: list[int], latest: list[int]) -> None:
    hashes = hashes_of([f"p{number}" for number in patients])
    sample.add(hashes, np.ones(len(patients), np.int64), np.array(latest, np.int64))


@given(st.lists(st.lists(st.integers(0, 60), max_size=20), max_size=6), st.integers(1, 40))
def test_a_sample_does_not_depend_on_how_the_records_were_cut(parts: list[list[int]], size: int) -> None:
    """Whoever is in the sample is there with all events, whatever came in which part."""
    whole, cut = PatientSample(size), PatientSample(size)
    joined = [number for part in parts for number in part]
    _add(whole, joined, joined)
    for part in parts:
        _add(cut, part, part)
    assert cut.hashes.tolist() == whole.hashes.tolist()
    assert cut.counts.tolist() == whole.counts.tolist()
    assert cut.patients == whole.patients
    counts = dict(zip(hashes_of([f"p{n}" for n in joined]).tolist(), joined, strict=True))
    for value, count, latest in zip(cut.hashes.tolist(), cut.counts.tolist(), cut.latest.tolist(), strict=True):
        assert (count, latest) == (joined.count(counts[value]), counts[value])


def test_patients_are_exact_up_to_the_size_and_close_beyond() -> None:
    few, many = PatientSample(1_000), PatientSample(1_000)
    _add(few, list(range(1_000)), [0] * 1_000)
    _add(many, list(range(50_000)), [0] * 50_000)
    assert (few.patients, few.is_sample) == (1_000, False)
    assert many.is_sample
    assert many.patients == pytest.approx(50_000, rel=4 / 1_000**0.5)  # four standard errors


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_numbers_of_any_size_and_sign_are_known_to_five_percent(share: float) -> None:
    values = np.concatenate((np.geomspace(1e-6, 1e9, 5_000), -np.geomspace(1e-3, 1e3, 3_000), np.zeros(10)))
    numbers = Numbers()
    numbers.add(np.zeros((1, len(values)), np.int64), values)
    found = weighted_quantile(*numbers.of([(0,)]), share)
    assert found == pytest.approx(float(np.quantile(values, share)), rel=0.05)


@pytest.mark.parametrize(
    ("low", "high"),
    [(25.0, 45.0), (0.05, 50.0), (0.0, 1_500.0), (-45.0, 45.0)],
    ids=["°C", "mg/dL", "leukocytes, from zero", "base excess"],
)
def test_quantiles_of_a_histogram_are_within_a_bin(low: float, high: float) -> None:
    values = np.random.default_rng(1).uniform(low, high, 10_000)
    histogram = Histogram.between(low, high)
    histogram.add(values)
    found = histogram.quantile(0.5)
    width = histogram.edges[np.searchsorted(histogram.edges, found)] * 0.02 + (high - low) / 400
    assert abs(found - float(np.quantile(values, 0.5))) <= width
    assert sum(one.values for one in histogram.coarse()) == len(values)


def test_the_bounds_themselves_lie_in_the_first_and_the_last_bin() -> None:
    histogram = Histogram.between(0.0, 100.0)
    histogram.add(np.array([0.0, 100.0]))
    assert (histogram.counts[0], histogram.counts[-1]) == (1, 1)
