"""The feature kernel for one patient and for many index times, on the features of a model.

python -m benchmarks.kernel [--service sepsis] [--json FILE]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import FeatureSet
from features.kernel import Kernel
from models.catalog import find

EVENTS_PER_PATIENT = 300
STAY_HOURS = 72
ONE_PATIENT_EVENTS = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", default="sepsis")
    parser.add_argument("--index-times", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    features = find(arguments.service).spec.features
    kernel, rng = Kernel(features), np.random.default_rng(0)

    one = _events(features, 1, ONE_PATIENT_EVENTS, rng)
    at = np.array([STAY_HOURS * MICROSECONDS_PER_HOUR])
    single = _median_seconds(lambda: kernel.compute(one, np.zeros(1, np.int64), at), 500)

    patients = max(1, arguments.index_times // STAY_HOURS)
    many = _events(features, patients, EVENTS_PER_PATIENT * patients, rng)
    who = rng.integers(0, patients, arguments.index_times)
    when = rng.integers(0, STAY_HOURS, arguments.index_times) * MICROSECONDS_PER_HOUR
    batch = _median_seconds(lambda: kernel.compute(many, who, when), 3)

    rows = [
        {"index_times": 1, "features": len(features), "events": len(one), "seconds": single},
        {"index_times": len(who), "features": len(features), "events": len(many), "seconds": batch},
    ]
    for row in rows:
        each = 1e6 * row["seconds"] / row["index_times"]
        print(
            f"{row['index_times']:>9,} index times × {row['features']} features over {row['events']:>9,} events: "
            f"{1000 * row['seconds']:9.2f} ms, {each:8.2f} µs each"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _events(features: FeatureSet, patients: int, count: int, rng: np.random.Generator) -> Events:
    concepts = features.concepts
    time_us = rng.integers(0, STAY_HOURS * 60, count) * (MICROSECONDS_PER_HOUR // 60)
    return Events.sort(
        patients=[str(number) for number in range(patients)],
        concepts=concepts,
        patient=rng.integers(0, patients, count).astype(np.int32),
        concept=rng.integers(0, len(concepts), count).astype(np.int32),
        time=time_us,
        known=time_us,
        value=rng.normal(size=count),
    )


def _median_seconds(work: object, rounds: int) -> float:
    assert callable(work)
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
