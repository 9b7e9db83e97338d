"""A hospital's server, and another one that must not be asked."""

from collections.abc import Iterator

import pytest

from tests.features.client.fake_server import FakeServer, fake_server
from tests.serving.access.hospital import stage


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with fake_server() as server:
        stage(server)
        yield server


@pytest.fixture
def elsewhere() -> Iterator[FakeServer]:
    """A server on another origin."""
    with fake_server() as server:
        stage(server)
        yield server
