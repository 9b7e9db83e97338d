"""The FHIR search over NDJSON: what a server would have shown at a past time, and nothing it does not understand."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from features.prefetch import prefetch_templates
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.vocabulary.concept import load_vocabulary
from models.aki import SPEC
from training.synthetic import PatientResources, SearchError, read_patients, sample_request
from training.synthetic.search import BASE_URL

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)


def observation(name: str, code: str, time: str, issued: str | None = None) -> dict[str, Any]:
    resource = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"system": "http://example.org/c", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": time,
    }
    return resource if issued is None else {**resource, "issued": issued}


RESOURCES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "id": "1", "gender": "female"},
    {
        "resourceType": "Encounter",
        "id": "e",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/1"},
        "period": {"start": "2025-06-01T08:00:00Z", "end": "2025-06-05T08:00:00Z"},
    },
    observation("old", "2160-0", "2025-06-01T09:00:00Z"),
    observation("new", "2160-0", "2025-06-02T10:00:00+02:00"),
    observation("other", "8867-4", "2025-06-02T06:00:00Z"),
    observation("unissued", "2160-0", "2025-06-02T11:00:00Z", "2025-06-02T13:00:00Z"),
    observation("future", "2160-0", "2025-06-03T06:00:00Z"),
    {
        "resourceType": "Condition",
        "id": "undated",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
        "subject": {"reference": "Patient/1"},
    },
    {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "subject": {"reference": "Patient/1"},
        "authoredOn": "2025-06-01",
        "medicationReference": {"reference": "Medication/drug"},
    },
)
MEDICATION: dict[str, Any] = {"resourceType": "Medication", "id": "drug", "code": {"text": "furosemide"}}


@pytest.fixture
def patient() -> PatientResources:
    resources = PatientResources(patient="1", directory={"Medication/drug": MEDICATION})
    for resource in RESOURCES:
        resources.add(resource)
    return resources


def ids(bundle: dict[str, Any] | None) -> list[str]:
    assert bundle is not None
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("Observation?patient=1", ["old", "new", "other"], id="all there was, as filed"),
        pytest.param("Observation?patient=Patient/1&_sort=-date", ["new", "other", "old"], id="newest first"),
        pytest.param("Observation?subject=1&_sort=date", ["old", "other", "new"], id="oldest first"),
        pytest.param("Observation?patient=1&code=http://loinc.org|2160-0", ["old", "new"], id="system and code"),
        pytest.param("Observation?patient=1&code=x|1,http://loinc.org|8867-4", ["other"], id="any of the codes"),
        pytest.param("Observation?patient=1&code=8867-4", ["other"], id="code in any system"),
        pytest.param("Observation?patient=1&code=|8867-4", [], id="code without a system"),
        pytest.param("Observation?patient=1&code=http://loinc.org|2160", [], id="no part of a code matches"),
        pytest.param("Observation?patient=1&category=laboratory&status=final", ["old", "new", "other"], id="tokens"),
        pytest.param("Observation?patient=1&date=ge2025-06-02&date=lt2025-06-02T07:00:00Z", ["other"], id="dates"),
        pytest.param("Observation?patient=2", [], id="another patient"),
        pytest.param("Condition?patient=1", ["undated"], id="undated resources are shown"),
        pytest.param("Encounter?patient=1&class=IMP", ["e"], id="class"),
        pytest.param("Encounter?patient=1&class=AMB", [], id="other class"),
    ],
)
def test_a_search_finds(patient: PatientResources, query: str, expected: list[str]) -> None:
    assert ids(patient.answer(query, at=NOON)) == expected


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("Observation?patient=1&code:in=http://example.org/vs", "no parameter 'code:in'"),
        ("Observation?patient=1&value-quantity=5", "no parameter 'value-quantity'"),
        ("Observation?code=8867-4", "expected the parameter patient"),
        ("Observation?patient=1&_sort=code", "expected _sort by one of"),
        ("Observation?patient=1&_count=many", "expected a number for _count"),
        ("Observation?patient=1&date=2025", "expected a date with one of the prefixes"),
        ("MedicationRequest?patient=1&_include=*", "expected _include=MedicationRequest:medication"),
        ("Basic?patient=1", "expected one of"),
        ("Observation?patient=1&date:missing=perhaps", "expected date:missing=true or false"),
        ("Condition?patient=1&_include=Condition:encounter", "expected no _include"),
    ],
)
def test_what_the_search_does_not_know_is_an_error(patient: PatientResources, query: str, complaint: str) -> None:
    with pytest.raises(SearchError, match=complaint.replace("*", r"\*")):
        patient.answer(query, at=NOON)


def test_pages_follow_their_links_to_the_end(patient: PatientResources) -> None:
    query: str | None = (
        "Observation?patient=1&code=http://loinc.org|2160-0,http://loinc.org|8867-4&_sort=-date&_count=2"
    )
    pages: list[list[str]] = []
    while query is not None:
        bundle = patient.answer(query, at=NOON)
        assert bundle is not None
        assert bundle["total"] == 3
        pages.append(ids(bundle))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        query = links["next"].removeprefix(f"{BASE_URL}/") if "next" in links else None
    assert pages == [["new", "other"], ["old"]]


def test_an_empty_searchset_has_no_empty_entry_list(patient: PatientResources) -> None:
    bundle = patient.answer("Observation?patient=2", at=NOON)
    assert bundle is not None
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_included_medications_are_marked_as_no_match(patient: PatientResources) -> None:
    bundle = patient.answer("MedicationRequest?patient=1&_include=MedicationRequest:medication", at=NOON)
    assert bundle is not None
    assert [(entry["resource"]["id"], entry["search"]["mode"]) for entry in bundle["entry"]] == [
        ("m", "match"),
        ("drug", "include"),
    ]
    assert bundle["total"] == 1


PERIOD = {"start": "2025-05-01T08:00:00Z", "end": "2025-05-03T08:00:00Z"}
OPEN_PERIOD = {"start": "2025-05-01T08:00:00Z"}


def measured(name: str, **time: Any) -> dict[str, Any]:
    timeless = {key: value for key, value in observation(name, "2160-0", "").items() if key != "effectiveDateTime"}
    return {**timeless, **time}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("date=ge2025-05-02", ["period", "open"], id="a period that reaches into it"),
        pytest.param("date=ge2025-05-04", ["open"], id="a period without an end reaches everywhere"),
        pytest.param("date=lt2025-05-02", ["period", "open", "day"], id="a period that began before"),
        pytest.param("date=eq2025-04-30", ["day"], id="a day"),
        pytest.param("date:missing=true", ["issued"], id="without an effective time, though issued"),
        pytest.param("date:missing=false", ["period", "open", "day"], id="with an effective time"),
        pytest.param("_sort=-date", ["open", "period", "day", "issued"], id="newest first, undated last"),
    ],
)
def test_a_date_is_that_of_the_effective_time(query: str, expected: list[str]) -> None:
    """FHIR's parameter `date` does not look at `issued`."""
    resources = PatientResources(patient="1")
    for resource in (
        measured("period", effectivePeriod=PERIOD),
        measured("open", effectivePeriod=OPEN_PERIOD),
        measured("day", effectiveDateTime="2025-04-30"),
        measured("issued", issued="2025-05-02T08:00:00Z"),
    ):
        resources.add(resource)
    assert ids(resources.answer(f"Observation?patient=1&{query}", at=NOON)) == expected


@pytest.mark.parametrize(
    ("result", "status", "expected"),
    [
        pytest.param({}, "final", [], id="its report is not there yet"),
        pytest.param({}, "entered-in-error", ["1"], id="a report that does not count"),
        pytest.param({"issued": "2025-06-01T10:00:00Z"}, "final", ["1"], id="it was issued by itself"),
    ],
)
def test_a_result_is_shown_with_its_report(result: dict[str, Any], status: str, expected: list[str]) -> None:
    resources = PatientResources(patient="1")
    resources.add(measured("1", effectiveDateTime="2025-06-01T09:00:00Z", **result))
    told = {"status": status, "issued": "2025-06-02T13:00:00Z", "result": [{"reference": "Observation/1"}], **SUBJECT}
    resources.add({"resourceType": "DiagnosticReport", "id": "r", **told})
    assert ids(resources.answer("Observation?patient=1", at=NOON)) == expected


def test_only_the_elements_asked_for_are_shown() -> None:
    resources = PatientResources(patient="1")
    told = {"status": "final", "conclusion": "long", "result": [{"reference": "Observation/1"}], **SUBJECT}
    resources.add({"resourceType": "DiagnosticReport", "id": "r", "effectiveDateTime": "2025-06-01", **told})
    bundle = resources.answer("DiagnosticReport?patient=1&_elements=effective,result", at=NOON)
    assert bundle is not None
    assert [sorted(entry["resource"]) for entry in bundle["entry"]] == [
        ["effectiveDateTime", "id", "resourceType", "result"]
    ]


SUBJECT = {"subject": {"reference": "Patient/1"}}


@pytest.mark.parametrize(
    ("resource", "include", "found"),
    [
        pytest.param(
            {"resourceType": "Observation", "specimen": {"reference": "Specimen/s"}},
            "Observation:specimen", "Specimen", id="a specimen",
        ),
        pytest.param(
            {"resourceType": "Encounter", "location": [{"location": {"reference": "https://x/Location/l/_history/2"}}]},
            "Encounter:location", "Location", id="the places of a stay",
        ),
        pytest.param(
            {"resourceType": "MedicationStatement", "medicationReference": {"reference": "Medication/m"}},
            "MedicationStatement:medication", "Medication", id="a drug that is taken",
        ),
    ],
)  # fmt: skip
def test_what_is_referred_to_is_included(resource: dict[str, Any], include: str, found: str) -> None:
    directory = {f"{name}/{name[0].lower()}": {"resourceType": name} for name in ("Specimen", "Location", "Medication")}
    resources = PatientResources(patient="1", directory=directory)
    resources.add({"id": "1", **resource, **SUBJECT})
    query = f"{resource['resourceType']}?patient=1"
    bundle = resources.answer(f"{query}&_include={include}", at=NOON)
    assert bundle is not None
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == [resource["resourceType"], found]
    assert len(ids(resources.answer(query, at=NOON))) == 1


def test_a_stay_that_goes_on_is_in_progress_and_one_that_ended_is_not(patient: PatientResources) -> None:
    during = patient.answer("Encounter/e", at=NOON)
    after = patient.answer("Encounter/e", at=datetime(2025, 6, 6, tzinfo=UTC))
    assert during is not None
    assert after is not None
    assert (during["status"], during["period"]) == ("in-progress", {"start": "2025-06-01T08:00:00Z"})
    assert after["status"] == "finished"


@pytest.mark.parametrize(
    ("reference", "expected"), [("Patient/1", "1"), ("Patient/2", None), ("Medication/drug", "drug")]
)
def test_a_read_gives_the_resource_or_none(patient: PatientResources, reference: str, expected: str | None) -> None:
    found = patient.answer(reference, at=NOON)
    assert (found or {}).get("id") == expected


def test_a_request_shows_the_chart_as_it_was(patient: PatientResources) -> None:
    templates = {
        "patient": "Patient/{{context.patientId}}",
        "observations": "Observation?patient={{context.patientId}}&code=http://loinc.org|2160-0&_sort=-date",
    }
    request = sample_request(patient, templates, at=NOON)
    assert request["hook"] == "patient-view"
    assert request["context"] == {"userId": "Practitioner/example", "patientId": "1", "encounterId": "e"}
    assert request["prefetch"]["patient"] == RESOURCES[0]
    assert ids(request["prefetch"]["observations"]) == ["new", "old"]
    assert request == sample_request(patient, templates, at=NOON)
    assert "fhirServer" not in request


def test_a_read_of_nobody_is_null_and_a_token_without_a_value_an_error() -> None:
    nobody = PatientResources(patient="9")
    assert sample_request(nobody, {"patient": "Patient/{{context.patientId}}"}, at=NOON)["prefetch"] == {
        "patient": None
    }
    with pytest.raises(SearchError, match="a token cannot be filled"):
        sample_request(nobody, {"stay": "Encounter/{{context.encounterId}}"}, at=NOON)


def test_files_are_read_gzipped_or_not_and_other_patients_left(tmp_path: Path) -> None:
    lines = [msgspec.json.encode(resource) for resource in (*RESOURCES[2:4], MEDICATION)]
    stranger = {**RESOURCES[2], "subject": {"reference": "Patient/2"}}
    (tmp_path / "a.ndjson").write_bytes(b"\n".join([lines[0], msgspec.json.encode(stranger), b""]))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b"\n".join([*lines[1:], b'{"resourceType":"Location"}'])))
    found = read_patients(sorted(tmp_path.iterdir()), ["1"])
    assert [held.resource["id"] for held in found["1"].held["Observation"]] == ["old", "new"]
    assert found["1"].answer("Medication/drug", at=NOON) == MEDICATION


def test_a_line_that_is_no_json_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.ndjson"
    path.write_bytes(b'{"resourceType":"Patient","id":"1"}\n{"resourceType":')
    with pytest.raises(SearchError, match=r"broken\.ndjson, line 2"):
        read_patients([path], ["1"])


def test_the_models_own_templates_are_answered_and_read(cohort_folder: Path) -> None:
    templates = prefetch_templates(SPEC.features, load_vocabulary())
    name = "synthetic-00002"
    resources = read_patients(sorted(cohort_folder.glob("*.ndjson")), [name])[name]
    start = resources.held["Encounter"][-1].dates.get("date")
    assert start is not None
    at = datetime.fromtimestamp(start.first / 1e6 + 30 * 3600, UTC)
    request = sample_request(resources, templates, at=at)
    reader = Reader(load_interpreter(), patient=name)
    for value in request["prefetch"].values():
        reader.read_searchset(msgspec.json.encode(value))
    events = reader.record().events
    assert set(templates) == set(request["prefetch"])
    assert {"age", "sex", "creatinine", "heart_rate"} <= set(events.concepts)
    assert events.known.max() <= at.timestamp() * 1e6
