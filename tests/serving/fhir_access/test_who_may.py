"""For whom which FHIR server is read: what the client's registration lists, and nothing that it does not."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cds_hooks.errors import MissingData
from cds_hooks.request import decode_request
from cds_hooks.security.caller import Caller
from cds_hooks.security.urls import UrlError
from serving.access import NOWHERE, Sources
from serving.access.access import Access
from serving.access.anybody import listed
from tests.cds_hooks.security import clients
from tests.conformance.client import cards, refused
from tests.features.client.fake_server import FakeServer
from tests.hosts import Host
from tests.serving.access.hospital import NOBODY, raw
from tests.serving.access.slow_servers import slow_servers
from tests.serving.fhir_access.server import ADDRESS, Server, client_of, no_name, with_access, without

NOT_LISTED = "the FHIR server is none that this service may ask for this client"


def test_a_server_that_is_not_listed_is_never_asked_and_the_prefetch_alone_must_do(
    server: Server, fake: FakeServer, elsewhere: FakeServer
) -> None:
    assert cards(server.post(with_access(elsewhere.base))).cards
    issue = refused(server.post(with_access(elsewhere.base, prefetch=without("conditions"))), 412)
    assert f"conditions (not sent; {NOT_LISTED})" in issue["diagnostics"]
    assert fake.asked == elsewhere.asked == []


@pytest.mark.parametrize("with_list", [False, True], ids=["by default", "with others listed"])
def test_no_packet_leaves_for_a_server_that_is_not_listed(host: Host, fake: FakeServer, *, with_list: bool) -> None:
    """A socket that accepts whoever comes sees nobody, not even a connection."""

    async def run() -> tuple[httpx.Response, int]:
        async with slow_servers(1) as (silent,):
            body = with_access(silent.base, prefetch=without("conditions"))
            if with_list:
                response = await Server(host, (fake.base,)).answer(body)
            else:
                assert host.services.sources is NOWHERE
                async with client_of(host.services) as client:
                    response = await client.post(ADDRESS, json=body)
            return response, silent.connections

    response, connections = asyncio.run(run())
    assert "conditions (not sent" in refused(response, 412)["diagnostics"]
    assert connections == 0


REGISTRATIONS: Mapping[str, tuple[dict[str, Any], str | None]] = {
    "lists it": ({}, None),
    "lists no server": ({"fhir_servers": []}, NOT_LISTED),
    "lists a name that leads to this machine": ({"fhir_servers": ["http://localhost:{port}/fhir"]}, NOT_LISTED),
    "agreed on scopes without it": (
        {"scopes": ["patient/Observation.rs"]},
        "its resource type is outside the scopes agreed with this client",
    ),
}


@pytest.mark.parametrize(("changes", "told"), REGISTRATIONS.values(), ids=REGISTRATIONS)
def test_a_registered_client_has_the_servers_of_its_registration_and_no_others(
    changes: dict[str, Any], told: str | None, server: Server, fake: FakeServer, tmp_path: Path
) -> None:
    """Not even those that anybody may name."""
    port = fake.base.rpartition(":")[2].partition("/")[0]
    fields = {"fhir_servers": [fake.base], "networks": ["127.0.0.1/32"], **changes}
    fields["fhir_servers"] = [url.format(port=port) for url in fields["fhir_servers"]]
    (registration,) = clients.registered(tmp_path, clients.client(**fields))
    request = decode_request(bytes(raw(with_access(fake.base, prefetch=without("conditions")))))

    async def run() -> bytes:
        access = Access(trusted=NOBODY)
        try:
            caller = Caller(registration=registration, tenant=None)
            return await server.services(access).call("tiny", request, {}, caller)
        finally:
            await access.close()

    if told is None:
        assert asyncio.run(run()).startswith(b'{"cards":[{')
    else:
        with pytest.raises(MissingData) as raised:
            asyncio.run(run())
        assert told in raised.value.message
    assert len(fake.asked) == (told is None)


def test_a_registered_name_is_resolved_and_must_lie_in_a_listed_network(
    server: Server, fake: FakeServer, tmp_path: Path
) -> None:
    """DNS rebinding: a name of the list that suddenly means this machine is not connected to."""
    base = fake.base.replace("127.0.0.1", "fhir.localhost")
    (registration,) = clients.registered(tmp_path, clients.client(fhir_servers=[base]))
    request = decode_request(bytes(raw(with_access(base, prefetch=without("conditions")))))
    resolved: list[str] = []

    async def resolve(name: str, _port: int) -> Sequence[str]:
        resolved.append(name)
        return ("127.0.0.1",)

    async def run() -> None:
        access = Access(trusted=NOBODY)
        services = replace(server.services(access), sources=Sources(access=access, resolve=resolve))
        with pytest.raises(MissingData, match="may ask for this client"):
            await services.call("tiny", request, {}, Caller(registration=registration, tenant=None))
        await access.close()

    asyncio.run(run())
    assert resolved == ["fhir.localhost"]
    assert fake.asked == []


@pytest.mark.parametrize(
    "url", ["ftp://fhir.example", "https://user@fhir.example", "fhir.example", "http://2130706433"]
)
def test_what_is_listed_is_a_base_url(url: str) -> None:
    with pytest.raises(UrlError):
        listed((url,), no_name)
