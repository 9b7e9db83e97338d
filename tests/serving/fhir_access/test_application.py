"""The application as a site starts it: whom it lets read what, for both versions of CDS Hooks."""

# ruff: noqa: N802 - a test that holds a requirement carries its id

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from bedside.cli import app as command_line
from cds_hooks.errors import InvalidAnswer
from cds_hooks.request import decode_request
from cds_hooks.response import Action, CdsResponse
from cds_hooks.security.caller import Caller
from cds_hooks.templates import read_templates
from serving.app import ServedEntry, create_app
from serving.assess import AsOf, ServedModel
from serving.settings import Settings, SettingsError
from tests.cds_hooks.security import clients
from tests.conformance.client import cards, refused, strict_json
from tests.features.client.fake_server import FakeServer
from tests.fhir_builders import EMPTY, NOW, prefetch, request
from tests.hosts import Host
from tests.serving.access.hospital import raw
from tests.serving.fhir_access.server import ADDRESS, client_of, with_access, without
from tests.serving.test_clients import bearer, registrations

NEWER = f"/3.0{ADDRESS}"
UNDATED = "undated-observations"


def application(model: ServedModel, folder: Path, **settings: Any) -> FastAPI:
    entry = ServedEntry(model, folder / "no examples")
    return create_app(Settings(state=folder / "state", **settings), models={"tiny": entry})


def asked_of(
    app: FastAPI, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """One request, between the application's start and its end."""

    async def run() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://cds.example") as client,
        ):
            return await client.request(method, path, json=body, headers=headers)

    return asyncio.run(run())


def test_servers_that_the_site_lists_are_read_for_anybody(
    linear: ServedModel, fake: FakeServer, tmp_path: Path
) -> None:
    app = application(linear, tmp_path, fhir_servers=(fake.base,))
    assert cards(asked_of(app, "POST", ADDRESS, with_access(fake.base, prefetch=None))).cards
    assert len(fake.asked) == 6


def test_without_a_list_nobody_is_asked(linear: ServedModel, fake: FakeServer, tmp_path: Path) -> None:
    app = application(linear, tmp_path)
    refused(asked_of(app, "POST", ADDRESS, with_access(fake.base, prefetch=None)), 412)
    assert fake.asked == []


@pytest.mark.parametrize("path", [ADDRESS, NEWER], ids=["2.0", "3.0"])
def test_a_client_that_proves_to_be_one_has_its_own_servers_read(
    path: str, linear: ServedModel, fake: FakeServer, tmp_path: Path
) -> None:
    """Under either base URL, each of which is an audience of tokens."""
    listed = registrations(tmp_path, fhir_servers=[fake.base], networks=["127.0.0.1/32"])
    app = application(linear, tmp_path, clients=listed, public_url=clients.PUBLIC_URL)
    response = asked_of(app, "POST", path, with_access(fake.base, prefetch=None), bearer(path))
    assert cards(response).cards
    assert len(fake.asked) == (6 if path == ADDRESS else 7)


@pytest.mark.parametrize("path", ["/cds-services", "/3.0/cds-services"])
def test_without_a_token_no_base_url_answers(path: str, linear: ServedModel, tmp_path: Path) -> None:
    app = application(linear, tmp_path, clients=registrations(tmp_path), public_url=clients.PUBLIC_URL)
    assert asked_of(app, "GET", path).status_code == 401
    assert asked_of(app, "GET", path, headers=bearer(path)).status_code == 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fhir_servers": ("ftp://fhir.example",)}, "fhir_servers: got 'ftp://fhir.example'"),
        ({"fhir_servers": ("https://fhir.example",), "clients": Path("c.toml")}, "each client names its own"),
        ({"system_actions": True}, "system_actions: expected client registrations, got none"),
    ],
    ids=["no base URL", "beside registrations", "system actions without anybody who agreed"],
)
def test_settings_that_contradict_each_other_stop_the_start(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(state=tmp_path, **settings)


def services_at(app: FastAPI, path: str) -> list[dict[str, Any]]:
    response = asked_of(app, "GET", path)
    assert response.status_code == 200
    services: list[dict[str, Any]] = strict_json(response.content)["services"]
    return services


def test_P_05_P_07_each_version_has_templates_that_its_clients_understand(linear: ServedModel, tmp_path: Path) -> None:
    """Of one service under two base URLs: the standard negotiates no version, and lists an id once for each hook."""
    app = application(linear, tmp_path)
    (older,), (newer,) = services_at(app, "/cds-services"), services_at(app, "/3.0/cds-services")
    assert (older["version"], newer["version"]) == ("2.0.1", "3.0.0-ballot")
    assert {older["id"], newer["id"]} == {"tiny"}
    speak = [
        {template.version for template in read_templates(one["prefetch"], "patient-view").values()}
        for one in (older, newer)
    ]
    assert speak == [{"2.0"}, {"2.0", "3.0"}]
    assert "date=ge{{today() - 4 days}}" in newer["prefetch"]["observations"]
    assert UNDATED in newer["prefetch"]
    assert UNDATED not in older["prefetch"]


def test_a_version_is_called_where_it_was_discovered(host: Host) -> None:
    """A call with the keys of 3.0 lacks one for 3.0 if it has those of 2.0 alone."""
    newer = replace(host.services, version="3.0")

    async def run(body: object) -> httpx.Response:
        async with client_of(newer) as client:
            return await client.post(ADDRESS, json=body)

    issue = refused(asyncio.run(run(request())), 412)
    assert f"unusable: {UNDATED} (not sent)." in issue["diagnostics"]
    whole = request(prefetch=prefetch() | {UNDATED: EMPTY})
    assert cards(asyncio.run(run(whole))).cards[0].detail == host.card(request()).detail


def test_X_08_a_query_of_version_3_is_filled_with_the_day_of_the_call(
    linear: ServedModel, fake: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.app._now", lambda: NOW)
    app = application(linear, tmp_path, fhir_servers=(fake.base,))
    body = with_access(fake.base, prefetch=without("observations") | {UNDATED: EMPTY})
    assert cards(asked_of(app, "POST", NEWER, body)).cards
    (asked,) = fake.asked
    assert asked.query["date"] == ["ge2026-03-10"]


@pytest.mark.parametrize(("as_of", "status"), [("clock", 200), ("latest-observation", 404)])
def test_a_server_that_answers_as_of_long_ago_has_no_queries_that_count_from_today(
    as_of: AsOf, status: int, linear: ServedModel, tmp_path: Path
) -> None:
    app = application(linear, tmp_path, as_of=as_of)
    assert asked_of(app, "GET", "/3.0/cds-services").status_code == status


AGREED = {
    "both": (True, True, True),
    "the site alone": (True, False, False),
    "the client alone": (False, True, False),
    "neither": (False, False, False),
    "the site, and nobody is known": (True, None, False),
}


@pytest.mark.parametrize(("site", "client", "sent"), AGREED.values(), ids=AGREED)
def test_Y_02_Y_03_system_actions_leave_where_site_and_client_agreed_to_them(
    *, site: bool, client: bool | None, sent: bool, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As no model of ours has any, the answer is given one here."""
    deletion = Action(type="delete", resource_id="ServiceRequest/s1")
    monkeypatch.setattr(
        "serving.services.CdsResponse", lambda cards: CdsResponse(cards=cards, system_actions=(deletion,))
    )
    agreed = {} if client is None else {"system_actions": client}
    (registration,) = clients.registered(tmp_path, clients.client(services=["tiny"], **agreed))
    caller = None if client is None else Caller(registration=registration, tenant=None)
    services = replace(host.services, system_actions=site)
    called = services.call("tiny", decode_request(bytes(raw(request()))), {}, caller)
    if sent:
        answer = strict_json(asyncio.run(called))
        assert answer["systemActions"] == [{"type": "delete", "resourceId": "ServiceRequest/s1"}]
    else:
        with pytest.raises(InvalidAnswer, match="this site has not switched them on"):
            asyncio.run(called)


def test_a_registration_agrees_to_no_system_actions_unless_it_says_so(tmp_path: Path) -> None:
    (registration,) = clients.registered(tmp_path, clients.client())
    assert not registration.system_actions


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--fhir-server", "ftp://fhir.example"), "fhir_servers: got 'ftp://fhir.example'"),
        (("--system-actions",), "system_actions: expected client registrations"),
    ],
)
def test_the_command_line_hands_the_settings_on(option: tuple[str, ...], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(command_line, ["serve", "--state", str(tmp_path / "state"), *option])
    assert result.exit_code == 1
    assert said in " ".join(result.stderr.split())
