"""Measures scoring with explanation: our graph beside LightGBM's `pred_contrib` and `shap`, in one run, on one model.

    python benchmarks/explain.py [--json FILE] [--trees 300] [--leaves 31] [--features 30]

Every engine gets one thread and the same rows, a different one each time, in short turns so that a busy machine
slows all alike. Compare the ratios; the times are this machine's.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import lightgbm
import numpy as np

from training.export import GraphMetadata, export, prove
from training.export.parity import open_session
from training.export.trees import Float32Array

MISSING_SHARE = 0.2
TRAINING_ROWS = 20_000
BATCH_ROWS = 10_000
CHUNK_ROWS = 8
TURN_ROWS = 50

Engine = Callable[[Float32Array], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One engine's time per row, in microseconds, and how many times the graph's median it takes."""

    engine: str
    p10_us: float
    median_us: float
    p99_us: float
    ratio_to_graph: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a loaded graph adds to the process, and what the file is."""

    file_bytes: int
    load_seconds: float
    resident_bytes: int


def main() -> None:
    """Parse arguments, measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=500, help="single rows timed per engine")
    parser.add_argument("--batch-rows", type=int, default=BATCH_ROWS)
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    arguments = parser.parse_args()

    rows, booster = _model(trees=arguments.trees, leaves=arguments.leaves, features=arguments.features)
    graph = export(
        booster,
        feature_names=[f"feature_{position}" for position in range(arguments.features)],
        calibration=None,
        metadata=GraphMetadata(model_id="benchmark", version="0", licence="Apache-2.0"),
    )
    proof = prove(graph, booster, None, rows[:200])
    graph_engine, memory = _graph_engine(graph)
    engines = {
        "graph, score and explanation": graph_engine,
        "graph, score alone": _score_engine(graph),
        "LightGBM pred_contrib": lambda row: booster.predict(row, pred_contrib=True, num_threads=1),
        "shap TreeExplainer.shap_values": _shap_engine(booster),
    }
    singles = _timings(engines, rows, repeats=arguments.repeats)
    batch = _batch(engines, rows[: arguments.batch_rows])
    _print(arguments, singles, batch, memory)
    if arguments.json:
        result = {
            "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
            "model": {"trees": arguments.trees, "leaves": arguments.leaves, "features": arguments.features},
            "one_row": [asdict(timing) for timing in singles],
            "batch_rows": min(arguments.batch_rows, len(rows)),
            "batch": [asdict(timing) for timing in batch],
            "memory": asdict(memory),
            "parity": proof.as_dict(),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _model(*, trees: int, leaves: int, features: int) -> tuple[Float32Array, lightgbm.Booster]:
    """Seeded rows with missing values, and a booster on them."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(TRAINING_ROWS, features)).astype(np.float32)
    logit = rows[:, 0] + rows[:, 1] * rows[:, 2] - rows[:, 3] - 1
    labels = rng.random(TRAINING_ROWS) < 1 / (1 + np.exp(-logit))
    rows[rng.random(rows.shape) < MISSING_SHARE] = np.nan
    settings = {"objective": "binary", "num_leaves": leaves, "num_threads": 1, "verbose": -1, "seed": 0}
    return rows, lightgbm.train(settings, lightgbm.Dataset(rows, labels), num_boost_round=trees)


def _graph_engine(graph: bytes) -> tuple[Engine, Memory]:
    before, start = _resident_bytes(), time.perf_counter()
    session = open_session(graph)
    session.run(None, {"features": np.zeros((1, session.get_inputs()[0].shape[1]), dtype=np.float32)})
    memory = Memory(
        file_bytes=len(graph),
        load_seconds=time.perf_counter() - start,
        resident_bytes=_resident_bytes() - before,
    )
    return (lambda rows: session.run(None, {"features": rows})), memory


def _score_engine(graph: bytes) -> Engine:
    """The scoring nodes alone, as a session of their own: a session runs all nodes whatever is asked of it."""
    from onnx import load_from_string  # noqa: PLC0415
    from onnx.utils import Extractor  # noqa: PLC0415 - only this engine needs it

    score = Extractor(load_from_string(graph)).extract_model(["features"], ["logit", "probability"])
    session = open_session(score.SerializeToString())
    return lambda rows: session.run(None, {"features": rows})


def _shap_engine(booster: lightgbm.Booster) -> Engine:
    """`shap`'s own compiled code; as it comes, it hands a LightGBM model back to `pred_contrib`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap  # noqa: PLC0415 - takes a second, and warns of its own plots
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    return lambda rows: explainer.shap_values(rows, check_additivity=False)


def _timings(engines: dict[str, Engine], rows: Float32Array, *, repeats: int) -> list[Timing]:
    """Time single rows, in turns of `TURN_ROWS` per engine, after one turn each that isn't counted.

    Turns of one row would measure each engine with the caches full of another's tables.
    """
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(1 + -(-repeats // TURN_ROWS)):
        for name, engine in engines.items():
            for at in range(turn * TURN_ROWS, (turn + 1) * TURN_ROWS):
                row = rows[at % len(rows)][np.newaxis]
                start = time.perf_counter()
                engine(row)
                if turn > 0:
                    seconds[name].append(time.perf_counter() - start)
    return _as_timings(seconds)


def _batch(engines: dict[str, Engine], rows: Float32Array) -> list[Timing]:
    """Time all rows, per row: the graph in chunks that stay in a core's cache, the others in chunks of 500."""
    seconds: dict[str, list[float]] = {}
    for name, engine in engines.items():
        size = CHUNK_ROWS if name.startswith("graph") else 500
        seconds[name] = []
        for at in range(0, len(rows), size):
            chunk = rows[at : at + size]
            start = time.perf_counter()
            engine(chunk)
            seconds[name].append((time.perf_counter() - start) / len(chunk))
    return _as_timings(seconds)


def _as_timings(seconds: dict[str, list[float]]) -> list[Timing]:
    graph_median = float(np.median(next(iter(seconds.values()))))
    return [
        Timing(
            engine=name,
            p10_us=float(np.percentile(values, 10)) * 1e6,
            median_us=float(np.median(values)) * 1e6,
            p99_us=float(np.percentile(values, 99)) * 1e6,
            ratio_to_graph=float(np.median(values)) / graph_median,
        )
        for name, values in seconds.items()
    ]


def _resident_bytes() -> int:
    """The process's resident memory now, from Linux's statm."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _print(arguments: argparse.Namespace, singles: list[Timing], batch: list[Timing], memory: Memory) -> None:
    print(
        f"{arguments.trees} trees x {arguments.leaves} leaves x {arguments.features} features, 20 % missing, 1 thread"
    )
    for title, timings in (("one row", singles), (f"{arguments.batch_rows:,} rows, per row", batch)):
        print(f"\n{title:34} {'p10 us':>10} {'median us':>10} {'p99 us':>10} {'ratio':>7}")
        for timing in timings:
            print(
                f"{timing.engine:34} {timing.p10_us:10.0f} {timing.median_us:10.0f} {timing.p99_us:10.0f} "
                f"{timing.ratio_to_graph:7.2f}"
            )
    print(
        f"\nfile {memory.file_bytes / 1e6:.2f} MB, loaded in {memory.load_seconds:.2f} s, "
        f"{memory.resident_bytes / 1e6:.0f} MB resident"
    )


if __name__ == "__main__":
    main()
