"""Fetching keys: from real servers, by the address that was checked, bounded in every way."""

import asyncio
import gzip
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from cds_hooks.security.key_fetch import MOST_BYTES, KeyFetcher, KeyFetchError
from cds_hooks.security.network import SystemResolver
from cds_hooks.security.urls import read_url
from tests.cds_hooks.security.clients import client, ec_key, key_set, registered
from tests.cds_hooks.security.key_server import SERVER_NAME, KeyServer, answer, running, tls_client, tls_server

BODY = key_set(ec_key())


async def _to_this_machine(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def _fetch(
    folder: Path,
    server: KeyServer,
    *,
    certificate: str = SERVER_NAME,
    trusted: str = SERVER_NAME,
    resolver: object = _to_this_machine,
) -> bytes:
    """What a client's key set at https://keys.example is, where that name is our server."""

    async def go() -> bytes:
        async with running(server, tls_server(folder, certificate)):
            url = f"https://{SERVER_NAME}:{server.port}/keys"
            (registration,) = registered(folder, client(jwks_url=url, networks=["127.0.0.0/8"]))
            fetch = KeyFetcher(resolver, trusted=tls_client(trusted))  # type: ignore[arg-type]
            return await fetch(registration, read_url(url))

    return asyncio.run(go())


def test_keys_are_fetched_from_the_checked_address_by_the_servers_name(tmp_path: Path) -> None:
    """The connection goes to the address; Host, SNI and certificate are the name's."""
    server = KeyServer(answer(BODY))
    assert _fetch(tmp_path, server) == BODY
    (head,) = server.heads
    assert head.startswith("GET /keys HTTP/1.1\r\n")
    assert f"host: {SERVER_NAME}:{server.port}\r\n" in head.lower()
    assert "accept-encoding: identity\r\n" in head.lower()
    assert "authorization" not in head.lower()


def test_a_server_with_another_names_certificate_is_not_asked(tmp_path: Path) -> None:
    server = KeyServer(answer(BODY))
    with pytest.raises(KeyFetchError, match="certificate is not the server's"):
        _fetch(tmp_path, server, certificate="evil.example", trusted="evil.example")
    assert server.heads == []


def test_a_server_whose_certificate_nobody_vouches_for_is_not_asked(tmp_path: Path) -> None:
    server = KeyServer(answer(BODY))
    with pytest.raises(KeyFetchError, match="certificate is not the server's"):
        _fetch(tmp_path, server, trusted="another.example")
    assert server.heads == []


REDIRECT = answer(b"", "302 Found", "location: http://169.254.169.254/latest")


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        pytest.param(REDIRECT, "redirects are not followed.*302", id="redirect"),
        pytest.param(answer(b"", "404 Not Found"), "Expected 200.*404", id="404"),
        pytest.param(answer(BODY, "500 Oops"), "Expected 200.*500", id="500"),
        pytest.param(answer(b" " * (MOST_BYTES + 1)), "at most 65536 bytes", id="too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1_000_000, "at most 65536 bytes", id="no length, too long"),
        pytest.param(
            answer(gzip.compress(b" " * 10_000_000), "200 OK", "content-encoding: gzip"),
            "without compression",
            id="gzip bomb",
        ),
        pytest.param(answer(BODY)[:-5], "broke off", id="breaks off"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "broke off", id="no HTTP"),
        pytest.param(b"", "broke off", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, "broke off", id="header without end"),
    ],
)
def test_an_answer_that_is_no_key_set_is_a_failure(sent: bytes, complaint: str, tmp_path: Path) -> None:
    server = KeyServer(sent)
    with pytest.raises(KeyFetchError, match=complaint) as failed:
        _fetch(tmp_path, server)
    assert len(server.heads) == 1
    assert "127.0.0.1" not in str(failed.value)


def test_a_slow_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_hooks.security.key_fetch.FETCH_SECONDS", 0.2)
    with pytest.raises(KeyFetchError, match=r"No whole answer came within 0\.2 s"):
        _fetch(tmp_path, KeyServer(answer(BODY), pause_seconds=2))


def test_where_one_address_does_not_answer_the_next_is_tried(tmp_path: Path) -> None:
    async def two(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    assert _fetch(tmp_path, KeyServer(answer(BODY)), resolver=two) == BODY


def test_a_name_that_leads_where_it_may_not_is_not_connected_to(tmp_path: Path) -> None:
    """The name resolves to this machine, the registration lists no network for it."""

    async def go(server: KeyServer, tls: ssl.SSLContext) -> None:
        async with running(server, tls):
            url = f"https://{SERVER_NAME}:{server.port}/keys"
            (registration,) = registered(tmp_path, client(jwks_url=url))
            await KeyFetcher(_to_this_machine, trusted=tls_client())(registration, read_url(url))

    server = KeyServer(answer(BODY))
    with pytest.raises(KeyFetchError, match="address not permitted"):
        asyncio.run(go(server, tls_server(tmp_path)))
    assert server.heads == []


def test_on_this_machine_keys_may_come_without_tls(tmp_path: Path) -> None:
    async def go(server: KeyServer) -> bytes:
        async with running(server, None):
            url = f"http://localhost:{server.port}/keys"
            (registration,) = registered(tmp_path, client(jwks_url=url, networks=["127.0.0.0/8", "::1/128"]))
            resolver = SystemResolver()
            try:
                return await KeyFetcher(resolver)(registration, read_url(url))
            finally:
                resolver.close()

    assert asyncio.run(go(KeyServer(answer(BODY)))) == BODY
