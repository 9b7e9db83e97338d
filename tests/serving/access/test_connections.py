"""Connections: the checked address under the server's own name, and nothing carried from one call to the next."""

import asyncio
import gzip
import threading
import zlib
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from cds_hooks.security.network import Destination
from cds_hooks.security.urls import read_url
from serving.access import Limits, Reason
from serving.access.answers import Answer
from serving.access.connections import Connections
from serving.access.reasons import NotObtained
from tests.cds_hooks.security.key_server import tls_client, tls_server
from tests.features.client.fake_server import FakeServer, Reply, fake_server, json
from tests.fhir_builders import EMPTY
from tests.serving.access.hospital import LOOPBACK, NOBODY, PATIENT, TOKEN, completed, policy_of, stage, told

Result = TypeVar("Result")

NAME = "fhir.hospital.example"
OTHER_NAME = "other.hospital.example"
BODY = msgspec.json.encode(EMPTY)
DEAF = IPv4Address("127.0.0.99")  # this machine, where nobody listens


def named(fake: FakeServer, name: str) -> str:
    """The base URL of a server on this machine under another name."""
    return fake.base.replace("127.0.0.1", name)


def with_connections(do: Callable[[Connections], Awaitable[Result]], limits: Limits | None = None) -> Result:
    async def run() -> Result:
        connections = Connections(limits or Limits(), trusted=NOBODY)
        try:
            return await do(connections)
        finally:
            await connections.close()

    return asyncio.run(run())


def get(
    fake: FakeServer,
    path: str,
    *,
    addresses: tuple[str, ...] = ("127.0.0.1",),
    most: int = 10**6,
    token: str = TOKEN,
    limits: Limits | None = None,
) -> Answer:
    """One answer."""
    to = Destination(url=read_url(fake.base), addresses=tuple(IPv4Address(one) for one in addresses))
    kept = 0

    def take(count: int) -> None:
        nonlocal kept
        kept += count
        if kept > most:
            raise NotObtained(Reason.BYTES)

    return with_connections(lambda connections: connections.get(to, f"{fake.base}/{path}", token, take), limits)


def refusal(fake: FakeServer, path: str, **how: Any) -> Reason:
    """Why there was none."""
    with pytest.raises(NotObtained) as raised:
        get(fake, path, **how)
    assert TOKEN not in repr(raised.value.__context__)
    return raised.value.reason


def test_the_connection_goes_to_the_checked_address_under_the_servers_own_name(tmp_path: Path) -> None:
    """The name resolves to nothing; Host and certificate are the name's."""
    with fake_server(tls_server(tmp_path, NAME)) as fake:
        stage(fake)
        base = named(fake, NAME)
        found = completed(base, {}, policy=policy_of(base), trusted=tls_client(NAME))
        assert not found.failures
        assert {asked.headers["host"] for asked in fake.asked} == {base.split("/")[2]}


def test_a_certificate_of_another_name_is_not_the_servers(tmp_path: Path) -> None:
    with fake_server(tls_server(tmp_path, NAME)) as fake:
        stage(fake)
        base = named(fake, OTHER_NAME)
        found = completed(base, {}, policy=policy_of(base), trusted=tls_client(NAME))
        assert set(told(found).values()) == {"UNREACHABLE"}
        assert fake.asked == []


def test_connections_are_never_lent_to_another_name_at_the_same_address(fake: FakeServer) -> None:
    async def ask(connections: Connections) -> int:
        for base in (fake.base, named(fake, "localhost"), fake.base):
            to = Destination(url=read_url(base), addresses=LOOPBACK)
            await connections.get(to, f"{base}/Condition", TOKEN, lambda _: None)
        return connections.servers

    assert with_connections(ask) == 2
    assert [asked.headers["host"].split(":")[0] for asked in fake.asked] == ["127.0.0.1", "localhost", "127.0.0.1"]


def test_the_next_address_is_tried_where_nothing_was_asked_yet(fake: FakeServer) -> None:
    assert get(fake, "Condition", addresses=(str(DEAF), "127.0.0.1")).status == 200
    assert refusal(fake, "Condition", addresses=(str(DEAF),)) is Reason.UNREACHABLE


def test_a_token_never_crosses_a_network_in_the_clear(fake: FakeServer) -> None:
    """Whatever the policy says: http is for this machine alone."""
    assert refusal(fake, "Condition", addresses=("192.0.2.1",)) is Reason.NOT_LISTED


def test_cookies_are_not_kept_for_another_call(fake: FakeServer) -> None:
    fake.on("/fhir/Condition", json(EMPTY, Set_Cookie="session=of-one-user"))

    async def ask(connections: Connections) -> None:
        to = Destination(url=read_url(fake.base), addresses=LOOPBACK)
        for _ in range(2):
            await connections.get(to, f"{fake.base}/Condition", TOKEN, lambda _: None)

    with_connections(ask)
    assert all("cookie" not in asked.headers for asked in fake.asked)
    assert len(fake.asked) == 2


def test_proxies_of_the_environment_are_not_used(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert get(fake, "Condition").body == BODY


def test_connections_of_servers_not_asked_for_long_are_closed(fake: FakeServer) -> None:
    async def ask(connections: Connections) -> int:
        for number in range(1, 8):
            base = named(fake, f"n{number}.localhost")
            to = Destination(url=read_url(base), addresses=LOOPBACK)
            await connections.get(to, f"{base}/Condition", TOKEN, lambda _: None)
        return connections.servers

    assert with_connections(ask, Limits(servers=3)) == 3


def test_servers_that_are_all_under_way_keep_their_connections() -> None:
    """More at once than are kept: none is cut off, and the surplus goes when its request has ended."""
    with fake_server() as one, fake_server() as other:
        stage(one)
        stage(other)
        both = [Destination(url=read_url(fake.base), addresses=LOOPBACK) for fake in (one, other)]

        async def ask(connections: Connections) -> list[int]:
            found = await asyncio.gather(
                *(connections.get(to, f"{to.url}/Condition", TOKEN, lambda _: None) for to in both * 3)
            )
            return [answer.status for answer in found]

        assert with_connections(ask, Limits(servers=1)) == [200] * 6
        assert (len(one.asked), len(other.asked)) == (3, 3)


def _gzipped(body: bytes, **headers: str) -> Reply:
    return Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"} | headers)


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_compressed_answer_is_unpacked_to_the_last_byte(size: int, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", _gzipped(b" " * size))
    assert get(fake, "Condition", most=4 * 2**20).body == b" " * size


def test_a_bomb_is_unpacked_no_further_than_may_be_kept(fake: FakeServer) -> None:
    """A gigabyte in a megabyte: what is kept at most is one part more than allowed."""
    pack = zlib.compressobj(wbits=31)
    zeros = bytes(2**20)
    body = b"".join(pack.compress(zeros) for _ in range(256)) + pack.flush()
    fake.on("/fhir/Condition", Reply(body=body, headers={"Content-Encoding": "gzip"}))
    assert refusal(fake, "Condition") is Reason.BYTES


@pytest.mark.parametrize(
    "body",
    [gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"more", b"no gzip at all", b""],
    ids=["breaks off", "goes on", "is none", "is nothing"],
)
def test_a_broken_compressed_answer_is_no_answer(body: bytes, fake: FakeServer) -> None:
    fake.on("/fhir/Condition", Reply(body=body, headers={"Content-Encoding": "gzip"}))
    assert refusal(fake, "Condition") is Reason.BROKEN


def test_a_connection_that_ends_just_as_it_is_used_costs_one_more_try(fake: FakeServer) -> None:
    broken = Reply(body=BODY, cut=1)
    fake.on("/fhir/Condition", broken, json(EMPTY))
    assert get(fake, "Condition").body == BODY
    fake.on("/fhir/Condition", broken, broken, json(EMPTY))
    assert refusal(fake, "Condition") is Reason.BROKEN


def test_the_body_of_an_error_is_not_waited_for(fake: FakeServer) -> None:
    fake.on("/fhir/Condition", Reply(status=500, body=bytes(10**7)))
    assert get(fake, "Condition").body == b""


def test_an_answer_that_stops_coming_is_not_waited_for(fake: FakeServer) -> None:
    silence = threading.Event()
    fake.on("/fhir/Condition", Reply(body=BODY, cut=5, hold=silence))
    try:
        assert refusal(fake, "Condition", limits=Limits(total_seconds=0.1)) is Reason.TIMEOUT
    finally:
        silence.set()


def test_a_token_that_would_be_a_header_of_its_own_is_not_sent(fake: FakeServer) -> None:
    """The request's own check refuses such a token before; the library does so too."""
    assert refusal(fake, "Condition", token="a\r\nx: y") is Reason.BROKEN  # noqa: S106 - opens nothing
    assert fake.asked == []


def test_an_answer_shows_nothing_of_the_patient(fake: FakeServer) -> None:
    assert PATIENT not in repr(get(fake, f"Patient/{PATIENT}"))
