"""The examples of the sepsis model: requests as an EHR sends them, the same at every run, blemishes and all."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cds_hooks.request import decode_request
from features.refusals import Reason
from features.times import microseconds
from models.catalog import find
from serving.assess import Assessment, ServedModel, serve
from serving.prefetched import assess_request
from serving.samples import Example
from training.synthetic.intensive_care import NOW, PATIENTS, write_examples

NAMES = tuple(patient.id for patient in PATIENTS)


@pytest.fixture(scope="module")
def served() -> ServedModel:
    return serve(find("sepsis"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("examples")
    write_examples(path)
    return path


def without_links(value: Any) -> Any:
    if isinstance(value, list):
        return [without_links(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_links(item) for name, item in value.items() if name != "link"}


def assessed(served: ServedModel, folder: Path, name: str) -> Assessment:
    example = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Example)
    request = decode_request(msgspec.json.encode(example.request))
    return assess_request(served, request, now=microseconds(NOW), as_of="latest-observation")


def test_there_is_one_example_for_each_patient(folder: Path) -> None:
    assert sorted(path.stem for path in folder.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_released_examples_are_what_this_writes(folder: Path, name: str) -> None:
    """But for the links of the searches, which name the vocabulary's codes of the day."""
    released, written = ((path / f"{name}.json").read_bytes() for path in (find("sepsis").examples, folder))
    assert without_links(msgspec.json.decode(released)) == without_links(msgspec.json.decode(written))


@pytest.mark.parametrize("name", NAMES)
def test_every_run_writes_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    write_examples(tmp_path)
    assert (tmp_path / f"{name}.json").read_bytes() == (folder / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_request_for_what_discovery_asks(served: ServedModel, folder: Path, name: str) -> None:
    example = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Example)
    assert example.request["hook"] == "patient-view"
    assert set(example.request["prefetch"]) == set(served.templates)
    assert example.request["context"]["patientId"] == name
    assert example.title
    assert example.note


@pytest.mark.parametrize("name", NAMES)
def test_no_value_is_lost_but_the_blemishes(served: ServedModel, folder: Path, name: str) -> None:
    expected = {
        "4-missing": {
            (Reason.UNIT_UNKNOWN, "lactate"): 1,
            (Reason.STATUS, "creatinine"): 1,
            (Reason.OTHER_PATIENT, None): 1,
        }
    }.get(name, {})
    refused = {(one.reason, one.concept): one.count for one in assessed(served, folder, name).evidence.refusals}
    assert refused == expected


def test_only_the_patient_with_too_little_data_gets_no_estimate(served: ServedModel, folder: Path) -> None:
    scored = {name: assessed(served, folder, name).scored for name in NAMES}
    assert [name for name, one in scored.items() if one is None] == ["5-too-little"]
    low, raised, high = (scored[name] for name in ("1-low", "2-raised", "3-high"))
    assert low is not None
    assert raised is not None
    assert high is not None
    assert low.probability < raised.probability < high.probability


def test_every_patient_is_marked_as_invented(folder: Path) -> None:
    for name in NAMES:
        example = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Example)
        (label,) = example.request["prefetch"]["patient"]["meta"]["security"]
        assert label["code"] == "HTEST"
