"""Sources of FHIR: which files of a folder are read, and their resources, with file and line of what could not be read.

A source is a folder (as it is, or as a bulk export left it), a file, the pages of a search, or a plain list. A FHIR
server is in `features.client`. docs/sources.md has an example of each.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from features.files.blocks import HEAD_BYTES, SourceError, first_line_of, head_of, read_blocks
from features.files.compressed import SUFFIXES, without_suffix
from features.files.forms import BYTE_ORDER_MARK, is_called_lines
from features.reading.decode import decode_lines, decode_or_refuse, decode_searchset
from features.reading.fhir import Medication, Resource
from features.refusals import Reason, Refusal, Refusals

__all__ = [
    "UNFINISHED_EXPORT",
    "Broken",
    "Found",
    "Ignored",
    "SourceError",
    "find_files",
    "ndjson_files",
    "read_list",
    "read_ndjson",
    "read_pages",
    "read_singly",
]

UNFINISHED_EXPORT = ".bedside-unfinished.json"
"""Stands in a folder for as long as an export into it is under way."""
EXPORT_ERRORS, EXPORT_DELETED = "export-errors", "export-deleted"
"""Folders in which an export keeps what the server said of it, and what is no longer there."""

_NO_RECORDS = {
    EXPORT_ERRORS: "what the server said of its export",
    EXPORT_DELETED: "what the export says was deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A line that is no FHIR resource that we could read; in a Bundle or a list, `line` counts the resources."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A file or folder that is not read, by its path within the folder that was asked for."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files of a source, medications first, for others refer to them; and what else lies there."""

    files: tuple[Path, ...]
    ignored: tuple[Ignored, ...] = ()


def find_files(path: Path) -> Found:
    """The files of FHIR in a folder and in its folders, whatever they are called, or the one file of that name.

    A file that is called NDJSON is taken, any other if it begins like FHIR JSON. Hidden ones are not read.

    Raises:
        SourceError: there is none, one cannot be opened, or an export into the folder is not finished.
    """
    if path.is_file():
        return Found(files=(path,))
    files, ignored = list[Path](), list[Ignored]()
    for file, why in _walk(path) if path.exists() else ():
        if why is None:
            files.append(file)
        else:
            ignored.append(Ignored(name=file.relative_to(path).as_posix(), why=why))
    if not files:
        suffixes = ", ".join(("", *SUFFIXES))
        raise SourceError(
            f"{path}: expected a FHIR NDJSON file, a FHIR Bundle or a list as JSON (plain{suffixes}), or a folder of "
            f"them; {len(ignored)} other files or folders are there."
        )
    files.sort(key=lambda file: (Medication.__name__ not in file.name, file.relative_to(path).parts))
    return Found(files=tuple(files), ignored=tuple(sorted(ignored, key=lambda one: one.name)))


def ndjson_files(path: Path) -> tuple[Path, ...]:
    """The files that `find_files` finds.

    Raises:
        SourceError: as there.
    """
    return find_files(path).files


def read_ndjson(
    file: Path,
    refusals: Refusals,
    *,
    on_broken: Callable[[Broken], None],
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Resource]:
    """The resources of one file.

    Args:
        file: plain, gzip or Zstandard; NDJSON, Bundles or a list.
        refusals: counts what is not read.
        on_broken: told of every malformed line; a type that is not read is no fault.
        on_bytes: told from time to time how many more bytes of the file were consumed, in the end of all of them.

    Raises:
        SourceError: the file cannot be opened, breaks off or is damaged; after all its whole lines were given.
    """
    for block in read_blocks(file, on_bytes=on_bytes):
        resources = decode_lines(block.data)
        if resources is not None:
            yield from resources
            continue
        first = first_line_of(block)
        yield from read_singly(
            block.data,
            refusals,
            on_broken=lambda line, first=first: on_broken(Broken(file=file.name, line=first + line)),  # type: ignore[misc]  # mypy infers no lambda with a default
        )


def read_singly(data: bytes, refusals: Refusals, *, on_broken: Callable[[int], None]) -> Iterator[Resource]:
    """The resources of lines of which one at least cannot be decoded, so that it costs itself alone.

    Args:
        data: whole lines.
        refusals: counts what is not read.
        on_broken: told of every malformed line, by its number in the data, from 0.
    """
    for number, line in enumerate(data.split(b"\n")):
        if not line or line.isspace():
            continue
        found = _decode_line(line)
        if not isinstance(found, Refusal):
            yield found
            continue
        refusals.add(*found)
        if found.reason is Reason.MALFORMED:
            on_broken(number)


def read_pages(pages: Iterable[bytes], refusals: Refusals) -> Iterator[Resource]:
    """The resources of a search: of each page, the entries of its Bundle; what is not read is counted."""
    for page in pages:
        try:
            yield from decode_searchset(page, refusals)
        except RecursionError:
            refusals.add(Reason.MALFORMED, detail="nested too deep")


def read_list(resources: Iterable[Mapping[str, Any] | bytes | str], refusals: Refusals) -> Iterator[Resource]:
    """The resources of a plain list, as Python's values or as JSON; what is not read is counted."""
    for resource in resources:
        found = _decode_line(_json(resource))
        if isinstance(found, Refusal):
            refusals.add(*found)
        else:
            yield found


def _decode_line(line: bytes) -> Resource | Refusal:
    try:
        return decode_or_refuse(line)
    except RecursionError:
        return Refusal(Reason.MALFORMED, detail="nested too deep")


def _json(resource: Mapping[str, Any] | bytes | str) -> bytes:
    if isinstance(resource, bytes):
        return resource
    return resource.encode() if isinstance(resource, str) else msgspec.json.encode(resource)


def _walk(path: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file below a folder with why it is not read, or None; a folder that is not entered stands for its files."""
    for parent, folders, names in os.walk(path, onerror=_raise):
        if UNFINISHED_EXPORT in names:
            raise SourceError(
                f"{parent}: an export into this folder is not finished. Run it again to go on with it; to read what is "
                f"there nevertheless, remove {UNFINISHED_EXPORT}."
            )
        for name in tuple(folders):
            folder = Path(parent, name)
            why = "hidden" if name.startswith(".") else "a link to a folder" if folder.is_symlink() else None
            why = why or _NO_RECORDS.get(name)
            if why is not None:
                folders.remove(name)
                yield folder, why
        for name in names:
            yield Path(parent, name), _why_not(Path(parent, name))


def _why_not(file: Path) -> str | None:
    if file.name.startswith("."):
        return "hidden"
    if not file.is_file():
        return "no file"
    if is_called_lines(without_suffix(file.name)):
        return None
    if not file.stat().st_size:
        return "empty"
    head = head_of(file)
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    is_fhir = text.startswith((b"{", b"[")) and b'"resourceType"' in text
    return None if is_fhir or not head else f"no FHIR JSON in its first {HEAD_BYTES // 1024} KiB"


def _raise(error: OSError) -> None:
    raise SourceError(f"{error.filename}: {error.strerror}.") from error
