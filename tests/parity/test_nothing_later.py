"""Nothing after the index time, ever: what is added to a record later changes no feature of an earlier time.

Through the reader: the later resources are FHIR, and they are read together with the earlier ones. A later version of
an earlier result is another matter: it replaces that result, for the record then holds nothing else of it.
"""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.feature import Aggregate, Aggregation, FeatureSet
from features.kernel import compute
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from features.times import to_datetime
from features.vocabulary.concept import load_vocabulary
from models.catalog import catalog
from tests.contract.charts import rewrite
from training.synthetic import generate

Json = dict[str, Any]
HOUR = 3_600_000_000  # microseconds
EVERYTHING = FeatureSet(
    Aggregate(concept=concept.id, aggregation=aggregation)
    for concept in load_vocabulary()
    for aggregation in (Aggregation.LAST, Aggregation.COUNT, Aggregation.ACTIVE, Aggregation.HOURS_SINCE)
)
FEATURE_SETS = {entry.spec.id: entry.spec.features for entry in catalog()} | {"every concept": EVERYTHING}
TIMES = {
    "Observation": ("effectiveDateTime", "issued"),
    "DiagnosticReport": ("effectiveDateTime", "issued"),
    "Condition": ("recordedDate", "onsetDateTime"),
    "MedicationRequest": ("authoredOn",),
    "MedicationAdministration": ("effectiveDateTime",),
    "MedicationStatement": ("dateAsserted", "effectiveDateTime"),
}


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """All resources of some patients, those of the first first."""
    path = tmp_path_factory.mktemp("record")
    generate(path / "plain", patients=4, seed=3)
    rewrite(path / "plain", path / "charts")
    lines = [line for file in sorted((path / "charts").glob("*.ndjson")) for line in file.read_bytes().splitlines()]
    return [json.loads(line) for line in lines]


def record_of(resources: list[Json]) -> Record:
    reader = Reader(load_interpreter())
    assert reader.read_lines(b"\n".join(json.dumps(one).encode() for one in resources))
    return reader.record()


def features_of(record: Record, features: FeatureSet, at: int) -> NDArray[np.float32]:
    everybody = np.arange(len(record.events.patients))
    return compute(record.events, everybody, np.full(len(everybody), at), features)


def postponed(resource: Json, number: int, at: int, hours: float) -> Json:
    """A new resource like this one, so many hours after the index time."""
    later = {**resource, "id": f"later-{number}"}
    when = to_datetime(at + round(hours * HOUR)).isoformat()
    for name in TIMES[resource["resourceType"]]:
        if name in resource:
            later[name] = when
    if "effectivePeriod" in resource:
        later["effectivePeriod"] = {"start": when}
    if "result" in resource:  # the report is one of a later result
        later["result"] = [{"reference": f"Observation/later-{number + 1}"}]
    return later


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_later_resources_change_no_feature(features: FeatureSet, resources: list[Json], data: st.DataObject) -> None:
    before = record_of(resources)
    stay = before.stays[data.draw(st.integers(0, len(before.stays) - 1))]
    at = data.draw(st.integers(stay.start, stay.end or stay.start + 24 * HOUR))
    movable = [one for one in resources if one["resourceType"] in TIMES]
    chosen = data.draw(st.lists(st.sampled_from(movable), min_size=1, max_size=40))
    hours = data.draw(st.floats(1e-6, 1e5))
    later = [postponed(one, number, at, hours) for number, one in enumerate(chosen)]
    mixed = data.draw(st.permutations([*later, *resources[-40:]]))
    after = record_of([*resources[:-40], *mixed])
    expected, found = features_of(before, features, at), features_of(after, features, at)
    assert expected.tobytes() == found.tobytes()


def test_an_earlier_resource_does_change_the_features(resources: list[Json]) -> None:
    """The property can fail: the same resource a minute before the index time is seen."""
    record = record_of(resources)
    stay = record.stays[0]
    at = stay.start + 12 * HOUR
    diagnosis = next(one for one in resources if one["resourceType"] == "Condition")
    minute = postponed(diagnosis, 0, at, -1 / 60)
    changed = record_of([*resources, minute])
    assert features_of(record, EVERYTHING, at).tobytes() != features_of(changed, EVERYTHING, at).tobytes()
