"""The application with registrations: who is let in, what the journal says of it, which mistakes stop the start."""

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from cds_hooks.security.errors import RegistrationError
from models.catalog import CatalogEntry
from serving.app import ServedEntry, create_app
from serving.assess import ServedModel
from serving.clients import USED_TOKENS
from serving.journal import Journal
from serving.settings import Settings, SettingsError
from tests.cds_hooks.security.clients import ISSUER, PUBLIC_URL, client, ec_key, encoded, signed, toml_keys
from tests.conformance.client import Client, cards, failed
from tests.fhir_builders import request
from tests.serving.journal_examples import url

ORIGIN = "https://app.ehr.example"
CALL = "/cds-services/tiny"
OUTCOME = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-03-14T09:40:00Z"}

Ask = tuple[str, str, Any, Mapping[str, str]]


def registrations(folder: Path, **changes: Any) -> Path:
    """A file with the client ward-ehr, whose key is in the file."""
    fields = {"services": ["tiny"], "cors_origins": [ORIGIN]} | changes
    file = folder / "clients.toml"
    text = client(**fields).replace('jwks_url = "https://ehr.example/keys"', toml_keys(ec_key()))
    file.write_text(f"[[client]]\n{text}\n", encoding="utf-8")
    return file


@pytest.fixture
def models(tiny: CatalogEntry, trees: ServedModel) -> dict[str, ServedEntry]:
    return {"tiny": ServedEntry(trees, tiny.examples)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state=tmp_path / "state",
        public_url=PUBLIC_URL,
        clients=registrations(tmp_path),
        as_of="latest-observation",
    )


def bearer(path: str, **changes: Any) -> dict[str, str]:
    """The header with a token that is good for one request of this path, now."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": PUBLIC_URL + path, "iat": now, "exp": now + 60, "jti": str(uuid4())}
    return {"authorization": f"Bearer {signed(body=claims | changes)}", "origin": ORIGIN}


def run(app: FastAPI, *asks: Ask) -> list[httpx.Response]:
    """What the application answers between its start and its end; all within one event loop, as in a server."""

    async def go() -> list[httpx.Response]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client,
        ):
            return [
                await client.request(method, path, json=body, headers=headers) for method, path, body, headers in asks
            ]

    return asyncio.run(go())


def test_a_registered_client_is_answered_and_the_journal_names_it(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    discovery, answer, feedback = run(
        create_app(settings, models=models),
        ("GET", "/cds-services", None, bearer("/cds-services")),
        ("POST", CALL, request(), bearer(CALL, tenant="north")),
        ("POST", f"{CALL}/feedback", {"feedback": [OUTCOME]}, bearer(f"{CALL}/feedback")),
    )
    assert (discovery.status_code, feedback.status_code) == (200, 200)
    assert len(cards(answer).cards) == 1
    with Journal.open(url(settings.state / "journal.db")) as journal:
        (call,) = journal.calls()
        (outcome,) = journal.feedback_for("c")
        assert (call.status, call.client, call.tenant) == ("card", "ward-ehr", "north")
        assert (outcome.entry.client, outcome.entry.tenant) == ("ward-ehr", None)
        assert journal.refusals() == ()


def test_a_call_that_fails_is_journalled_with_its_client(settings: Settings, models: dict[str, ServedEntry]) -> None:
    (answer,) = run(create_app(settings, models=models), ("POST", CALL, request(prefetch=None), bearer(CALL)))
    failed(answer, 412)
    with Journal.open(url(settings.state / "journal.db")) as journal:
        (call,) = journal.calls()
    assert (call.http_status, call.client) == (412, "ward-ehr")


def test_who_is_not_let_in_is_counted_and_nothing_of_the_request_is_kept(
    settings: Settings, models: dict[str, ServedEntry], caplog: pytest.LogCaptureFixture
) -> None:
    used, forged = bearer(CALL, jti="CANARY-jti"), bearer(CALL, iss="https://CANARY.example/", jti="CANARY-forged")
    with caplog.at_level(logging.DEBUG):
        answers = run(
            create_app(settings, models=models),
            ("POST", CALL, request(), used),
            ("POST", CALL, request(), used),
            ("POST", CALL, request(), forged),
            ("POST", CALL, request(), {}),
            ("POST", CALL, [], bearer(CALL)),
        )
    assert [answer.status_code for answer in answers] == [200, 401, 401, 401, 400]
    with Journal.open(url(settings.state / "journal.db")) as journal:
        assert [(each.http_status, each.count, each.client) for each in journal.refusals()] == [
            (400, 1, "ward-ehr"),
            (401, 3, None),
        ]
        assert len(journal.calls()) == 1
    said = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    kept = b"".join(path.read_bytes() for path in settings.state.glob("*.db*"))
    for token in (used["authorization"], forged["authorization"]):
        _, claims, signature = token.split(".")
        assert claims not in said
        assert signature not in said
        assert signature.encode() not in kept
        assert encoded(signature.encode()) not in kept
    assert "CANARY" not in said
    assert b"CANARY" not in kept
    assert [vars(record)["reason"] for record in caplog.records if record.message == "client_refused"] == [
        "used before",
        "issuer or tenant not registered",
        "no token",
    ]


def test_a_token_used_in_one_process_is_used_in_the_next(settings: Settings, models: dict[str, ServedEntry]) -> None:
    """The applications share what two workers share: the state folder."""
    token = bearer(CALL)
    (first,) = run(create_app(settings, models=models), ("POST", CALL, request(), token))
    (second,) = run(create_app(settings, models=models), ("POST", CALL, request(), token))
    assert (first.status_code, second.status_code) == (200, 401)


def test_the_end_of_the_application_leaves_no_thread_of_its_clients(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    before = set(threading.enumerate())
    app = create_app(settings, models=models)
    assert set(threading.enumerate()) == before  # workers are forked from here
    (answer,) = run(app, ("GET", "/cds-services", None, bearer("/cds-services")))
    assert answer.status_code == 200
    assert [thread.name for thread in set(threading.enumerate()) - before if "asyncio" not in thread.name] == []


def test_pages_of_registered_origins_may_call_and_frame_model_facts_and_no_others(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    app = create_app(settings, models=models)
    preflight, stranger, facts, home = run(
        app,
        ("OPTIONS", CALL, None, {"origin": ORIGIN}),
        ("OPTIONS", CALL, None, {"origin": "https://other.example"}),
        ("GET", "/models/tiny", None, {}),
        ("GET", "/", None, {}),
    )
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in stranger.headers
    assert facts.headers["content-security-policy"].endswith(f"frame-ancestors {ORIGIN}")
    assert home.headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_a_registration_for_a_service_that_is_not_there_stops_the_start(
    settings: Settings, models: dict[str, ServedEntry], tmp_path: Path
) -> None:
    file = registrations(tmp_path, services=["tiny", "sepsys"])
    with pytest.raises(RegistrationError, match=r"ward-ehr: services: expected ids of \['tiny'\], got \['sepsys'\]"):
        create_app(dataclasses.replace(settings, clients=file), models=models)


def test_registrations_that_are_not_there_stop_the_start(settings: Settings, models: dict[str, ServedEntry]) -> None:
    with pytest.raises(RegistrationError, match=r"missing\.toml: cannot be read"):
        create_app(dataclasses.replace(settings, clients=Path("missing.toml")), models=models)


def test_a_file_of_used_tokens_that_cannot_be_made_stops_the_start(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    (settings.state / USED_TOKENS).mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"state: .*used-tokens\.db: the file of used tokens cannot be made"):
        create_app(settings, models=models)


def test_without_registrations_a_token_is_no_matter_and_origins_are_the_settings(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    app = create_app(dataclasses.replace(settings, clients=None, cors_origins=(ORIGIN,)), models=models)
    answer = Client(app).send("GET", "/cds-services", None, {"authorization": "Bearer x.y.z", "origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    asyncio.run(_started_and_ended(app))


async def _started_and_ended(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        pass


def test_production_has_no_sample_patients_and_tells_browsers_to_use_tls(
    settings: Settings, models: dict[str, ServedEntry]
) -> None:
    production = dataclasses.replace(
        settings, environment="production", as_of="clock", behind_proxy=True, bundle_key=Path("bundles.pub")
    )
    home, facts, *simulator = run(
        create_app(production, models=models),
        ("GET", "/", None, {}),
        ("GET", "/models/tiny", None, {}),
        ("GET", "/api/services", None, {}),
        ("GET", "/api/samples/tiny/1-low", None, {}),
        ("POST", "/api/render", {}, {}),
    )
    assert (home.status_code, facts.status_code) == (200, 200)
    assert [answer.status_code for answer in simulator] == [404, 404, 404]
    for page in (home, facts):
        assert "<script" not in page.text
        assert "sample" not in page.text.lower()
        assert page.headers["strict-transport-security"] == "max-age=31536000"
