"""The application: what can be known at start is known at start, and what was opened is closed."""

import asyncio
import dataclasses
import gc
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

import serving.app
from models.bundle import BundleError
from models.catalog import CatalogEntry, UnknownModelError
from serving.app import create_app, load_models
from serving.journal import JournalUnavailable
from serving.pseudonym import PseudonymKeyError
from serving.settings import Settings, SettingsError
from tests.conformance.client import Client, cards, failed, refused, strict_json
from tests.fhir_builders import request

WRITER = "journal-writer"


@pytest.fixture(autouse=True)
def only_tiny(tiny: CatalogEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogEntry:
    """A catalog of the tiny model alone, in a folder of this test's own."""
    folder = tmp_path / "models" / "tiny"
    shutil.copytree(tiny.folder, folder)
    entry = dataclasses.replace(tiny, folder=folder)

    def find(model_id: str) -> CatalogEntry:
        if model_id != entry.spec.id:
            raise UnknownModelError(f"Expected one of the models ['tiny'], got {model_id!r}.")
        return entry

    monkeypatch.setattr(serving.app, "catalog", lambda: iter((entry,)))
    monkeypatch.setattr(serving.app, "find", find)
    return entry


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state", as_of="latest-observation")


def writers() -> int:
    return sum(thread.name == WRITER for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def every_journal_is_closed() -> Iterator[None]:
    before = writers()
    yield
    assert writers() == before


async def started(app: FastAPI, *calls: tuple[str, str, Any]) -> list[Any]:
    """What the application answers between its start and its end."""
    async with app.router.lifespan_context(app):
        client = Client(app)
        return [await asyncio.to_thread(client.send, *call) for call in calls]


def run(app: FastAPI, *calls: tuple[str, str, Any]) -> list[Any]:
    return asyncio.run(started(app, *calls))


def test_the_application_serves_discovery_cards_and_pages(settings: Settings) -> None:
    discovery, answer, page, facts = run(
        create_app(settings),
        ("GET", "/cds-services", None),
        ("POST", "/cds-services/tiny", request()),
        ("GET", "/", None),
        ("GET", "/models/tiny", None),
    )
    assert [service["id"] for service in strict_json(discovery.content)["services"]] == ["tiny"]
    (card,) = cards(answer).cards
    assert card.source.url == "http://127.0.0.1:8000/models/tiny"
    assert "Trouble in the next 12 h" in page.text
    assert "A model for tests" in facts.text


def test_the_state_folder_gets_the_journal_and_a_key_that_stays(settings: Settings) -> None:
    run(create_app(settings), ("POST", "/cds-services/tiny", request()))
    assert {path.name for path in settings.state.iterdir()} >= {"journal.db", "pseudonym.key"}
    key = (settings.state / "pseudonym.key").read_bytes()
    run(create_app(settings))
    assert (settings.state / "pseudonym.key").read_bytes() == key


def test_the_end_of_the_application_closes_the_journal_and_thaws_the_collector(settings: Settings) -> None:
    app = create_app(settings)

    async def writers_while_serving() -> int:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(Client(app).send, "POST", "/cds-services/tiny", request())
            return writers()

    assert writers() == 0  # no thread before the first entry: workers are forked from here
    assert asyncio.run(writers_while_serving()) == 1
    assert writers() == 0
    assert gc.get_freeze_count() == 0


def test_a_fault_while_it_runs_closes_the_journal_too(settings: Settings) -> None:
    app = create_app(settings)

    async def fail() -> None:
        async with app.router.lifespan_context(app):
            raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        asyncio.run(fail())
    assert writers() == 0


def test_a_damaged_bundle_fails_at_start(settings: Settings, only_tiny: CatalogEntry) -> None:
    (only_tiny.folder / "bundle" / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"bundle/model\.onnx: its SHA-256 is"):
        create_app(settings)
    assert not settings.state.exists()


def test_an_example_that_is_none_fails_at_start(settings: Settings, only_tiny: CatalogEntry) -> None:
    only_tiny.examples.mkdir()
    (only_tiny.examples / "1.json").write_text("{}")
    with pytest.raises(ValueError, match=r"^1\.json: expected an example"):
        create_app(settings)


def test_a_key_that_is_too_short_fails_at_start(settings: Settings) -> None:
    settings.state.mkdir()
    (settings.state / "pseudonym.key").write_bytes(b"short")
    with pytest.raises(PseudonymKeyError):
        create_app(settings)


def test_a_journal_that_cannot_be_opened_fails_at_start(settings: Settings) -> None:
    with pytest.raises(JournalUnavailable, match="A journal needs a plain file"):
        create_app(dataclasses.replace(settings, journal_url="sqlite://"))


def test_a_service_that_cannot_be_described_fails_at_start(
    settings: Settings, only_tiny: CatalogEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The title is no part of the fingerprint: the bundle loads, the discovery document cannot be."""
    untitled = dataclasses.replace(only_tiny, spec=dataclasses.replace(only_tiny.spec, title=""))
    monkeypatch.setattr(serving.app, "catalog", lambda: iter((untitled,)))
    with pytest.raises(ValueError, match="title: expected text, got an empty string"):
        create_app(settings)


def test_a_given_bundle_takes_the_place_of_the_released_one_with_its_own_examples(
    settings: Settings, bundle_copy: Path
) -> None:
    examples = bundle_copy.parent / "examples"
    examples.mkdir()
    (examples / "1-low.json").write_text(json.dumps({"title": "Low", "note": "N", "request": request()}))
    ((model_id, (served, folder)),) = load_models(dataclasses.replace(settings, bundles=(bundle_copy,)))
    assert (model_id, served.bundle.path, folder) == ("tiny", bundle_copy, examples)
    app = create_app(dataclasses.replace(settings, bundles=(bundle_copy,)))
    (sample,) = run(app, ("GET", "/api/samples/tiny/1-low", None))
    assert sample.json() == request()


def test_a_model_without_any_bundle_is_not_served(only_tiny: CatalogEntry, settings: Settings) -> None:
    shutil.rmtree(only_tiny.folder / "bundle")
    assert list(load_models(settings)) == []


def test_two_bundles_of_one_model_are_refused(settings: Settings, bundle_copy: Path) -> None:
    twice = dataclasses.replace(settings, bundles=(bundle_copy, bundle_copy))
    with pytest.raises(SettingsError, match="bundles: expected one bundle of each model, got two of tiny"):
        create_app(twice)


@pytest.mark.parametrize(
    ("manifest", "error", "message"),
    [
        pytest.param(None, BundleError, "expected a bundle directory with manifest.json", id="no manifest"),
        pytest.param("[]", BundleError, "expected a bundle directory with manifest.json", id="no object"),
        pytest.param('{"model_id": "other"}', UnknownModelError, r"one of the models \['tiny'\]", id="another model"),
    ],
)
def test_a_directory_that_is_no_bundle_of_a_known_model_is_refused(
    manifest: str | None, error: type[Exception], message: str, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    with pytest.raises(error, match=message):
        create_app(dataclasses.replace(settings, bundles=(folder,)))


def test_starting_and_answering_says_nothing_at_warning_or_above(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    run(create_app(settings), ("POST", "/cds-services/tiny", request()))
    assert caplog.records == []


def test_a_start_says_what_explains_each_model(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """In the lifespan: before it, the log of a server is not set up yet."""
    app = create_app(settings)
    caplog.set_level(logging.INFO, logger="bedside.app")
    run(app)
    (record,) = (each for each in caplog.records if each.name == "bedside.app")
    assert record.getMessage().startswith("tiny is explained by ")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/nowhere", 404, "not-found", None),
        ("GET", "/docs", 404, "not-found", None),
        ("GET", "/models/tiny/", 404, "not-found", None),  # no redirect, which would lead to the host that was named
        ("POST", "/", 405, "not-supported", "GET"),
    ],
)
def test_what_is_neither_service_nor_page_is_refused_with_an_outcome_too(
    method: str, path: str, status: int, code: str, allow: str | None, settings: Settings
) -> None:
    (answer,) = run(create_app(settings), (method, path, None))
    assert refused(answer, status)["code"] == code
    assert (allow is None) == ("allow" not in answer.headers)
    assert allow is None or allow in answer.headers["allow"]


def test_a_fault_outside_of_the_services_tells_nothing_of_itself(settings: Settings) -> None:
    app = create_app(settings)

    async def broken(_: Request) -> Response:
        raise LookupError("CANARY")

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="https://cds.example") as client,
        ):
            return await client.get("/broken")

    app.add_route("/broken", broken)
    response = asyncio.run(answer())
    failed(response, 500)
    assert "CANARY" not in response.text
