"""A whole server in the test's process, without a network: its services, its journal, and a client to call it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from fastapi import FastAPI

from cds_hooks.response import Card, CdsResponse
from cds_hooks.router import cds_router
from serving.assess import AsOf, ServedModel
from serving.cards import CardSettings
from serving.journal import Journal
from serving.journal_entries import CallEntry
from serving.pseudonym import Pseudonyms
from serving.services import BedsideServices
from tests.conformance.client import Client, cards
from tests.fhir_builders import NOW

PSEUDONYMS = Pseudonyms(key=b"a key of thirty-two bytes, no le")
CARDS = CardSettings(public_url="https://bedside.example", zone=ZoneInfo("Europe/Berlin"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A running server; `folder` holds its journal."""

    services: BedsideServices
    journal: Journal
    client: Client
    folder: Path

    def call(self, body: Any, service_id: str = "tiny", **headers: str) -> httpx.Response:
        """Call a service."""
        return self.client.post(f"/cds-services/{service_id}", body, **headers)

    def card(self, body: Any, service_id: str = "tiny", **headers: str) -> Card:
        """The one card of an answer."""
        response: CdsResponse = cards(self.call(body, service_id, **headers))
        (card,) = response.cards
        return card

    def last_call(self) -> CallEntry:
        """The journal's newest entry."""
        (entry,) = self.journal.calls(limit=1)
        return entry


@contextmanager
def open_host(
    folder: Path, *models: ServedModel, as_of: AsOf = "clock", deadline_ms: float | None = None
) -> Iterator[Host]:
    """A server of the models whose clock stands at NOW."""
    # NORMAL: no test pulls the plug.
    with Journal.open(f"sqlite:///{folder / 'journal.db'}", synchronous="NORMAL") as journal:
        services = BedsideServices(
            models={served.entry.spec.id: served for served in models},
            journal=journal,
            pseudonyms=PSEUDONYMS,
            cards=CARDS,
            language="en",
            as_of=as_of,
            clock=lambda: NOW,
            deadline_ms=deadline_ms,
        )
        app = FastAPI(docs_url=None, redoc_url=None)
        app.include_router(cds_router(services))
        yield Host(services=services, journal=journal, client=Client(app), folder=folder)
