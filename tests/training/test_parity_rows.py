"""Golden rows belong to nobody and span the risk; the reference tells how a feature was distributed."""

import numpy as np
import pytest

from tests.bundles import CENTRES, MISSING, linear_graph, random_rows, tiny_spec
from training.parity_rows import GOLDEN_ROWS, QUANTILES, golden_of, golden_rows, reference_of

GRAPH = linear_graph()


def test_golden_rows_are_no_patients_and_end_with_one_that_is_all_missing() -> None:
    source = random_rows(tiny_spec())
    found = golden_rows(GRAPH, source, seed=1)
    assert found.shape == (GOLDEN_ROWS, source.shape[1])
    assert found.dtype == np.float32
    assert np.isnan(found[-1]).all()
    assert {row.tobytes() for row in found} & {row.tobytes() for row in source} == set()


def test_every_golden_value_was_somebodys() -> None:
    source = random_rows(tiny_spec())
    for golden, column in zip(golden_rows(GRAPH, source, seed=1).T, source.T, strict=True):
        assert set(golden[~np.isnan(golden)].tolist()) <= set(column.tolist())


def test_golden_rows_rise_in_risk() -> None:
    golden = golden_of(GRAPH, golden_rows(GRAPH, random_rows(tiny_spec()), seed=1))
    real = golden.logit[:-1]
    assert list(real) == sorted(real)
    assert real[0] < real[-1] - 1


def test_the_seed_decides_the_golden_rows() -> None:
    source = random_rows(tiny_spec())
    first, again, other = (golden_rows(GRAPH, source, seed=seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_golden_outputs_are_what_the_graph_gives() -> None:
    """At the centres every contribution is 0; in the all-missing row each is what the graph has for a missing value."""
    rows = np.stack([np.array(CENTRES), np.full(len(CENTRES), np.nan)]).astype(np.float32)
    golden = golden_of(GRAPH, rows)
    assert golden.base_value == -4
    assert golden.contributions[0] == (0,) * len(CENTRES)
    assert golden.contributions[1] == tuple(float(np.float32(one)) for one in MISSING)
    assert golden.logit == pytest.approx((-4, -4.3))
    assert golden.probability == pytest.approx((1 / (1 + np.exp(4)), 1 / (1 + np.exp(4.3))))
    assert golden.matrix.tobytes() == rows.tobytes()


def test_the_reference_holds_the_share_missing_and_quantiles_of_the_rest() -> None:
    matrix = np.full((200, 2), np.nan, np.float32)
    matrix[:101, 0] = np.arange(101)
    reference = reference_of(("a", "never"), matrix)
    assert (reference["rows"], reference["quantiles"]) == (200, list(QUANTILES))
    assert reference["features"]["a"]["missing"] == pytest.approx(99 / 200)
    assert reference["features"]["a"]["values"] == pytest.approx([100 * one for one in QUANTILES], abs=1e-4)
    assert reference["features"]["never"] == {"missing": 1.0, "values": []}
