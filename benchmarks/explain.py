"""Scoring with explanation: ours beside LightGBM's `pred_contrib` and `shap`, in one run, on one model.

    python -m benchmarks.explain [--quick] [--json FILE]

Every engine gets one thread and the same rows, a different one each time, in short turns so that a busy machine slows
all alike: compare the ratios. The model is the benchmark model, 300 trees × 31 leaves × 30 features with a fifth of the
values missing; a second table tells how the cost grows with trees, leaves, depth and features, on random models.
Memory is what an engine adds to a process of its own.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from benchmarks.explain_engines import COMPILED, ENGINES, GRAPH, PRED_CONTRIB, NotAvailable, Rows, Run, Subject
from benchmarks.make_model import LEAVES, MISSING_SHARE, TREES, benchmark_model, training_rows
from benchmarks.model import benchmark_spec
from benchmarks.progress import step
from benchmarks.servers import resident_bytes
from training.export import GraphMetadata, export

SINGLE_ROWS, TURN_ROWS, BATCH_ROWS = 500, 50, 10_000
GROWTH_ROWS, GROWTH_TRAINING_ROWS = 100, 5_000
GROWTH_ENGINES = (COMPILED, GRAPH, PRED_CONTRIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A model's size; `depth` -1: as the leaves will have it."""

    trees: int = TREES
    leaves: int = LEAVES
    depth: int = -1
    features: int = 30

    @property
    def words(self) -> str:
        """As a row of the table begins."""
        depth = "" if self.depth < 0 else f", depth up to {self.depth}"
        return f"{self.trees} trees × {self.leaves} leaves × {self.features} features{depth}"


SIZES = (
    Size(trees=100),
    Size(),
    Size(trees=1000),
    Size(leaves=7),
    Size(leaves=15),
    Size(leaves=63),
    Size(depth=5),
    Size(features=10),
    Size(features=100),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One engine's time per row, in microseconds."""

    engine: str
    p10_us: float
    median_us: float
    p99_us: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows, no growth: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    arguments = parser.parse_args()
    model = benchmark_model()
    subject = Subject(
        graph=model.graph,
        booster_text=model.booster.read_text(encoding="utf-8"),
        features=len(benchmark_spec().features),
    )
    rows, _ = training_rows(BATCH_ROWS, seed=1)
    runs, absent = prepared(subject)
    step("explanation: one row")
    one = singles(runs, rows, repeats=SINGLE_ROWS // (10 if arguments.quick else 1))
    step("explanation: a batch")
    batch = batches(runs, rows[: 200 if arguments.quick else BATCH_ROWS])
    found: dict[str, Any] = {
        "model": asdict(Size()),
        "missing_share": MISSING_SHARE,
        "one_row": [asdict(timing) for timing in one],
        "batch_rows": BATCH_ROWS,
        "batch": [asdict(timing) for timing in batch],
        "memory_mb": {name: memory_mb(name, subject) for name in runs},
        "graph_file_mb": len(subject.graph) / 1e6,
        "growth": [] if arguments.quick else list(growth()),
        "absent": absent,
    }
    _print(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def prepared(subject: Subject, names: Sequence[str] = tuple(ENGINES)) -> tuple[dict[str, Run], dict[str, str]]:
    """The engines that can be used on a subject, and why the others cannot."""
    runs: dict[str, Run] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            runs[name] = ENGINES[name].prepare(subject)
        except NotAvailable as reason:
            absent[name] = str(reason)
    return runs, absent


def singles(runs: Mapping[str, Run], rows: Rows, *, repeats: int) -> list[Timing]:
    """Time rows one by one, the engines in turns of some rows."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    turn = min(TURN_ROWS, repeats)
    for at in range(-turn, repeats, turn):  # the first turn warms up
        for name, run in runs.items():
            for number in range(turn):
                row = rows[(at + number) % len(rows)][np.newaxis]
                start = time.perf_counter()
                run(row)
                if at >= 0:
                    seconds[name].append(time.perf_counter() - start)
    return _timings(seconds)


def batches(runs: Mapping[str, Run], rows: Rows) -> list[Timing]:
    """Time all rows in chunks, each engine's own size; per row."""
    seconds: dict[str, list[float]] = {}
    for name, run in runs.items():
        engine = ENGINES[name]
        run(rows[: engine.chunk_rows])
        seconds[name] = []
        for at in range(0, min(len(rows), engine.batch_rows), engine.chunk_rows):
            chunk = rows[at : at + engine.chunk_rows]
            start = time.perf_counter()
            run(chunk)
            seconds[name].append((time.perf_counter() - start) / len(chunk))
    return _timings(seconds)


def growth(sizes: Sequence[Size] = SIZES) -> Iterator[dict[str, Any]]:
    """One row's cost on random models of other sizes."""
    for size in sizes:
        step(f"explanation: {size.words}")
        subject, rows = random_subject(size)
        runs, absent = prepared(subject, GROWTH_ENGINES)
        timings = singles(runs, rows, repeats=GROWTH_ROWS)
        medians = {timing.engine: timing.median_us for timing in timings}
        yield {**asdict(size), "median_us": medians, "absent": absent, "graph_file_mb": len(subject.graph) / 1e6}


def random_subject(size: Size) -> tuple[Subject, Rows]:
    """A model of a size on seeded normal rows with missing values, and the rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(GROWTH_TRAINING_ROWS, size.features)).astype(np.float32)
    labels = rng.random(len(rows)) < 1 / (1 + np.exp(1 + rows[:, 3] - rows[:, 0] - rows[:, 1] * rows[:, 2]))
    rows[rng.random(rows.shape) < MISSING_SHARE] = np.nan
    settings = {"objective": "binary", "num_leaves": size.leaves, "max_depth": size.depth}
    quiet = {"num_threads": 1, "verbose": -1, "seed": 0, "min_data_in_leaf": 10}
    booster = lightgbm.train(settings | quiet, lightgbm.Dataset(rows, labels), num_boost_round=size.trees)
    names = [f"feature_{position}" for position in range(size.features)]
    metadata = GraphMetadata(model_id="growth", version="0", licence="Apache-2.0")
    graph = export(booster, feature_names=names, calibration=None, metadata=metadata)
    return Subject(graph=graph, booster_text=booster.model_to_string(), features=size.features), rows


def memory_mb(name: str, subject: Subject) -> float:
    """What an engine adds to a process of its own, from before it is prepared until it has explained one row."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_memory_mb, name, subject).result()


def _memory_mb(name: str, subject: Subject) -> float:
    before = resident_bytes()
    run = ENGINES[name].prepare(subject)
    run(np.zeros((1, subject.features), np.float32))
    return (resident_bytes() - before) / 1e6


def _timings(seconds: Mapping[str, Sequence[float]]) -> list[Timing]:
    return [
        Timing(
            engine=name,
            p10_us=float(np.percentile(values, 10)) * 1e6,
            median_us=float(np.median(values)) * 1e6,
            p99_us=float(np.percentile(values, 99)) * 1e6,
        )
        for name, values in seconds.items()
    ]


def _print(found: dict[str, Any]) -> None:
    print(f"\n{Size().words}, {MISSING_SHARE:.0%} missing, 1 thread; graph file {found['graph_file_mb']:.1f} MB")
    tables = (("one row, µs", found["one_row"]), (f"batch of {BATCH_ROWS:,}, µs a row", found["batch"]))
    for title, timings in tables:
        print(f"\n{title:46} {'p10':>8} {'median':>8} {'p99':>8} {'× first':>8} {'added MB':>9}")
        for timing in timings:
            ratio = timing["median_us"] / timings[0]["median_us"]
            print(
                f"{timing['engine']:46} {timing['p10_us']:8.0f} {timing['median_us']:8.0f} {timing['p99_us']:8.0f} "
                f"{ratio:8.2f} {found['memory_mb'][timing['engine']]:9.0f}"
            )
    for name, reason in found["absent"].items():
        print(f"{name:46} not measured: {reason}")
    if found["growth"]:
        print(
            f"\n{'median µs of one row':48}" + "".join(f"{name.split(':')[-1].strip():>34}" for name in GROWTH_ENGINES)
        )
    for row in found["growth"]:
        words = Size(**{name: row[name] for name in asdict(Size())}).words
        print(f"{words:48}" + "".join(f"{row['median_us'].get(name, float('nan')):34.0f}" for name in GROWTH_ENGINES))


if __name__ == "__main__":
    main()
