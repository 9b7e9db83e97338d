"""A whole server that may read from a hospital's FHIR server, and calls that name it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from fastapi import FastAPI

from cds_hooks.response import Card
from cds_hooks.router import cds_router
from serving.access import Limits, Policy, Sources
from serving.access.access import Access
from serving.access.anybody import listed
from serving.services import BedsideServices
from tests.conformance.client import cards
from tests.features.client.fake_server import FakeServer, json
from tests.fhir_builders import EMPTY, Json, patient, prefetch, request, searchset, vitals
from tests.hosts import Host
from tests.serving.access.hospital import NOBODY, TOKEN

ADDRESS = "/cds-services/tiny"


def stage(fake: FakeServer) -> None:
    """A FHIR server with what the tiny model's prefetch has."""
    fake.on("/fhir/Patient/p1", json(patient()))
    fake.on("/fhir/Observation", json(searchset(*vitals())))
    for name in ("Condition", "MedicationRequest", "MedicationAdministration", "MedicationStatement"):
        fake.on(f"/fhir/{name}", json(EMPTY))


async def no_name(_host: str, _port: int) -> Sequence[str]:
    """A name service that these tests have no use for."""
    raise OSError(-2, "Name or service not known")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that may have some FHIR servers read for anybody."""

    host: Host
    fhir_servers: tuple[str, ...]

    @property
    def anybody(self) -> Policy:
        """For callers without a registration."""
        return listed(self.fhir_servers, no_name)

    def services(self, access: Access) -> BedsideServices:
        """Its services in one event loop."""
        return replace(self.host.services, sources=Sources(access=access, resolve=no_name, anybody=self.anybody))

    def post(self, body: Json, limits: Limits | None = None) -> httpx.Response:
        """One call, alone in its process."""
        return asyncio.run(self.answer(body, limits))

    def card(self, body: Json) -> Card:
        """The one card of an answer."""
        (card,) = cards(self.post(body)).cards
        return card

    async def answer(self, body: Json, limits: Limits | None = None) -> httpx.Response:
        """As `post`, in an event loop that runs."""
        access = Access(limits, trusted=NOBODY)
        try:
            async with client_of(self.services(access)) as client:
                return await client.post(ADDRESS, json=body)
        finally:
            await access.close()


def client_of(services: BedsideServices) -> httpx.AsyncClient:
    """Speaks HTTP to services in the same process."""
    app = FastAPI()
    app.include_router(cds_router(services))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://cds.example")


def with_access(base: str, **fields: Any) -> Json:
    """A request that gives access to a FHIR server."""
    authorization = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "x", "subject": "y"}
    return request(fhirServer=base, fhirAuthorization=authorization, **fields)


def without(*keys: str) -> Json:
    """The prefetch less some keys."""
    return {key: value for key, value in prefetch().items() if key not in keys}
