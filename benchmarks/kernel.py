"""The feature kernel for one patient and for many index times, on the features of a model and on 60 made-up ones.

What polars and duckdb need for the same is measured by benchmarks.kernel_peers.

python -m benchmarks.kernel [--service sepsis] [--json FILE]
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from features.events import MICROSECONDS_PER_HOUR, Events
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import Kernel
from features.times import LATEST
from models.catalog import find

EVENTS_PER_PATIENT = 300
STAY_HOURS = 72
ONE_PATIENT_EVENTS = 60
MEASURED_CONCEPTS = 12
LOOKBACK_HOURS = 24
STAY = "stay"
AGGREGATIONS = ("last", "min", "max", "mean", "count")


def sixty(concepts: Sequence[str]) -> FeatureSet:
    """60 plain features: the last, lowest, highest and mean value and the count, of a day of twelve concepts."""
    return FeatureSet(
        Aggregate(concept=concept, aggregation=Aggregation(aggregation), lookback_hours=LOOKBACK_HOURS)
        for concept in concepts[:MEASURED_CONCEPTS]
        for aggregation in AGGREGATIONS
    )


def every_kind() -> FeatureSet:
    """60 features: each aggregation of a day of four concepts."""
    return FeatureSet(
        Aggregate(concept=f"concept{number}", aggregation=aggregation, lookback_hours=LOOKBACK_HOURS)
        for number in range(4)
        for aggregation in Aggregation
    )


def since_stay() -> FeatureSet:
    """60 features: five numbers of twelve concepts since the stay began."""
    return FeatureSet(
        Aggregate(concept=f"concept{number}", aggregation=Aggregation(aggregation), since=STAY)
        for number in range(MEASURED_CONCEPTS)
        for aggregation in AGGREGATIONS
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", default="sepsis")
    parser.add_argument("--index-times", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    features = find(arguments.service).spec.features
    kernel, rng = Kernel(features), np.random.default_rng(0)

    rows = [
        _one_patient(name, chosen, rng)
        for name, chosen in (
            (arguments.service, features),
            ("five numbers of a day", sixty([f"concept{number}" for number in range(MEASURED_CONCEPTS)])),
            ("every aggregation of a day", every_kind()),
            ("five numbers since the stay began", since_stay()),
        )
    ]
    patients = max(1, arguments.index_times // STAY_HOURS)
    many = _events(features, patients, EVENTS_PER_PATIENT * patients, rng)
    who = rng.integers(0, patients, arguments.index_times)
    when = rng.integers(0, STAY_HOURS, arguments.index_times) * MICROSECONDS_PER_HOUR
    batch = _median_seconds(lambda: kernel.compute(many, who, when), 3)

    rows.append(_row(arguments.service, len(who), features, many, batch))
    for row in rows:
        each = 1e6 * row["seconds"] / row["index_times"]
        print(
            f"{row['index_times']:>9,} index times × {row['features']} features over {row['events']:>9,} events: "
            f"{1000 * row['seconds']:9.2f} ms, {each:8.2f} µs each: {row['name']}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _one_patient(name: str, features: FeatureSet, rng: np.random.Generator) -> dict[str, Any]:
    one, kernel = _events(features, 1, ONE_PATIENT_EVENTS, rng), Kernel(features)
    at = np.array([STAY_HOURS * MICROSECONDS_PER_HOUR])
    return _row(name, 1, features, one, _median_seconds(lambda: kernel.compute(one, np.zeros(1, np.int64), at), 500))


def _row(name: str, index_times: int, features: FeatureSet, events: Events, seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "index_times": index_times,
        "features": len(features),
        "events": len(events),
        "seconds": seconds,
    }


def _events(features: FeatureSet, patients: int, count: int, rng: np.random.Generator) -> Events:
    concepts = features.concepts
    time_us = rng.integers(0, STAY_HOURS * 60, count) * (MICROSECONDS_PER_HOUR // 60)
    concept = rng.integers(0, len(concepts), count).astype(np.int32)
    is_stay = np.array([name == STAY for name in concepts])[concept]
    time_us[is_stay] = 0
    return Events.sort(
        patients=[str(number) for number in range(patients)],
        concepts=concepts,
        patient=rng.integers(0, patients, count).astype(np.int32),
        concept=concept,
        time=time_us,
        known=time_us,
        value=rng.normal(size=count),
        until=np.where(is_stay, LATEST, time_us),
    )


def _median_seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
