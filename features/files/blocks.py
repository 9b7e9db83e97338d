"""Blocks of whole lines: how the bytes of files are read, in one process or shared by several.

A plain NDJSON file may be read by byte ranges: a line belongs to the range in which it begins, so that ranges that lie
side by side give every line once. Bundles and lists are given as lines too, one resource each, so that whoever reads
lines reads every file.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from features.files.compressed import DAMAGED, Compression, compression_of, decompressed, without_suffix
from features.files.forms import BYTE_ORDER_MARK, Form, bundle_lines, document_lines, form_of

BLOCK_BYTES = 4 * 2**20
RANGE_BYTES = 64 * 2**20
HEAD_BYTES = 2**16  # how much of a file is looked at to tell what it is
LONGEST_LINE = 2**28  # bytes: longer than the record of any patient, but a small file may decompress to anything
PIECE_BYTES = 2**17  # how much is decompressed at a time: what is lost where a file breaks off


class TooLongError(OSError):
    """A line or a document that would not be held in memory."""


class SourceError(Exception):
    """A path holds no FHIR, or a file breaks off; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines that stand together in a file.

    `data` ends with a line end. `offset` is where it begins, in bytes of the file or of what was compressed in it.
    `first_line` is the number of its first line, from 1; in Bundles and lists, of its first resource. It is None where
    a range of a file was read, for then nobody has counted: see `first_line_of`.
    """

    file: Path
    offset: int
    first_line: int | None
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A file, or a range of its bytes, for one process to read; `stop` is None for the rest of the file."""

    file: Path
    start: int = 0
    stop: int | None = None


def read_blocks(
    file: Path,
    *,
    start: int = 0,
    stop: int | None = None,
    block_bytes: int = BLOCK_BYTES,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Block]:
    """The whole lines of a file, or those that begin in the bytes [start, stop) of a plain NDJSON file.

    Args:
        file: plain, gzip or Zstandard; NDJSON, Bundles or a list.
        start: first byte of the range.
        stop: first byte after the range; None for the end of the file.
        block_bytes: about how long a block is; one line may be longer, and a document is read whole.
        on_bytes: told how many more bytes of the file were consumed, in the end of all of them, or of the range.

    Raises:
        SourceError: the file cannot be opened, breaks off or is damaged; after all its whole lines were given.
        ValueError: a range of a file that can only be read whole.
    """
    lines = 0
    try:
        with file.open("rb") as raw:
            for block in _blocks(file, raw, Share(file=file, start=start, stop=stop), block_bytes, on_bytes or _unseen):
                yield block
                lines += block.data.count(b"\n")
    except DAMAGED as error:
        raise SourceError(f"{file.name}: {_reason(error)}; {lines} lines before that were read whole.") from error


def shares(files: Sequence[Path], *, range_bytes: int = RANGE_BYTES) -> tuple[Share, ...]:
    """The work of reading files for several processes: long plain NDJSON files in ranges, all others whole.

    Raises:
        SourceError: a file cannot be opened.
    """
    return tuple(share for file in files for share in _shares(file, range_bytes))


def first_line_of(block: Block) -> int:
    """The number of a block's first line; of a block of a range, by reading what lies before it.

    Raises:
        SourceError: the file cannot be opened.
    """
    if block.first_line is not None:
        return block.first_line
    lines, left = 0, block.offset
    with _opened(block.file) as raw:
        while left and (piece := raw.read(min(left, BLOCK_BYTES))):
            lines += piece.count(b"\n")
            left -= len(piece)
    return lines + 1


def head_of(file: Path) -> bytes:
    """How a file begins, decompressed: its first bytes and, where they begin an object, its whole first line.

    Nothing where it is compressed and damaged from its start on: reading it says so.

    Raises:
        SourceError: it cannot be opened.
    """
    with _opened(file) as raw:
        return _head(file, raw)


@contextmanager
def _opened(file: Path) -> Iterator[io.BufferedReader]:
    try:
        with file.open("rb") as raw:
            yield raw
    except OSError as error:
        raise SourceError(f"{file.name}: {_reason(error)}.") from error


def _shares(file: Path, range_bytes: int) -> Iterator[Share]:
    with _opened(file) as raw:
        size = raw.seek(0, io.SEEK_END)
        raw.seek(0)
        if size <= range_bytes or not _has_ranges(file, raw):
            yield Share(file=file)
            return
    for start in range(0, size, range_bytes):
        yield Share(file=file, start=start, stop=min(start + range_bytes, size))


def _has_ranges(file: Path, raw: io.BufferedReader) -> bool:
    return _compression(file, raw) is None and form_of(file.name, _head(file, raw)) is Form.LINES


def _blocks(
    file: Path, raw: io.BufferedReader, share: Share, block_bytes: int, told: Callable[[int], None]
) -> Iterator[Block]:
    if _has_ranges(file, raw):
        yield from _read_range(raw, share, block_bytes, told)
    elif share.start or share.stop is not None:
        raise ValueError(f"{file.name}: only a plain NDJSON file can be read by ranges; take them from `shares`.")
    else:
        yield from _read_whole(file, raw, block_bytes, told)


def _read_range(raw: io.BufferedReader, share: Share, block_bytes: int, told: Callable[[int], None]) -> Iterator[Block]:
    offset, stop, line = share.start, share.stop, None if share.start else 1
    if share.start:
        raw.seek(share.start - 1)  # a line that begins at `start` is this range's: the byte before it ends another
        offset += len(raw.readline()) - 1
    while stop is None or offset < stop:
        data = raw.read(block_bytes if stop is None else min(block_bytes, stop - offset))
        if not data.endswith(b"\n"):
            data += raw.readline()
        if not data:
            return
        yield Block(file=share.file, offset=offset, first_line=line, data=_tidy(data, is_start=offset == 0))
        told(len(data))
        offset += len(data)
        line = None if line is None else line + data.count(b"\n")


def _read_whole(file: Path, raw: io.BufferedReader, block_bytes: int, told: Callable[[int], None]) -> Iterator[Block]:
    form = form_of(without_suffix(file.name), _head(file, raw))
    offset, line, reported = 0, 1, 0
    with _stream(file, raw) as stream:
        parts = _document(stream, block_bytes) if form is Form.DOCUMENT else _whole_lines(stream, block_bytes)
        for part in parts:
            data = _tidy(part, is_start=offset == 0)
            data = bundle_lines(data) if form is Form.BUNDLES else data
            yield Block(file=file, offset=offset, first_line=line, data=data)
            told(raw.tell() - reported)
            reported = raw.tell()
            offset += len(part)
            line += data.count(b"\n")
        told(raw.tell() - reported)


def _document(stream: io.BufferedIOBase, block_bytes: int) -> Iterator[bytes]:
    kept, whole = bytearray(), stream.read(LONGEST_LINE + 1)
    if len(whole) > LONGEST_LINE:
        raise TooLongError(f"expected a JSON document of at most {LONGEST_LINE:,} bytes; send its resources as NDJSON")
    for line in document_lines(whole):
        kept += line
        if len(kept) >= block_bytes:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


def _whole_lines(stream: io.BufferedIOBase, block_bytes: int) -> Iterator[bytes]:
    """Blocks of whole lines; those before a damage are given before it is raised."""
    kept = bytearray()
    try:
        while piece := stream.read1(PIECE_BYTES):
            kept += piece
            if len(kept) >= block_bytes and b"\n" in piece:
                yield _cut(kept)
            if len(kept) > LONGEST_LINE:
                raise TooLongError(f"expected lines of at most {LONGEST_LINE:,} bytes; this is no NDJSON")
    except DAMAGED:
        if b"\n" in kept:
            yield _cut(kept)
        raise
    if kept:
        yield bytes(kept)


def _cut(kept: bytearray) -> bytes:
    """Take the whole lines off what was kept."""
    end = kept.rfind(b"\n") + 1
    lines = bytes(kept[:end])
    del kept[:end]
    return lines


def _head(file: Path, raw: io.BufferedReader) -> bytes:
    head = bytearray()
    with suppress(*DAMAGED), _stream(file, raw) as stream:  # whoever reads the file is told of its damage
        while piece := stream.read1(PIECE_BYTES):
            head += piece
            begins_object = head[:HEAD_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"{")
            if len(head) >= HEAD_BYTES and (b"\n" in piece or not begins_object):
                break
    raw.seek(0)
    return bytes(head)


@contextmanager
def _stream(file: Path, raw: io.BufferedReader) -> Iterator[io.BufferedIOBase]:
    compression = _compression(file, raw)
    if compression is None:
        yield raw
        return
    with decompressed(raw, compression) as stream:
        yield stream


def _compression(file: Path, raw: io.BufferedReader) -> Compression | None:
    raw.seek(0)
    start = raw.read(4)
    raw.seek(0)
    return compression_of(file.name, start)


def _tidy(data: bytes, *, is_start: bool) -> bytes:
    """Without the mark that Windows puts at a text's start, and with an end to the file's last line."""
    if is_start:
        data = data.removeprefix(BYTE_ORDER_MARK)
    return data if data.endswith(b"\n") else data + b"\n"


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _unseen(_: int) -> None:
    """Nobody watches."""
