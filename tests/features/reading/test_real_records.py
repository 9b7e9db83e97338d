"""Real and realistic records, read whole: what is found in them, and what is refused and why, is written down.

The expectations stand in `expected/`; docs/real-records.md says what was odd in each source. After a change that is
meant, of the reader or of the vocabulary:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/features/reading/test_real_records.py

Skipped where the data are not laid out beside the repository.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.feature import Aggregate, Aggregation, FeatureSet
from features.files.sources import Broken, ndjson_files, read_ndjson
from features.kernel import compute
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from features.refusals import Reason
from features.vocabulary.concept import load_vocabulary

DATA = Path(__file__).parents[4] / "shared" / "data" / "fhir"
EXPECTED = Path(__file__).parent / "expected"
SOURCES = ("mimic_demo", "synthea", "mii_kds")


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest) -> tuple[str, Record]:
    """A source's name and all that is in it."""
    folder = DATA / request.param
    if not folder.is_dir():
        pytest.skip(f"{request.param} is not there")
    reader, broken = Reader(load_interpreter()), list[Broken]()
    for file in ndjson_files(folder):
        reader.read(read_ndjson(file, reader.refusals, on_broken=broken.append))
    assert broken == []
    return request.param, reader.record()


def summary(record: Record) -> dict[str, Any]:
    """Counts alone: no value, no patient."""
    numbers = Counter(record.events.concept.tolist())
    refused: dict[str, dict[str, int]] = {}
    for refusal, count in record.refusals:
        what = ": ".join(part for part in (refusal.concept, refusal.detail) if part is not None)
        refused.setdefault(refusal.reason.value, {})[what] = count
    return {
        "patients": len(record.events.patients),
        "resources": record.resources,
        "stays": dict(sorted(Counter(f"{one.level} {one.encounter_class}" for one in record.stays).items())),
        "events": {name: numbers[i] for i, name in enumerate(record.events.concepts)},
        "refused": refused,
    }


def test_what_is_found_and_refused_is_as_expected(source: tuple[str, Record]) -> None:
    name, record = source
    found, golden = summary(record), EXPECTED / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(golden.read_text(encoding="utf-8"))


def test_every_value_is_plausible_and_every_feature_a_number_or_missing(source: tuple[str, Record]) -> None:
    _, record = source
    events, vocabulary = record.events, load_vocabulary()
    for index, name in enumerate(events.concepts):
        plausible = vocabulary.concept(name).plausible
        if plausible is not None and name != "age":
            values = events.value[events.concept == index]
            assert plausible[0] <= values.min() <= values.max() <= plausible[1]
    features = FeatureSet(
        Aggregate(concept=concept, aggregation=aggregation, lookback_hours=lookback)
        for concept in events.concepts
        for aggregation in Aggregation
        for lookback in (24.0, None)
    )
    everybody = np.arange(len(events.patients))
    at = np.full(len(everybody), int(events.known.max()), np.int64)
    assert not np.isinf(compute(events, everybody, at, features)).any()


def test_each_resource_is_accounted_for(source: tuple[str, Record]) -> None:
    """Nothing is malformed, belongs to nobody or speaks another version; what is refused has a reason we know."""
    _, record = source
    assert record.refusals.total(Reason.MALFORMED, Reason.SUBJECT_MISSING, Reason.FHIR_VERSION) == 0
    assert record.refusals.total(Reason.UNIT_UNKNOWN, Reason.UNIT_CONTRADICTION) == 0


MIDDLES = {
    "mimic_demo": {"temperature": (36.0, 37.5), "heart_rate": (70.0, 100.0), "creatinine": (0.7, 1.5)},
    "synthea": {"systolic_pressure": (105.0, 140.0), "creatinine": (0.6, 2.0), "glucose": (70.0, 130.0)},
    "mii_kds": {"heart_rate": (50.0, 110.0)},
}


def test_the_middle_of_what_is_measured_is_what_a_clinician_expects(source: tuple[str, Record]) -> None:
    """A unit taken for another one would show here."""
    name, record = source
    for concept, (low, high) in MIDDLES[name].items():
        values = record.events.value[record.events.concept == record.events.concepts.index(concept)]
        assert low <= np.median(values) <= high
