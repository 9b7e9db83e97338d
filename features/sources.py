"""FHIR NDJSON: the files of a folder as resources, with file and line of everything that could not be read."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from features.fhir import Medication, Resource, decode_or_refuse
from features.refusals import Reason, Refusal, Refusals

SUFFIXES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
LINES_PER_REPORT = 1_000


class SourceError(Exception):
    """A path holds no FHIR NDJSON, or a file breaks off; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A line that is no FHIR resource that we could read."""

    file: str
    line: int


def ndjson_files(path: Path) -> tuple[Path, ...]:
    """The NDJSON files of a folder, or the one file that the path names; medications first, for others refer to them.

    Raises:
        SourceError: there is none.
    """
    files = [path] if path.is_file() else [file for file in path.glob("*") if file.name.endswith(SUFFIXES)]
    if not files:
        raise SourceError(f"{path}: expected a FHIR NDJSON file or a folder of them ({', '.join(SUFFIXES)}).")
    return tuple(sorted(files, key=lambda file: (Medication.__name__ not in file.name, file.name)))


def read_ndjson(
    file: Path,
    refusals: Refusals,
    *,
    on_broken: Callable[[Broken], None],
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Resource]:
    """The resources of one file.

    Args:
        file: plain or gzip.
        refusals: counts what is not read.
        on_broken: told of every malformed line; a type that is not read is no fault.
        on_bytes: told from time to time how many more bytes of the file were consumed, in the end of all of them.

    Raises:
        SourceError: the file cannot be opened, or is a gzip file that breaks off or is damaged.
    """
    try:
        with file.open("rb") as raw, _lines(file, raw) as lines:
            reported = 0
            for number, line in enumerate(lines, start=1):
                if on_bytes is not None and number % LINES_PER_REPORT == 0:
                    on_bytes(raw.tell() - reported)
                    reported = raw.tell()
                if line.isspace():
                    continue
                found = _decode_line(line)
                if not isinstance(found, Refusal):
                    yield found
                    continue
                refusals.add(*found)
                if found.reason is Reason.MALFORMED:
                    on_broken(Broken(file=file.name, line=number))
            if on_bytes is not None:
                on_bytes(raw.tell() - reported)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{file.name}: {error}") from error


def _decode_line(line: bytes) -> Resource | Refusal:
    try:
        return decode_or_refuse(line)
    except RecursionError:
        return Refusal(Reason.MALFORMED, detail="nested too deep")


def _lines(file: Path, raw: BinaryIO) -> AbstractContextManager[Iterable[bytes]]:
    return gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else nullcontext(raw)
