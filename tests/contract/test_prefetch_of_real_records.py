"""The prefetch contract on records of a real hospital, of a simulator and of German examples.

Skipped where the data are not laid out beside the repository.
"""

from datetime import datetime
from pathlib import Path

import pytest

from features.feature import FeatureSet
from features.files.sources import Broken, ndjson_files, read_ndjson
from features.prefetch import CdsHooksVersion, prefetch_templates
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record, Stay
from features.times import to_datetime
from features.vocabulary.concept import load_vocabulary
from models.catalog import catalog
from tests.contract.servers import differing, features_of, prefetched
from training.synthetic import PatientResources, read_patients

DATA = Path(__file__).parents[3] / "shared" / "data" / "fhir"
SOURCES = ("mimic_demo", "synthea", "mii_kds")
FEATURE_SETS = {entry.spec.id: entry.spec.features for entry in catalog()}
STAYS = 15
DAY = 86_400_000_000  # microseconds

Source = tuple[Record, dict[str, PatientResources]]


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest) -> Source:
    folder = DATA / request.param
    if not folder.is_dir():
        pytest.skip(f"{request.param} is not there")
    reader, broken, files = Reader(load_interpreter()), list[Broken](), ndjson_files(folder)
    for file in files:
        reader.read(read_ndjson(file, reader.refusals, on_broken=broken.append))
    whole = reader.record()
    chosen = {stay.patient for stay in some(whole)}
    assert broken == []
    return whole, read_patients(files, chosen)


def some(whole: Record) -> tuple[Stay, ...]:
    return whole.stays[:: max(1, len(whole.stays) // STAYS)]


def late(stay: Stay) -> datetime:
    """When most of a stay is over."""
    end = stay.start + DAY if stay.end is None else stay.end
    return to_datetime(stay.start + (end - stay.start) * 9 // 10)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_the_queries_answered_give_the_features_of_the_whole_record(
    features: FeatureSet, version: CdsHooksVersion, source: Source
) -> None:
    whole, charts = source
    templates = prefetch_templates(features, load_vocabulary(), version=version, reports=True)
    for stay in some(whole):
        at = late(stay)
        expected = features_of(whole, features, stay.patient, at)
        found = features_of(prefetched(charts[stay.patient], templates, at=at), features, stay.patient, at)
        assert differing(found, expected, features) == [], f"{stay.patient} at {at.isoformat()}"
