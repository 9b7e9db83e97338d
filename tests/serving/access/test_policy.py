"""Policy: what the registration lists is read, at the address that was checked; everything else is not asked."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cds_hooks.security.network import ConnectionRefusal, Destination, NetworkReason, Resolver
from serving.access import Limits, Policy, registered
from tests.cds_hooks.security import clients
from tests.cds_hooks.security.key_server import tls_client, tls_server
from tests.features.client.fake_server import FakeServer, fake_server
from tests.serving.access.hospital import completed, stage, told, without

NAME = "fhir.hospital.example"


def resolver(*addresses: str) -> Resolver:
    """A name service that knows one answer."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        if not addresses:
            raise OSError(-2, "Name or service not known")
        return addresses

    return resolve


def policy(folder: Path, base: str, *addresses: str, **changes: object) -> Policy:
    """Of a client that is registered with this FHIR server, whose name has these addresses."""
    listed = {"fhir_servers": [base], "networks": ["127.0.0.0/8"], **changes}
    (registration,) = clients.registered(folder, clients.client(**listed))
    return registered(registration, resolver(*addresses))


CASES: Mapping[str, tuple[dict[str, object], tuple[str, ...], str | None]] = {
    "listed, at a listed address": ({}, ("127.0.0.1",), None),
    "DNS rebinding: the metadata service": ({}, ("169.254.169.254",), "NOT_LISTED"),
    "this machine, which is not listed": ({"networks": []}, ("127.0.0.1",), "NOT_LISTED"),
    "another server is listed": ({"fhir_servers": ["https://other.example/r4"]}, ("127.0.0.1",), "NOT_LISTED"),
    "a name without an address": ({}, (), "UNREACHABLE"),
    "a type outside the scopes": ({"scopes": ["patient/Observation.rs"]}, ("127.0.0.1",), "SCOPE"),
}


@pytest.mark.parametrize(("changes", "addresses", "reason"), CASES.values(), ids=CASES)
def test_a_registration_says_what_is_read(
    changes: dict[str, object], addresses: tuple[str, ...], reason: str | None, tmp_path: Path
) -> None:
    with fake_server(tls_server(tmp_path, NAME)) as fake:
        stage(fake)
        base = fake.base.replace("127.0.0.1", NAME)
        one = policy(tmp_path, base, *addresses, **changes)
        found = completed(base, without("conditions"), policy=one, trusted=tls_client(NAME))
        assert told(found) == ({} if reason is None else {"conditions": reason})
        assert len(fake.asked) == (reason is None)


REFUSALS: Mapping[NetworkReason, str] = {
    "not a URL": "NOT_LISTED",
    "not listed": "NOT_LISTED",
    "address not permitted": "NOT_LISTED",
    "name not resolved": "UNREACHABLE",
}


@pytest.mark.parametrize(("refusal", "reason"), REFUSALS.items())
def test_each_refusal_of_the_policy_is_told(refusal: NetworkReason, reason: str, fake: FakeServer) -> None:
    async def connect(_: str) -> Destination:
        raise ConnectionRefusal(refusal)

    found = completed(fake.base, without("conditions"), policy=Policy(connect=connect, may_read=lambda _: True))
    assert told(found) == {"conditions": reason}
    assert fake.asked == []


def test_a_name_service_that_hangs_costs_no_more_than_the_calls_time(fake: FakeServer) -> None:
    async def connect(_: str) -> Destination:
        await asyncio.Event().wait()
        raise AssertionError

    slow = Policy(connect=connect, may_read=lambda _: True)
    found = completed(fake.base, {}, policy=slow, limits=Limits(total_seconds=0.05))
    assert set(told(found).values()) == {"TIMEOUT"}
