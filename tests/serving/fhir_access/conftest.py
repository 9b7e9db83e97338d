"""A server, the hospital's FHIR server, and another one that must not be asked."""

from collections.abc import Iterator

import pytest

from tests.features.client.fake_server import FakeServer, fake_server
from tests.hosts import Host
from tests.serving.fhir_access.server import Server, stage


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """The hospital's."""
    with fake_server() as opened:
        stage(opened)
        yield opened


@pytest.fixture
def elsewhere() -> Iterator[FakeServer]:
    """On another origin."""
    with fake_server() as opened:
        stage(opened)
        yield opened


@pytest.fixture
def server(host: Host, fake: FakeServer) -> Server:
    """May read from the hospital's."""
    return Server(host, (fake.base,))
