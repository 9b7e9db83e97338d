"""The ways to explain that are compared give the same contributions."""

import numpy as np
import pytest

from benchmarks.explain import Size, batches, growth, prepared, random_subject, singles
from benchmarks.explain_engines import COMPILED, ENGINES, GRAPH, PRED_CONTRIB, SHAP, Rows, Subject

SMALL = Size(trees=5, leaves=7, features=6)


@pytest.fixture(scope="module")
def made() -> tuple[Subject, Rows]:
    return random_subject(SMALL)


def test_all_engines_explain_the_same_model(made: tuple[Subject, Rows]) -> None:
    subject, rows = made
    runs, absent = prepared(subject)
    assert set(runs) | set(absent) == set(ENGINES)
    found = {name: run(rows[:20]) for name, run in runs.items()}
    expected = np.asarray(found[PRED_CONTRIB])[:, :-1]
    contributions = {GRAPH: found[GRAPH][2], SHAP: found[SHAP]}  # type: ignore[index]
    if COMPILED in found:
        contributions[COMPILED] = found[COMPILED][1]  # type: ignore[index]
    for name, values in contributions.items():
        assert np.asarray(values) == pytest.approx(expected, abs=1e-4), name


def test_every_engine_is_timed_on_single_rows_and_on_a_batch(made: tuple[Subject, Rows]) -> None:
    subject, rows = made
    runs, _ = prepared(subject)
    for timings in (singles(runs, rows, repeats=4), batches(runs, rows[:20])):
        assert [timing.engine for timing in timings] == list(runs)
        assert all(0 < timing.p10_us <= timing.median_us <= timing.p99_us for timing in timings)


def test_growth_tells_one_row_per_size() -> None:
    (found,) = growth([SMALL])
    assert (found["trees"], found["leaves"], found["features"]) == (5, 7, 6)
    assert found["median_us"][PRED_CONTRIB] > 0
