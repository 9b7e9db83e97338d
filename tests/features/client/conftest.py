"""A server to be asked, another that must not be, and a time that does not pass by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from features.client.transport import Transport
from tests.features.client.fake_server import FakeServer, Time, connected, fake_server
from tests.features.client.hospital import stage


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[FakeServer]:
    """A server on another origin."""
    with fake_server() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def transport(fake: FakeServer, time: Time) -> Iterator[Transport]:
    with connected(fake, time) as opened:
        yield opened


@pytest.fixture
def hospital(fake: FakeServer) -> FakeServer:
    """A server that has an export ready at once."""
    stage(fake)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where to export to: not yet there."""
    return tmp_path / "export"
