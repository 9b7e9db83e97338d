"""The feature kernel beside polars and duckdb: the same features of the same events, on the same cores, in one run.

python -m benchmarks.kernel_peers [--rows 1000000] [--threads 2] [--rounds 1] [--json FILE]

Half a stay's worth of data each: 20 events of each of 20 concepts in 72 hours and 20 index times a patient. The 60
features are last, min, max, mean and count of the 24 hours before the index time, of 12 of the concepts. Each way of
asking for them runs in a process of its own, from tables in its own format in memory to a matrix in memory; the time
is that of the query alone, the memory is the process's highest, with the tables. All answers must be equal. The
kernel is asked before and after the others, and its slower time counts; beside the time on the clock stands that of
the processors, which says whether something else was using them.

The kernel does one thing more than the others: it also asks of every event whether it was known at the index time.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import kernel_duckdb, kernel_polars
from benchmarks.kernel import sixty
from benchmarks.kernel_data import Ask, Data
from features.events import MICROSECONDS_PER_HOUR, Events
from features.kernel import Kernel

EVENTS_PER_SERIES = 20
CONCEPTS = 20
INDEX_TIMES_PER_PATIENT = 20
STAY_MINUTES = 72 * 60
NOON = 1_795_521_600_000_000  # 2026-11-24T12:00:00Z
MINUTE = MICROSECONDS_PER_HOUR // 60
FINGERPRINT = hashlib.sha256


def made(rows: int) -> Data:
    """The data for a number of index times; no two events of a series have one time, so `last` has no ties."""
    rng = np.random.default_rng(2026)
    patients = rows // INDEX_TIMES_PER_PATIENT
    series = patients * CONCEPTS
    minute = np.sort(rng.integers(0, STAY_MINUTES - EVENTS_PER_SERIES, (series, EVENTS_PER_SERIES)), axis=1)
    minute += np.arange(EVENTS_PER_SERIES)
    who = np.repeat(np.arange(patients), INDEX_TIMES_PER_PATIENT)
    return Data(
        concept=np.repeat(np.arange(CONCEPTS, dtype=np.int32), patients * EVENTS_PER_SERIES),
        patient=np.tile(np.repeat(np.arange(patients, dtype=np.int32), EVENTS_PER_SERIES), CONCEPTS),
        time=NOON + minute.ravel() * MINUTE,
        # Multiples of 1/8: every mean is then the same in whatever order it is added up.
        value=rng.integers(-400, 400, series * EVENTS_PER_SERIES) / 8,
        index_patient=rng.permutation(who),
        index_time=NOON + rng.integers(0, STAY_MINUTES, len(who)) * MINUTE,
    )


def ask_kernel(data: Data, threads: int) -> Ask:
    """Our own way."""
    patients = int(data.patient.max()) + 1
    events = Events(
        patients=tuple(map(str, range(patients))),
        concepts=tuple(f"concept{number}" for number in range(CONCEPTS)),
        patient=data.patient,
        concept=data.concept,
        time=data.time,
        known=data.time,
        value=data.value,
        until=data.time,
    )
    kernel = Kernel(sixty([f"concept{number}" for number in range(CONCEPTS)]))
    return lambda: kernel.compute(events, data.index_patient, data.index_time, threads=threads)


WAYS: dict[str, Callable[[Data, int], Ask]] = {
    "kernel": ask_kernel,
    "polars: join, filter, group": kernel_polars.ask_joins,
    "polars: one join, group, pivot": kernel_polars.ask_one_join,
    "polars: rolling by time": kernel_polars.ask_rolling,
    "duckdb: range join a concept": kernel_duckdb.ask_joins,
    "duckdb: one range join, pivot": kernel_duckdb.ask_one_join,
    "duckdb: window functions": kernel_duckdb.ask_windows,
}


def measure(way: str, rows: int, threads: int, rounds: int) -> dict[str, Any]:
    """One way in this process: its fastest time, its highest memory, and what tells its answer from another."""
    ask = WAYS[way](made(rows), threads)
    taken, answer = [], b""
    for _ in range(rounds):
        start, start_cpu = time.perf_counter(), time.process_time()
        matrix = ask()
        taken.append((time.perf_counter() - start, time.process_time() - start_cpu))
        answer = FINGERPRINT(np.ascontiguousarray(matrix).tobytes()).digest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds, cpu_seconds = min(taken)
    return {
        "way": way,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "index_times_per_second": rows / seconds,
        "peak_bytes": peak,
        "answer": answer.hex(),
    }


def _print_table(found: list[dict[str, Any]]) -> None:
    ours = max(row["seconds"] for row in found if row["way"] == "kernel")
    print(f"{'':32} {'seconds':>9} {'of CPU':>9} {'index times/s':>14} {'× kernel':>9} {'peak GiB':>9}")
    for row in found:
        print(
            f"{row['way']:32} {row['seconds']:9.2f} {row['cpu_seconds']:9.2f} {row['index_times_per_second']:14,.0f} "
            f"{row['seconds'] / ours:9.1f} {row['peak_bytes'] / 2**30:9.2f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = str(arguments.threads)  # read when a process imports polars
    found = []
    for way in (*WAYS, "kernel"):
        # A fresh process, so that one way's memory is not another's.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(measure, (way, arguments.rows, arguments.threads, arguments.rounds)))
        print(f"{way}: {found[-1]['seconds']:.2f} s", flush=True)
        assert found[-1]["answer"] == found[0]["answer"], f"{way}: expected the kernel's matrix to the bit."
    events = arguments.rows // INDEX_TIMES_PER_PATIENT * CONCEPTS * EVENTS_PER_SERIES
    print(
        f"\n{arguments.rows:,} index times × 60 features over {events:,} events, {arguments.threads} threads; "
        "all matrices equal to the bit"
    )
    _print_table(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
