"""A FHIR server: what we ask of it, and how a connection to it is put together."""

import random
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from features.client.bulk import LONGEST_EXPORT_SECONDS, ExportProgress, export
from features.client.errors import NotFhirError
from features.client.failures import failure, html_error, is_html
from features.client.manifest import ExportRequest
from features.client.report import ExportReport
from features.client.retry import Pace, Patience
from features.client.saved import SaveProgress, SaveReport, Search, save_searches
from features.client.search import MOST_PAGES, Page, Parameters, search
from features.client.smart import BackendServices, Client, discover
from features.client.transport import Request, Transport, open_transport
from features.client.urls import base_url, origin_of, shown

TIMEOUT_SECONDS = 60.0
OK = 200

SYSTEM_PACE = Pace(clock=time.time, sleep=time.sleep, draw=random.random)
"""Time as it passes."""


class _Capabilities(msgspec.Struct, frozen=True, tag_field="resourceType", tag="CapabilityStatement"):
    fhirVersion: str  # noqa: N815


class FhirServer:
    """A FHIR server that is connected; see `open_server`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def base(self) -> str:
        """The server's base URL."""
        return self._transport.base

    def fhir_version(self) -> str:
        """The version that the server says it speaks, such as `4.0.1`: CapabilityStatement.fhirVersion.

        Raises:
            ClientError: it does not say.
        """
        answer = self._transport.send(Request(url=f"{self.base}/metadata"))
        if answer.status != OK:
            raise failure(answer.status, answer.headers, answer.body, answer.url)
        try:
            return msgspec.json.decode(answer.body, type=_Capabilities).fhirVersion
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if is_html(answer.headers, answer.body):
                raise html_error(answer.url, answer.status) from error
            raise NotFhirError(f"{shown(answer.url)}: expected a CapabilityStatement with its fhirVersion.") from error

    def search(self, resource_type: str, parameters: Parameters, *, max_pages: int = MOST_PAGES) -> Iterator[Page]:
        """The pages of a search; see `search.search`."""
        return search(self._transport, resource_type, parameters, max_pages=max_pages)

    def save(
        self,
        searches: Sequence[Search],
        folder: Path,
        *,
        max_pages: int = MOST_PAGES,
        on_progress: Callable[[SaveProgress], None] = lambda _: None,
    ) -> SaveReport:
        """Save the pages of searches in a folder, or go on with it; see `saved.save_searches`."""
        return save_searches(self._transport, searches, folder, max_pages=max_pages, on_progress=on_progress)

    def export(
        self,
        request: ExportRequest,
        folder: Path,
        *,
        file_servers: Iterable[str] = (),
        longest_seconds: float = LONGEST_EXPORT_SECONDS,
        on_progress: Callable[[ExportProgress], None] = lambda _: None,
    ) -> ExportReport:
        """Export into a folder, or go on with it; see `bulk.export`.

        Args:
            request: what to export.
            folder: empty, not yet there, or of this export.
            file_servers: URLs of other origins where the server may keep its files; they get no token.
            longest_seconds: how long to wait for the server to prepare the files.
            on_progress: told how far it is.

        Raises:
            ClientError: as there.
        """
        return export(
            self._transport,
            request,
            folder,
            other_origins=[origin_of(url) for url in file_servers],
            longest_seconds=longest_seconds,
            on_progress=on_progress,
        )


@contextmanager
def open_server(
    url: str,
    *,
    client: Client | None = None,
    token_endpoint: str | None = None,
    patience: Patience | None = None,
    pace: Pace = SYSTEM_PACE,
    certificates: ssl.SSLContext | None = None,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Iterator[FhirServer]:
    """Connect to a FHIR server.

    Args:
        url: its base URL.
        client: who we are, for SMART Backend Services; None for a server that asks nobody.
        token_endpoint: where tokens are given; None to ask the server.
        patience: for each answer.
        pace: how time passes.
        certificates: whom to trust; None for the usual authorities, or those that SSL_CERT_FILE names.
        new_id: gives a text that was never given before.

    Raises:
        UrlError: the URL is none.
        ClientError: the server does not say where it gives tokens.
    """
    with open_transport(
        base_url(url),
        patience=patience or Patience(),
        pace=pace,
        timeout_seconds=TIMEOUT_SECONDS,
        certificates=certificates,
    ) as transport:
        if client is None:
            yield FhirServer(transport)
            return
        endpoint = token_endpoint or discover(transport, client)
        tokens = BackendServices(transport, client, token_endpoint=endpoint, new_id=new_id)
        yield FhirServer(transport.authorized(tokens))
