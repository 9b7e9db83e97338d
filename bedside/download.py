"""`bedside download`: a FHIR server's bulk export as a folder of NDJSON, resumed where it was interrupted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bedside.coverage_source import Access, connected
from features.client.bulk import ExportProgress
from features.client.manifest import ExportRequest
from features.client.report import ExportReport
from features.files.provenance import note_version
from features.reading.fhir import RESOURCES
from features.reading.versions import fhir_version

Progress = Callable[[str, int, int], None]
WAITING, DOWNLOADING = "the server prepares the export", "files downloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What to download, and into what.

    Attributes:
        url: the server's base URL.
        folder: empty, not yet there, or of this download, which then goes on.
        group: id of the Group of patients; None for all patients.
        types: of resources; by default all that are read.
        since: only what is newer.
        file_servers: other origins from which the server gives its files.
    """

    url: str
    folder: Path
    group: str | None = None
    types: tuple[str, ...] = tuple(struct.__name__ for struct in RESOURCES if struct.__name__ != "OperationOutcome")
    since: datetime | None = None
    file_servers: tuple[str, ...] = ()


def download(wanted: Download, access: Access, progress: Progress) -> tuple[ExportReport, str]:
    """Download, or go on with it; gives the report and the FHIR version that the server speaks.

    Raises:
        ClientError, UrlError, KeyFileError: see `features.client`.
        FhirVersionError: the server speaks none that is read.
        ValueError: what is asked for is no export.
    """
    request = ExportRequest(
        level="patient" if wanted.group is None else "group",
        group_id=wanted.group,
        types=wanted.types,
        since=wanted.since,
    )

    def tell(done: ExportProgress) -> None:
        if done.phase == "waiting":
            progress(WAITING, 0, 1)
        else:
            progress(WAITING, 1, 1)
            progress(DOWNLOADING, done.files_done, done.files)

    with connected(wanted.url, access) as server:
        version = server.fhir_version()
        fhir_version(version)  # one that is not read need not be downloaded
        report = server.export(request, wanted.folder, file_servers=wanted.file_servers, on_progress=tell)
    note_version(wanted.folder, version)
    return report, version
