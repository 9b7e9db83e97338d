"""Saved searches: the pages of searches as a folder of NDJSON, for servers without bulk export.

Each page is written before the next one is asked for, with a note of where that is, so that a run that was interrupted
goes on at that page.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.client.errors import RefusedError
from features.client.search import MOST_PAGES, Page, Parameters, pages_from, search_urls
from features.client.state import ExportState, load_state, save_state
from features.client.transport import Transport
from features.files.forms import document_lines

GONE = frozenset({404, 410})
MOST_REMARKS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search to save: a resource type, and names and values that are not yet escaped."""

    resource_type: str
    parameters: Parameters = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveProgress:
    """How far a run is: files that are whole, of how many; pages and bytes of the present one."""

    files_done: int
    files: int
    pages: int
    bytes_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveReport:
    """What saved searches have brought; `remarks` are what the server said of them, the first twenty."""

    folder: Path
    files: tuple[Path, ...]
    pages: int
    matches: int
    included: int
    outcomes: int
    remarks: tuple[str, ...]


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """How far a search is: whole bytes of its file, and where its next page is; None at its end."""

    next_url: str | None
    bytes: int = 0
    pages: int = 0
    matches: int = 0
    included: int = 0
    outcomes: int = 0
    remarks: tuple[str, ...] = ()


def save_searches(
    transport: Transport,
    searches: Sequence[Search],
    folder: Path,
    *,
    max_pages: int = MOST_PAGES,
    on_progress: Callable[[SaveProgress], None] = lambda _: None,
) -> SaveReport:
    """Save the pages of searches, one NDJSON file for each; called again with the same ones, go on.

    Where a server has forgotten the next page, its search begins anew.

    Args:
        transport: to the server.
        searches: what to ask for; one that is too long for a URL becomes several files.
        folder: empty, not yet there, or of these searches.
        max_pages: of one file; more of them is an error.
        on_progress: told after each page.

    Raises:
        ClientError: the server refuses or cannot be reached, or the folder holds something else; what was saved stays.
    """
    urls = tuple(
        (one.resource_type, url)
        for one in searches
        for url in search_urls(transport.base, one.resource_type, one.parameters)
    )
    request = " ".join(url for _, url in urls)
    state, is_finished = load_state(folder, request)
    files = tuple(folder / f"{name}.{number:04d}.ndjson" for number, (name, _) in enumerate(urls, start=1))
    if not is_finished:
        folder.mkdir(parents=True, exist_ok=True)
        save_state(folder, state or ExportState(request=request))
        for number, (file, (_, url)) in enumerate(zip(files, urls, strict=True)):
            for note in _save(transport, file, url, max_pages):
                on_progress(SaveProgress(files_done=number, files=len(files), pages=note.pages, bytes_done=note.bytes))
        save_state(folder, ExportState(request=request), is_finished=True)
    notes = [_read_note(file) for file in files]
    return SaveReport(
        folder=folder,
        files=files,
        pages=sum(note.pages for note in notes),
        matches=sum(note.matches for note in notes),
        included=sum(note.included for note in notes),
        outcomes=sum(note.outcomes for note in notes),
        remarks=tuple(dict.fromkeys(one for note in notes for one in note.remarks))[:MOST_REMARKS],
    )


def _save(transport: Transport, file: Path, url: str, max_pages: int) -> Iterator[_Note]:
    """Save one search, from where it stands, and rename its file when it is whole."""
    part = file.with_name(f"{file.name}.part")
    if file.exists():
        return
    note = _read_note(file) if part.exists() and _note_of(file).exists() else _Note(next_url=url)
    try:
        yield from _append(transport, file, part, note, max_pages)
    except RefusedError as error:
        if error.status not in GONE or not note.pages:
            raise
        yield from _append(transport, file, part, _Note(next_url=url), max_pages)
    part.replace(file)


def _append(transport: Transport, file: Path, part: Path, note: _Note, max_pages: int) -> Iterator[_Note]:
    with part.open("ab") as out:
        out.truncate(note.bytes)  # what came after the last note is fetched again
        if note.next_url is None:
            return
        for page, next_url in pages_from(transport, note.next_url, number=note.pages, max_pages=max_pages):
            out.writelines(document_lines(page.body))
            out.flush()
            os.fsync(out.fileno())
            note = _add(note, page, next_url, out.tell())
            _write_note(file, note)
            yield note


def _add(note: _Note, page: Page, next_url: str | None, size: int) -> _Note:
    return _Note(
        next_url=next_url,
        bytes=size,
        pages=page.number,
        matches=note.matches + page.matches,
        included=note.included + page.included,
        outcomes=note.outcomes + page.outcomes,
        remarks=tuple(dict.fromkeys((*note.remarks, *page.remarks)))[:MOST_REMARKS],
    )


def _note_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.json")  # hidden: no source reads it


def _write_note(file: Path, note: _Note) -> None:
    aside = _note_of(file).with_suffix(".part")
    aside.write_bytes(msgspec.json.encode(note))
    aside.chmod(0o600)  # a search may name patients
    aside.replace(_note_of(file))


def _read_note(file: Path) -> _Note:
    return msgspec.json.decode(_note_of(file).read_bytes(), type=_Note)
