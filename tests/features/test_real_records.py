"""Real and realistic records: whatever their disorder, nothing is raised, and what must be in them is found.

Skipped where the data are not laid out beside the repository.
"""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from features.concept import load_vocabulary
from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.reader import Reader, Record
from features.refusals import Reason
from features.sources import Broken, ndjson_files, read_ndjson
from features.units import load_converter

DATA = Path(__file__).parents[3] / "shared" / "data" / "fhir"
LINES_PER_FILE = 6_000


def read(name: str) -> Record:
    """The first lines of every file of a source."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not there")
    reader, broken = Reader(load_converter()), list[Broken]()
    for file in ndjson_files(folder):
        reader.read(islice(read_ndjson(file, reader.refusals, on_broken=broken.append), LINES_PER_FILE))
    assert broken == []
    return reader.record()


@pytest.fixture(scope="module")
def mimic() -> Record:
    return read("mimic_demo")


@pytest.fixture(scope="module")
def synthea() -> Record:
    return read("synthea")


@pytest.fixture(scope="module")
def german() -> Record:
    return read("mii_kds")


def counts(record: Record) -> Counter[str]:
    return Counter(record.events.concepts[concept] for concept in record.events.concept.tolist())


def check_sound(record: Record) -> None:
    """What holds of every record: ranges, ages, and a number or a missing one for every feature."""
    events = record.events
    vocabulary = load_vocabulary()
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


def test_intensive_care_in_boston(mimic: Record) -> None:
    """MIMIC-IV: units as text, °F and °C under one code, times shifted into the next century."""
    found = counts(mimic)
    assert len(mimic.events.patients) == 45
    assert found["heart_rate"] > 500
    assert found["creatinine"] > 150
    assert found["age"] == found["sex"] == 45
    assert len(mimic.stays) > 100
    temperature = mimic.events.value[mimic.events.concept == mimic.events.concepts.index("temperature")]
    assert 35.5 < np.median(temperature) < 38.5
    check_sound(mimic)


def test_refusals_in_boston_are_counted(mimic: Record) -> None:
    refused = mimic.refusals
    assert refused.total(Reason.MALFORMED, Reason.SUBJECT_MISSING, Reason.DUPLICATE) == 0
    assert refused.total(Reason.CODE_NOT_MAPPED) > 1_000
    assert refused.total(Reason.RESOURCE_NOT_READ) > 1_000
    assert refused.total(Reason.DATA_ABSENT) > 0
    assert refused.total() < mimic.resources + refused.total(Reason.RESOURCE_NOT_READ)


def test_primary_care_in_massachusetts(synthea: Record) -> None:
    """Synthea: blood pressure as components, diagnoses in SNOMED CT, drugs in RxNorm."""
    found = counts(synthea)
    assert found["systolic_pressure"] == found["diastolic_pressure"] > 200
    assert found["creatinine"] > 100
    assert found["hypertension"] > 20
    assert found["raas_inhibitor"] >= 1
    assert synthea.refusals.total(Reason.MALFORMED) == 0
    check_sound(synthea)


def test_the_german_core_data_set(german: Record) -> None:
    """MII KDS: German profiles, extensions and units."""
    found = counts(german)
    assert found["creatinine"] >= 1
    assert found["heart_rate"] >= 1
    assert found["systolic_pressure"] >= 1
    assert german.refusals.total(Reason.MALFORMED) == 0
    assert german.refusals.total(Reason.UNIT_UNKNOWN) == 0
    check_sound(german)
