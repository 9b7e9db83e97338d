"""Bulk export: a server's records as a folder of NDJSON.

FHIR Bulk Data Access 2.0 (https://hl7.org/fhir/uv/bulkdata/STU2/export.html): kick-off, polling, download, release.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from features.client.download import download, finished
from features.client.errors import ClientError, ExportError, NotFhirError
from features.client.failures import failure, is_outcome, plain, remarks
from features.client.manifest import ExportRequest, read_manifest
from features.client.report import ExportReport, report
from features.client.retry import retry_after_seconds, wait_seconds
from features.client.state import ExportState, Manifest, load_state, save_state
from features.client.transport import Answer, Request, Transport
from features.client.urls import Origin, follow, shown

LONGEST_EXPORT_SECONDS = 86_400.0

OK, ACCEPTED, SERVER_ERROR = 200, 202, 500
GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportProgress:
    """How far an export is; `said` is what the server says of it while it prepares the files."""

    phase: Literal["waiting", "downloading"]
    said: str = ""
    files_done: int = 0
    files: int = 0
    bytes_done: int = 0


def export(
    transport: Transport,
    request: ExportRequest,
    folder: Path,
    *,
    other_origins: Iterable[Origin] = (),
    longest_seconds: float = LONGEST_EXPORT_SECONDS,
    on_progress: Callable[[ExportProgress], None] = lambda _: None,
) -> ExportReport:
    """Export into a folder; called again with the same request, go on where an earlier call was interrupted.

    Args:
        transport: to the server.
        request: what to export.
        folder: empty, not yet there, or of this export.
        other_origins: from which files are fetched too, without a token, if the server keeps them there.
        longest_seconds: how long this call waits for the server to prepare the files.
        on_progress: told how far it is.

    Raises:
        ClientError: the server refuses, fails or cannot be reached; the folder keeps what was fetched.
    """
    url = request.url(transport.base)
    state, is_finished = load_state(folder, url)
    if state is None:
        folder.mkdir(parents=True, exist_ok=True)
        state = ExportState(request=url, status_url=_kick_off(transport, url))
        save_state(folder, state)
    manifest = state.manifest
    if manifest is None:
        answer = _await_manifest(transport, state.status_url, longest_seconds, on_progress)
        manifest = read_manifest(answer, base=transport.base, other_origins=other_origins)
        state = msgspec.structs.replace(state, manifest=manifest)
        save_state(folder, state)
    if not is_finished:
        _fetch_all(transport, manifest, folder, frozenset(other_origins), on_progress)
        save_state(folder, state, is_finished=True)
    if not state.released:
        state = msgspec.structs.replace(state, released=_release(transport, state.status_url))
        save_state(folder, state, is_finished=True)
    return report(folder, manifest, is_released=state.released)


def _kick_off(transport: Transport, url: str) -> str:
    """Begin the export; where to ask how far it is."""
    answer = transport.send(Request(url=url, headers={"Prefer": "respond-async"}, repeatable=False))
    if answer.status != ACCEPTED:
        raise failure(answer.status, answer.headers, answer.body, answer.url)
    link = answer.headers.get("content-location")
    if not link:
        raise NotFhirError(f"{shown(url)}: expected Content-Location, where to ask for the export; got none.")
    return follow(link, seen_at=answer.url, base=transport.base)


def _await_manifest(
    transport: Transport, status_url: str, longest_seconds: float, on_progress: Callable[[ExportProgress], None]
) -> Answer:
    """Ask until the files are ready, as often as the server likes."""
    pace, polls = transport.pace, 0
    started = pace.clock()
    while True:
        answer = transport.send(
            Request(url=status_url, headers={"Accept": "application/json"}, final=frozenset({SERVER_ERROR}))
        )
        if answer.status == OK:
            return answer
        _check_goes_on(answer)
        polls += 1
        on_progress(ExportProgress(phase="waiting", said=plain(answer.headers.get("x-progress", ""))))
        asked = retry_after_seconds(answer.headers.get("retry-after"), now=pace.clock())
        # Without a word from the server: 1, 2, 4 … seconds at most, so that nobody is asked all the time.
        wait = wait_seconds(transport.patience, failures=polls, asked_seconds=asked, draw=max(pace.draw(), 0.5))
        if pace.clock() - started + wait > longest_seconds:
            raise ExportError(
                f"{shown(status_url)}: not ready after {pace.clock() - started:.0f} s. Run it again to go on waiting."
            )
        pace.sleep(wait)


def _check_goes_on(answer: Answer) -> None:
    """An answer to a poll that says that the export is under way, or that asking again may help; else an error.

    The standard tells a failure of the export from one of the asking by an issue of code `transient`.
    """
    if answer.status == ACCEPTED or (answer.status == SERVER_ERROR and is_outcome(answer.body, code="transient")):
        return
    if answer.status in GONE:
        raise ExportError(
            f"{shown(answer.url)}: HTTP {answer.status}. The server no longer knows this export: it has expired or was "
            "removed. Begin anew in another folder.",
            status=answer.status,
        )
    if answer.status == SERVER_ERROR:
        said = "".join(f" It says: {one}." for one in remarks(answer.body))
        raise ExportError(
            f"{shown(answer.url)}: HTTP {answer.status}, the export failed.{said} Run it again to ask once more, or "
            "begin anew in another folder.",
            status=answer.status,
        )
    raise failure(answer.status, answer.headers, answer.body, answer.url)


def _fetch_all(
    transport: Transport,
    manifest: Manifest,
    folder: Path,
    other_origins: frozenset[Origin],
    on_progress: Callable[[ExportProgress], None],
) -> None:
    bytes_done = 0
    for number, file in enumerate(manifest.files):
        path = folder / file.path

        def tell(count: int, *, done: int = number, before: int = bytes_done) -> None:
            on_progress(
                ExportProgress(
                    phase="downloading", files_done=done, files=len(manifest.files), bytes_done=before + count
                )
            )

        path.parent.mkdir(exist_ok=True)
        whole = finished(path) or download(
            transport,
            file.url,
            path,
            with_token=manifest.requires_access_token,
            other_origins=other_origins,
            on_bytes=tell,
        )
        bytes_done += whole.stat().st_size
        tell(0, done=number + 1, before=bytes_done)


def _release(transport: Transport, status_url: str) -> bool:
    """Tell the server that its files are no longer needed; the report says whether it took note."""
    try:
        answer = transport.once(Request(url=status_url, method="DELETE"))
    except ClientError:
        return False
    return answer.status in {OK, ACCEPTED, 204} or answer.status in GONE
