"""Where a coverage is gathered from: a folder, a file, or a FHIR server that is asked for some of its patients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from features.client.errors import AuthorizationError
from features.client.retry import Patience
from features.client.server import SYSTEM_PACE, TIMEOUT_SECONDS, FhirServer, open_server
from features.client.signing import load_key
from features.client.smart import Client
from features.client.transport import open_transport
from features.client.urls import base_url
from features.coverage.gather import Gatherer
from features.feature import Aggregate, Aggregation, FeatureSet
from features.files.sources import Found
from features.prefetch import PATIENT, prefetch_templates
from features.reading.decode import decode_searchset
from features.reading.fhir import Patient
from features.vocabulary.concept import Vocabulary

Progress = Callable[[str, int, int], None]
READING = "read"
ASKING = "patients asked for"
PATIENTS_PER_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How we show who we are to a FHIR server: a token in a file, or SMART Backend Services; by default not at all."""

    token_file: Path | None = None
    client_id: str | None = None
    key_file: Path | None = None
    key_id: str | None = None


class TokenFile:
    """A bearer token that somebody else keeps fresh in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def token(self) -> str:
        """What the file holds now.

        Raises:
            AuthorizationError: it cannot be read, or holds no one token.
        """
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthorizationError(f"{self._file}: expected a file with an access token.") from error
        if not text or len(text.split()) > 1:
            raise AuthorizationError(f"{self._file}: expected one access token and nothing else.")
        return text

    def forget(self) -> None:
        """The file is read anew each time; there is nothing to forget."""


def read_files(gatherer: Gatherer, found: Found, progress: Progress) -> None:
    """Read the files of a source."""
    total, done = sum(file.stat().st_size for file in found.files), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(READING, done, total)

    for file in found.files:
        gatherer.read_file(file, on_bytes=tell)


@contextmanager
def connected(url: str, access: Access) -> Iterator[FhirServer]:
    """A FHIR server at a URL.

    Raises:
        ClientError: it gives us no token.
        KeyFileError: the key cannot be used.
        UrlError: the URL is none.
    """
    if access.token_file is not None:
        with open_transport(
            base_url(url), patience=Patience(), pace=SYSTEM_PACE, timeout_seconds=TIMEOUT_SECONDS
        ) as transport:
            yield FhirServer(transport.authorized(TokenFile(access.token_file)))
        return
    client = None
    if access.client_id is not None and access.key_file is not None:
        client = Client(client_id=access.client_id, key=load_key(access.key_file, key_id=access.key_id))
    with open_server(url, client=client) as server:
        yield server


def read_server(
    gatherer: Gatherer, server: FhirServer, features: FeatureSet | None, patients: int | None, progress: Progress
) -> None:
    """Ask a server for the records of patients, with the queries that a model's prefetch has.

    Args:
        gatherer: reads them.
        server: is asked.
        features: of the model; None: every concept of the vocabulary, whenever it was.
        patients: of how many patients, in the server's order; None: of all.
        progress: told how many patients were asked for.

    Raises:
        ClientError: the server does not answer as it should.
    """
    vocabulary = gatherer.interpreter.vocabulary
    templates = prefetch_templates(features or _all_of(vocabulary), vocabulary)
    queries = [template.split("?", 1) for template in templates.values() if "?" in template]
    for number, patient in enumerate(_patients(gatherer, server, patients), start=1):
        gatherer.read([patient])
        for resource_type, query in queries:
            pairs = parse_qsl(query.replace(PATIENT, patient.id or ""), keep_blank_values=True)
            gatherer.read_pages(page.body for page in server.search(resource_type, pairs))
        progress(ASKING, number, patients or number)


def _patients(gatherer: Gatherer, server: FhirServer, most: int | None) -> Iterator[Patient]:
    page_size = PATIENTS_PER_PAGE if most is None else min(most, PATIENTS_PER_PAGE)
    given = 0
    for page in server.search("Patient", [("_count", str(page_size))]):
        for resource in decode_searchset(page.body, gatherer.refusals):
            if isinstance(resource, Patient) and resource.id is not None:
                yield resource
                given += 1
                if given == most:
                    return


def _all_of(vocabulary: Vocabulary) -> FeatureSet:
    wanted = (concept.id for concept in vocabulary if concept.drafts_of is None)
    return FeatureSet(Aggregate(concept=name, aggregation=Aggregation.COUNT) for name in wanted)
