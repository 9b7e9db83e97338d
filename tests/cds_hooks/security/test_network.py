"""Network policy: what a request may name, and which address is then connected to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.security.addresses import meant
from cds_hooks.security.network import (
    ConnectionRefusal,
    Destination,
    SystemResolver,
    destination,
    fhir_destination,
    may_connect,
)
from cds_hooks.security.registrations import Registration
from cds_hooks.security.urls import ServerUrl, read_url
from tests.cds_hooks.security.clients import client, registered

FHIR = "https://fhir.example/r4"


@dataclass
class Names:
    """A name service; remembers what it was asked."""

    answers: Sequence[str]
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if not self.answers:
            raise OSError(-2, "Name or service not known")
        return self.answers


def _client(folder: Path, **changes: object) -> Registration:
    (registration,) = registered(folder, client(**{"fhir_servers": [FHIR], **changes}))
    return registration


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Registration:
    """A client with one FHIR server and no private networks."""
    return _client(tmp_path_factory.mktemp("ward"))


@pytest.mark.parametrize(
    ("fhir_server", "expected"),
    [
        pytest.param(FHIR, True, id="as listed"),
        pytest.param(f"{FHIR}/", True, id="X-27 slash at the end"),
        pytest.param("HTTPS://FHIR.EXAMPLE:443/r4", True, id="case and default port"),
        pytest.param("https://fhir.example/R4", False, id="path in another case"),
        pytest.param("https://fhir.example/r5", False, id="another path"),
        pytest.param("https://fhir.example", False, id="the host alone"),
        pytest.param(f"{FHIR}/Patient", False, id="below"),
        pytest.param("https://fhir.example/r4/../r5", False, id="below and up"),
        pytest.param("http://fhir.example/r4", False, id="T-02 without TLS"),
        pytest.param("https://fhir.example:8443/r4", False, id="another port"),
        pytest.param("https://fhir.example.evil.example/r4", False, id="begins as listed"),
        pytest.param("https://fhir.example@evil.example/r4", False, id="user info"),
        pytest.param("https://fhir.example./r4", False, id="dot at the end"),
        pytest.param("file:///etc/passwd", False, id="X-35 file"),
        pytest.param("https://169.254.169.254/latest/meta-data", False, id="metadata"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_request_may_name_the_servers_of_its_client(fhir_server: str, expected: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    registration = _client(tmp_path)
    names = Names(["8.8.8.8"])
    assert may_connect(registration, fhir_server) is expected
    if not expected:
        with pytest.raises(ConnectionRefusal):
            asyncio.run(fhir_destination(registration, fhir_server, names))
        assert names.asked == []


def test_a_client_without_servers_may_name_none(tmp_path: Path) -> None:
    assert not may_connect(_client(tmp_path, fhir_servers=[]), FHIR)


def _destination(registration: Registration, names: Names) -> Destination:
    return asyncio.run(fhir_destination(registration, FHIR, names))


def test_a_name_is_resolved_once_and_its_addresses_are_what_is_connected_to(tmp_path: Path) -> None:
    names = Names(["8.8.8.8", "2606:4700::1111", "8.8.8.8"])
    to = _destination(_client(tmp_path), names)
    assert names.asked == [("fhir.example", 443)]
    assert [to.by_address(address) for address in to.addresses] == [
        "https://8.8.8.8:443/r4",
        "https://[2606:4700::1111]:443/r4",
    ]
    assert (to.url.authority, to.url.host) == ("fhir.example", "fhir.example")


@pytest.mark.parametrize(
    ("answers", "networks", "expected"),
    [
        pytest.param(["10.20.0.1"], ["10.20.0.0/16"], ["10.20.0.1"], id="private, listed"),
        pytest.param(["10.20.0.1"], [], "address not permitted", id="private, not listed"),
        pytest.param(["127.0.0.1"], ["10.20.0.0/16"], "address not permitted", id="rebound to loopback"),
        pytest.param(["169.254.169.254"], ["10.20.0.0/16"], "address not permitted", id="rebound to metadata"),
        pytest.param(["::ffff:127.0.0.1"], [], "address not permitted", id="rebound to mapped loopback"),
        pytest.param(["8.8.8.8", "127.0.0.1"], [], ["8.8.8.8"], id="one of two"),
        pytest.param(["fe80::1%eth0"], [], "address not permitted", id="link-local with a zone"),
        pytest.param([], [], "name not resolved", id="no such name"),
        pytest.param(["nonsense"], [], "name not resolved", id="no address"),
    ],
)
def test_only_permitted_addresses_are_left(
    answers: list[str], networks: list[str], expected: list[str] | str, tmp_path: Path
) -> None:
    registration = _client(tmp_path, networks=networks)
    if isinstance(expected, list):
        assert [str(address) for address in _destination(registration, Names(answers)).addresses] == expected
        return
    with pytest.raises(ConnectionRefusal) as refused:
        _destination(registration, Names(answers))
    assert refused.value.reason == expected
    assert not any(answer in str(refused.value) for answer in answers)


def test_a_name_service_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_hooks.security.network.RESOLVE_SECONDS", 0.01)

    async def hang(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(ConnectionRefusal) as refused:
        asyncio.run(fhir_destination(_client(tmp_path), FHIR, hang))
    assert refused.value.reason == "name not resolved"


def test_an_address_is_not_resolved(tmp_path: Path) -> None:
    registration = _client(tmp_path, fhir_servers=["https://10.20.0.1/r4"], networks=["10.20.0.0/16"])
    names = Names([])
    to = asyncio.run(fhir_destination(registration, "https://10.20.0.1/r4", names))
    assert ([str(address) for address in to.addresses], names.asked) == (["10.20.0.1"], [])


def test_http_reaches_this_machine_alone(tmp_path: Path) -> None:
    """Where localhost is made to mean another machine, nothing is sent there without TLS."""
    url = "http://localhost:8080/r4"
    registration = _client(tmp_path, fhir_servers=[url], networks=["127.0.0.0/8", "10.0.0.0/8"])
    to = asyncio.run(fhir_destination(registration, url, Names(["127.0.0.1", "10.0.0.1", "8.8.8.8"])))
    assert [str(address) for address in to.addresses] == ["127.0.0.1"]


def test_the_systems_resolver_knows_this_machine() -> None:
    resolver = SystemResolver()
    try:
        assert "127.0.0.1" in asyncio.run(resolver("localhost", 80))
    finally:
        resolver.close()


@given(st.text() | st.from_regex(r"https://(fhir\.example|[0-9a-fx.:\[\]@%]+)[/.\\@:]{0,2}r4/?", fullmatch=True))
def test_whatever_a_request_names_it_is_refused_or_the_listed_server(ward: Registration, text: str) -> None:
    if may_connect(ward, text):
        assert text.lower().removesuffix("/").replace(":443", "") == FHIR


@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=4))
@settings(deadline=None)  # an event loop for each example
def test_whatever_a_name_resolves_to_only_public_addresses_are_left(ward: Registration, answers: list[str]) -> None:
    url: ServerUrl = read_url(FHIR)
    try:
        to = asyncio.run(destination(ward, url, Names(answers)))
    except ConnectionRefusal:
        return
    assert all(meant(address).is_global and str(address) in answers for address in to.addresses)
