"""Sample patients: files beside a bundle, in order; what is no example is refused by name."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.pages import Sample
from serving.samples import load_samples, moved
from tests.fhir_builders import observation, patient, request


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


def test_samples_come_in_the_order_of_their_file_names(tmp_path: Path) -> None:
    write(tmp_path, "2-high.json", {"title": "High", "note": "See why.", "request": request()})
    write(tmp_path, "1-low.json", {"title": "Low", "note": "", "request": {"hook": "Grüße"}})
    write(tmp_path, "README.md", "not an example")
    low, high = load_samples(tmp_path)
    assert low == Sample(id="1-low", title="Low", note="", request='{"hook":"Grüße"}'.encode())
    assert high.id == "2-high"
    assert json.loads(high.request) == request()


def test_a_folder_that_is_not_there_has_no_samples(tmp_path: Path) -> None:
    assert load_samples(tmp_path / "examples") == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "Input data was truncated", id="not JSON"),
        pytest.param([], "Expected `object`", id="a list"),
        pytest.param({"title": "T", "note": "N"}, "missing required field `request`", id="no request"),
        pytest.param({"title": "T", "note": "N", "request": []}, "Expected `object`, got `array`", id="a list inside"),
        pytest.param(
            {"title": "T", "note": "N", "request": {}, "card": {}}, "unknown field `card`", id="an unknown field"
        ),
    ],
)
def test_a_file_that_is_no_example_is_refused_by_name(content: object, message: str, tmp_path: Path) -> None:
    write(tmp_path, "1.json", content)
    with pytest.raises(ValueError, match=rf"^1\.json: expected an example with title, note and request: .*{message}"):
        load_samples(tmp_path)


def test_a_moved_sample_was_measured_just_now_and_keeps_its_distances() -> None:
    resources = [
        observation("heart_rate", 80, 3, id="a"),
        observation("heart_rate", 90, 1, id="b"),
        {"resourceType": "Condition", "recordedDate": "2022-02-11"},
        patient(),
    ]
    request = {"hook": "patient-view", "prefetch": {"all": [{"resource": resource} for resource in resources]}}
    sample = Sample(id="s", title="s", note="", request=json.dumps(request).encode())
    to = datetime(2031, 7, 1, 12, tzinfo=UTC)
    first, second, condition, person = (
        entry["resource"] for entry in json.loads(moved(sample, to=to).request)["prefetch"]["all"]
    )
    assert datetime.fromisoformat(second["effectiveDateTime"]) == to
    assert datetime.fromisoformat(first["effectiveDateTime"]) == to - timedelta(hours=2)
    assert condition == {"resourceType": "Condition", "recordedDate": "2022-02-11"}
    assert person == patient()


def test_a_sample_without_a_measurement_stays_where_it_is() -> None:
    sample = Sample(id="s", title="s", note="", request=b'{"hook": "patient-view", "prefetch": null}')
    assert moved(sample, to=datetime(2031, 7, 1, tzinfo=UTC)) == sample
