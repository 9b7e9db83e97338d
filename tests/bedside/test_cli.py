"""The command: what it prints, what it writes, and how it fails."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bedside.cli import app
from bedside.commands import console
from features.vocabulary.units import load_converter
from tests.fhir_builders import observation, patient
from training.readers.fhir_ndjson import read_record
from training.store import read_events

EXAMPLES = Path(__file__).parents[2] / "models" / "sepsis" / "examples"
run = CliRunner().invoke


@pytest.fixture
def fhir(tmp_path: Path) -> Path:
    """A folder with one patient and two heart rates."""
    folder = tmp_path / "fhir"
    folder.mkdir()
    lines = [patient(), observation("heart_rate", 80, 2, id="a"), observation("heart_rate", 90, 1, id="b")]
    (folder / "records.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("verb", ["serve", "train", "extract", "card", "conform", "demo", "bundle"])
def test_every_verb_tells_what_it_does(verb: str) -> None:
    assert verb in run(app, ["--help"]).output
    assert run(app, [verb, "--help"]).exit_code == 0


def test_extract_writes_the_events_that_were_read(fhir: Path, tmp_path: Path) -> None:
    result = run(app, ["extract", str(fhir), str(tmp_path / "events"), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "4 events and 0 stays of 1 patients" in " ".join(result.output.split())
    found, (expected, _) = read_events(tmp_path / "events"), read_record(fhir, lambda *_: None)
    assert (found.patients, found.concepts) == (expected.events.patients, expected.events.concepts)
    assert found.value.tolist() == expected.events.value.tolist()
    assert found.time.tolist() == expected.events.time.tolist()
    assert set(found.concepts) <= {concept.id for concept in load_converter().vocabulary}


def test_extract_tells_what_was_refused_and_ignored(fhir: Path, tmp_path: Path) -> None:
    (fhir / "notes.txt").write_text("no FHIR", encoding="utf-8")
    (fhir / "more.ndjson").write_text('{"resourceType": "Organization"}\n', encoding="utf-8")
    result = run(app, ["extract", str(fhir), str(tmp_path / "events"), "--workers", "1"])
    assert "refused 1 resource-not-read Organization" in " ".join(result.output.split())
    assert "ignored notes.txt: no FHIR JSON" in " ".join(result.output.split())


def test_extract_names_broken_lines_and_writes_nothing(fhir: Path, tmp_path: Path) -> None:
    with (fhir / "records.ndjson").open("a", encoding="utf-8") as file:
        file.write('{"resourceType": "Observation", "status": \n')
    target = tmp_path / "events"
    result = run(app, ["extract", str(fhir), str(target), "--workers", "1"])
    assert result.exit_code == 1
    assert "records.ndjson:4" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fhir"]
    result = run(app, ["extract", str(fhir), str(target), "--workers", "1", "--keep-going"])
    assert result.exit_code == 0
    assert "left out: 1 line is not FHIR JSON: records.ndjson:4" in " ".join(result.output.split())
    assert len(read_events(target)) == 4  # two heart rates, a birth and a sex


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "gout", "--data", "fhir:nowhere"], "Expected one of the models"),
        (["train", "sepsis", "--data", "excel:nowhere"], "Expected data as KIND:PATH"),
        (["train", "sepsis", "--data", "physionet2019:nowhere"], "expected a folder with set_a.parquet"),
        (["extract", "nowhere", "events", "--workers", "1"], "expected a FHIR NDJSON file"),
        (["extract", str(EXAMPLES), "nowhere/events"], "expected a folder that is there"),
        (["extract", str(EXAMPLES), str(EXAMPLES)], "expected a path where nothing is yet"),
        (["extract", str(EXAMPLES), "events", "--memory", "much"], "Expected an amount of memory"),
        (["extract", str(EXAMPLES), "events", "--fhir-version", "R3"], "Expected FHIR R4"),
        (["extract", str(EXAMPLES), "events", "--scheduler", "nowhere"], "expected a Dask scheduler"),
        (["demo", "--language", "fr"], "language: expected one of"),
        (["card", "nowhere.json"], "No such file"),
        (["card", str(EXAMPLES / "1-low.json"), "--language", "fr"], "language: expected one of"),
        (["card", str(EXAMPLES / "1-low.json"), "--service", "gout"], "Expected one of the models"),
        (["serve", "--bundle", "nowhere"], "expected a bundle directory"),
        (["serve", "--timezone", "Middle/Earth"], "expected a time zone"),
    ],
)
def test_a_fault_is_one_sentence_and_a_status(arguments: list[str], expected: str, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "state")] if arguments[0] in {"train", "serve", "demo"} else []
    result = run(app, [*arguments, *state])
    assert result.exit_code == 1
    assert expected in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments", [["train", "sepsis", "--data", "fhir:x"], ["extract", "x", "y"], ["demo"]], ids=lambda it: it[0]
)
def test_a_server_installation_says_what_training_needs(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "find_spec", lambda name: None if name == "lightgbm" else object())
    result = run(app, arguments)
    assert result.exit_code == 1
    assert "needs lightgbm: pip install 'bedside[training]'" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("example", "expected"),
    [("3-high", "Sepsis risk in the next 6 h"), ("5-too-little", "no estimate, data are missing")],
)
def test_card_prints_what_a_clinician_would_read(example: str, expected: str) -> None:
    result = run(app, ["card", str(EXAMPLES / f"{example}.json")])
    assert result.exit_code == 0, result.output
    assert expected in " ".join(result.output.replace("│", " ").split())


def test_card_refuses_a_request_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text('{"hook": "patient-view"}', encoding="utf-8")
    result = run(app, ["card", str(tmp_path / "request.json")])
    assert result.exit_code == 1
    assert "hookInstance" in result.stderr


def test_serve_refuses_a_pseudonym_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_bytes(b"short")
    result = run(app, ["serve", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert "pseudonym.key" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("port", ["0", "65536"])
@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_port_that_there_is_not_is_refused(verb: str, port: str, tmp_path: Path) -> None:
    result = run(app, [verb, "--port", port, "--state", str(tmp_path / "state")])
    assert result.exit_code == 2
    assert "--port" in result.stderr
    assert not (tmp_path / "state").exists()
