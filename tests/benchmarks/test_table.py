"""The tables that the README shows are made of results.json alone."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import RESULTS, SECTIONS
from benchmarks.machine import TraceError, machine, refuse_traces, versions
from benchmarks.table import tables


def latency(p50: float) -> dict[str, Any]:
    return {"p50_ms": p50, "p99_ms": 2 * p50, "per_second": 1000 / p50, "calls": 10}


def timing(engine: str, median: float) -> dict[str, Any]:
    return {"engine": engine, "p10_us": median, "median_us": median, "p99_us": 2 * median}


RESULT: dict[str, Any] = {
    "format": 1,
    "machine": {"processor": "A processor", "cores": 2, "memory_gb": 24, "system": "Linux 6"},
    "versions": {"python": "3.11.7"},
    "sections": {
        "calls": {
            "date": "2026-11-24",
            "seconds": 1,
            "found": {
                "processors": "not pinned",
                "start": {"models": 5, "start_to_ready_s": 1.25, "resident_mb": 190.4, "cli_start_to_ready_s": 1.1},
                "rows": [
                    {"journal": "off", "model": "benchmark", "observations": 60, "concurrency": 1, **latency(0.8)},
                    {"journal": "off", "model": "benchmark", "observations": 60, "concurrency": 8, **latency(5.0)},
                ],
            },
        },
        "explain": {
            "date": "2026-11-24",
            "seconds": 1,
            "found": {
                "model": {"trees": 300, "leaves": 31, "depth": -1, "features": 30},
                "one_row": [timing("ours", 200), timing("theirs", 2000)],
                "batch_rows": 10_000,
                "batch": [timing("ours", 150), timing("theirs", 1900)],
                "memory_mb": {"ours": 20, "theirs": 3},
                "growth": [
                    {"trees": 1000, "leaves": 31, "depth": -1, "features": 30, "median_us": {"ours": 700}, "absent": {}}
                ],
                "absent": {"a third": "it was not built"},
            },
        },
        "kernel": {
            "date": "2026-11-24",
            "seconds": 1,
            "found": [{"name": "sepsis", "index_times": 100_000, "features": 221, "events": 416_400, "seconds": 0.85}],
        },
        "kernel-peers": {
            "date": "2026-11-24",
            "seconds": 1,
            "found": [
                {"way": way, "seconds": seconds, "index_times_per_second": 1e5 / seconds, "peak_bytes": 1.1e9}
                for way, seconds in (("kernel", 0.5), ("polars", 2.0), ("kernel", 0.4))
            ],
        },
        "extract": {
            "date": "2026-11-24",
            "seconds": 1,
            "found": [
                {
                    "what": "extract",
                    "bytes": 20_000_000,
                    "workers": 2,
                    "seconds": 0.2,
                    "resources": 20_000,
                    "decoding": 0.4,
                    "peak_mib": 181.0,
                }
            ],
        },
        "peers": {
            "date": "2026-11-25",
            "seconds": 1,
            "found": {
                "processors": "not pinned",
                "rows": [
                    {
                        "name": "A server",
                        "version": "1.2",
                        "does": "scores",
                        "request": "a row",
                        "concurrency_1": latency(5.0),
                        "concurrency_8": latency(40.0),
                        "resident_mb": 400.0,
                        "start_to_ready_s": 9.0,
                    }
                ],
                "absent": [{"name": "Another", "reason": "could not be installed"}],
            },
        },
    },
}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("| 60 | benchmark model, journal off | 0.80 | 1.60 | 5.00 | 10.00 | 200 |", id="a whole call"),
        pytest.param("ready after 1.25 s, 190 MB resident", id="start and memory"),
        pytest.param("| theirs | 2,000 | 4,000 | 10.0 | 1,900 | 3 |", id="an engine and its ratio to ours"),
        pytest.param("| a third | not measured: it was not built |", id="an engine that was not there"),
        pytest.param("| 1,000 × 31 × 30 | 700 |", id="how the cost grows"),
        pytest.param("| sepsis | 100,000 | 221 | 416,400 | 8.5 |", id="the kernel"),
        pytest.param("| polars | 2.00 | 4.0 | 50,000 | 1.10 |", id="a peer beside the kernel's slower time"),
        pytest.param("| extract | 20 | 2 | 100 | 100,000 | 40% | 181 |", id="reading"),
        pytest.param("| A server 1.2 | scores | a row | 5.00 | 10.00 | 25 | 400 |", id="a peer"),
        pytest.param("| Another | not measured: could not be installed |", id="a peer that was not there"),
        pytest.param("Measured 2026-11-24 and 2026-11-25 on 2 cores of A processor", id="when and where"),
    ],
)
def test_a_table_shows(line: str) -> None:
    assert line in tables(RESULT)


def test_all_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    for part in tables(RESULT).split("\n\n"):
        cells = {line.count(" | ") for line in part.splitlines() if line.startswith("|")}
        assert len(cells) <= 1, part


def test_sections_that_were_not_measured_are_left_out() -> None:
    assert tables(RESULT | {"sections": {}}).startswith("Measured")


def test_the_results_that_were_committed_can_be_shown_and_hold_no_path() -> None:
    if not RESULTS.exists():
        pytest.skip("no results were committed yet")
    text = RESULTS.read_text(encoding="utf-8")
    found = json.loads(text)
    assert set(found["sections"]) <= set(SECTIONS)
    assert tables(found)
    assert re.findall(r"(?<![\w:/])/\w+/", text) == []


@pytest.mark.parametrize(
    "trace", [str(Path.cwd()), str(Path.home()), socket.gethostname()], ids=["folder", "home", "host"]
)
def test_a_trace_of_this_machine_is_refused(trace: str) -> None:
    with pytest.raises(TraceError):
        refuse_traces(json.dumps({"path": f"{trace}/x"}))


def test_machine_and_versions_say_enough_to_judge_the_numbers() -> None:
    found = machine() | versions()
    assert found["cores"] >= 1
    assert {"processor", "memory_gb", "python", "onnxruntime"} <= set(found)
