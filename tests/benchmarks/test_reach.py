"""What the figures are meant to reach is told reached, missed or not measured."""

from typing import Any

import pytest

from benchmarks.explain_engines import COMPILED, PRED_CONTRIB
from benchmarks.reach import AIMS, reached


def call(journal: str, model: str = "benchmark", *, p50: float = 0.8, per_second: float = 1200) -> dict[str, Any]:
    times = {"p50_ms": p50, "p99_ms": 2 * p50, "per_second": per_second}
    return {"journal": journal, "model": model, "observations": 60, **times}


def results(*rows: dict[str, Any], ratio: float = 5.0) -> dict[str, Any]:
    timings = [{"engine": COMPILED, "median_us": 100}, {"engine": PRED_CONTRIB, "median_us": 100 * ratio}]
    calls = {
        "rows": [row | {"concurrency": concurrency} for row in rows for concurrency in (1, 8)],
        "start": {"resident_mb": 150, "start_to_ready_s": 1.6},
    }
    explain = {"one_row": timings, "batch": timings, "memory_mb": {COMPILED: 20}}
    return {"sections": {"calls": {"found": calls}, "explain": {"found": explain}}}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(results(call("off")), "reached       60 Observations, journal off, p50", id="fast enough"),
        pytest.param(results(call("off", p50=1.0)), "MISSED        60 Observations, journal off, p50", id="too slow"),
        pytest.param(
            results(call("off", per_second=1000), call("normal", per_second=600)),
            "MISSED        calls/s at concurrency 8 with the journal in WAL through those without: 0.60",
            id="a journal that costs too much",
        ),
        pytest.param(results(call("off")), "not measured  1,000 Observations", id="a size that was not asked"),
        pytest.param(results(call("off")), "MISSED        start to ready", id="a slow start"),
        pytest.param(results(ratio=3.0), "MISSED        one row: pred_contrib through ours: 3.00", id="explanation"),
        pytest.param(results(), "not measured  one row: shap_values", id="an engine that was not there"),
    ],
)
def test_an_aim_is_told(found: dict[str, Any], line: str) -> None:
    assert line in reached(found)


def test_nothing_measured_is_told_for_every_aim() -> None:
    assert reached({"sections": {}}).count("not measured") == len(AIMS)
