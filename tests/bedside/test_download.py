"""`bedside download`: a hospital's bulk export becomes a folder that `bedside extract` reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bedside.cli import app
from features.files.provenance import noted_version
from tests.features.client.fake_server import FakeServer, fake_server, json
from tests.features.client.hospital import KICK_OFF, stage, whole


@pytest.fixture
def hospital() -> Iterator[FakeServer]:
    with fake_server() as server:
        stage(server)
        server.on("/fhir/metadata", json({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}))
        yield server


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["download", *arguments])
    return result.exit_code, " ".join((result.output + result.stderr).split())


def test_an_export_is_downloaded_and_told(hospital: FakeServer, tmp_path: Path) -> None:
    """The files, what the server said of its own export, the FHIR version and the time up to which it holds."""
    code, said = run(hospital.base, str(tmp_path / "export"))
    assert code == 0, said
    assert "2 files" in said
    assert "FHIR 4.0.1, of 2024-05-01T00:00:00Z" in said
    assert "error 2" in said
    assert "another number of resources than the server says" in said
    assert whole(tmp_path / "export")


def test_only_types_that_are_read_are_asked_for(hospital: FakeServer, tmp_path: Path) -> None:
    run(hospital.base, str(tmp_path / "all"))
    (asked,) = hospital.at(KICK_OFF)
    types = asked.query["_type"][0].split(",")
    assert {"Patient", "Observation", "Encounter", "DiagnosticReport"} <= set(types)
    assert "OperationOutcome" not in types
    run(hospital.base, str(tmp_path / "some"), "--resource", "Patient", "--since", "2024-01-01")
    assert hospital.at(KICK_OFF)[1].query["_type"] == ["Patient"]
    assert hospital.at(KICK_OFF)[1].query["_since"] == ["2024-01-01T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["ftp://hospital.example"], "ftp", id="no URL of a FHIR server"),
        pytest.param(["https://hospital.example", "--client-id", "x"], "both --client-id and --key-file", id="no key"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    url, *more = arguments
    code, said = run(url, str(tmp_path / "export"), *more)
    assert code == 1
    assert message in said
    assert not (tmp_path / "export").exists()


def test_a_server_without_bulk_export_is_named(tmp_path: Path) -> None:
    with fake_server() as server:
        code, said = run(server.base, str(tmp_path / "export"))
    assert code == 1
    assert "/metadata" in said


def test_the_folder_knows_the_version_of_its_server(hospital: FakeServer, tmp_path: Path) -> None:
    """So that `bedside extract` and `bedside inspect` need not be told, and never guess."""
    hospital.on("/fhir/metadata", json({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}))
    run(hospital.base, str(tmp_path / "export"))
    assert noted_version(tmp_path / "export") == "R5"


def test_a_server_of_another_version_is_refused_before_anything_is_fetched(
    hospital: FakeServer, tmp_path: Path
) -> None:
    hospital.on("/fhir/metadata", json({"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"}))
    code, said = run(hospital.base, str(tmp_path / "export"))
    assert code == 1
    assert "Expected FHIR R4 (4.0), R4B (4.3) or R5 (5.0), got '3.0.2'" in said
    assert hospital.at(KICK_OFF) == []
