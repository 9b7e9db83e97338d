"""The prefetch contract, for every model: who answers its queries, and nothing else, has sent all that it reads.

The features are then those of the whole record, to the last bit of each float32.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from features.feature import Aggregate, Aggregation, FeatureSet
from features.prefetch import CdsHooksVersion, prefetch_templates
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, Record
from features.times import to_datetime
from features.vocabulary.concept import load_vocabulary
from models.catalog import catalog
from tests.contract.charts import rewrite
from tests.contract.servers import differing, features_of, prefetched
from training.synthetic import PatientResources, generate, read_patients

PATIENTS, SEED = 48, 5
SMALL_PAGE = 9  # entries; each query then has many pages

EVERYTHING = FeatureSet(
    Aggregate(concept=concept.id, aggregation=aggregation, lookback_hours=hours)
    for concept in load_vocabulary()
    for aggregation, hours in (
        (Aggregation.LAST, 24.0),
        (Aggregation.COUNT, 30.0),
        (Aggregation.HOURS_SINCE, 72.0),
        (Aggregation.ACTIVE, None if concept.kind != "observation" else 12.0),
    )
)
FEATURE_SETS = {entry.spec.id: entry.spec.features for entry in catalog()} | {"every concept": EVERYTHING}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort")
    generate(path / "plain", patients=PATIENTS, seed=SEED)
    rewrite(path / "plain", path / "charts")
    return path / "charts"


@pytest.fixture(scope="module")
def unreported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same charts without DiagnosticReports, as in a hospital whose Observations tell their times themselves."""
    path = tmp_path_factory.mktemp("unreported")
    for file in folder.glob("*.ndjson"):
        lines = file.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if msgspec.json.decode(line)["resourceType"] != "DiagnosticReport"]
        (path / file.name).write_bytes(b"".join(kept))
    return path


def read_whole(folder: Path) -> Record:
    reader = Reader(load_interpreter())
    for file in sorted(folder.glob("*.ndjson")):
        assert reader.read_lines(file.read_bytes())
    return reader.record()


@pytest.fixture(scope="module")
def whole(folder: Path) -> Record:
    return read_whole(folder)


@pytest.fixture(scope="module")
def charts(folder: Path, whole: Record) -> dict[str, PatientResources]:
    return read_patients(sorted(folder.glob("*.ndjson")), whole.events.patients)


def moments(record: Record) -> Iterator[tuple[str, datetime]]:
    """Patients and times: early in each stay, in its middle and at its end."""
    for stay in record.stays:
        assert stay.end is not None
        for part in (1, 5, 9):
            yield stay.patient, to_datetime(stay.start + (stay.end - stay.start) * part // 9)


def check(
    charts: dict[str, PatientResources],
    whole: Record,
    features: FeatureSet,
    version: CdsHooksVersion,
    *,
    page_size: int | None = None,
    zone: timezone = UTC,
    reports: bool = True,
) -> None:
    templates = prefetch_templates(features, load_vocabulary(), version=version, reports=reports)
    for patient, at in moments(whole):
        expected = features_of(whole, features, patient, at)
        record = prefetched(charts[patient], templates, at=at.astimezone(zone), page_size=page_size)
        found = features_of(record, features, patient, at)
        assert differing(found, expected, features) == [], f"{patient} at {at.isoformat()}"


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_the_queries_answered_give_the_features_of_the_whole_record(
    features: FeatureSet, version: CdsHooksVersion, charts: dict[str, PatientResources], whole: Record
) -> None:
    check(charts, whole, features, version)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_where_there_are_no_reports_none_need_be_asked_for(features: FeatureSet, unreported: Path) -> None:
    """The templates of the discovery document, unless a site asks for more."""
    whole = read_whole(unreported)
    charts = read_patients(sorted(unreported.glob("*.ndjson")), whole.events.patients)
    check(charts, whole, features, "2.0", reports=False)


@pytest.mark.parametrize("features", FEATURE_SETS.values(), ids=FEATURE_SETS.keys())
def test_in_small_pages_too(features: FeatureSet, charts: dict[str, PatientResources], whole: Record) -> None:
    check(charts, whole, features, "3.0", page_size=SMALL_PAGE)


@pytest.mark.parametrize("hours", [-12, 14])
def test_on_a_calendar_of_another_zone_a_bound_cuts_nothing(
    hours: int, charts: dict[str, PatientResources], whole: Record
) -> None:
    """A client's today may be tomorrow or yesterday where the FHIR server stands."""
    zone = timezone(timedelta(hours=hours))
    check(charts, whole, FEATURE_SETS["sepsis"], "3.0", zone=zone)


def test_the_charts_hold_what_only_some_queries_find(charts: dict[str, PatientResources], whole: Record) -> None:
    """The contract can fail: without the reports, the statements or what is undated, some patient has other numbers."""
    features = FEATURE_SETS["aki"]
    templates = prefetch_templates(features, load_vocabulary(), version="3.0", reports=True)
    for key in ("observations", "undated-observations", "reports", "conditions", "medication-statements"):
        fewer = {name: template for name, template in templates.items() if name != key}
        assert any(
            differing(
                features_of(prefetched(charts[patient], fewer, at=at), features, patient, at),
                features_of(whole, features, patient, at),
                features,
            )
            for patient, at in moments(whole)
        ), key


def test_a_bound_spares_most_of_a_long_record(charts: dict[str, PatientResources], whole: Record) -> None:
    features = FEATURE_SETS["sepsis"]
    sizes = {}
    versions: tuple[CdsHooksVersion, ...] = ("2.0", "3.0")
    for version in versions:
        templates = prefetch_templates(features, load_vocabulary(), version=version)
        records = [prefetched(charts[patient], templates, at=at) for patient, at in moments(whole)]
        sizes[version] = sum(record.resources for record in records)
    assert sizes["3.0"] < sizes["2.0"]
