"""Download: one file of an export, written aside, gone on with after an interruption, renamed when it is whole."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from features.client.errors import NotFhirError, PassingError
from features.client.failures import failure, html_error, is_html
from features.client.transport import Request, Streaming, Transport
from features.client.urls import Origin, shown

ACCEPT = "application/fhir+ndjson, application/ndjson;q=0.9, */*;q=0.1"
WHOLE, PART, UNSATISFIABLE = 200, 206, 416
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Of what the bytes in a part are the beginning."""

    url: str
    validator: str | None
    encoding: str
    size: int | None


def finished(path: Path) -> Path | None:
    """Where a file is that was downloaded whole, plain or as it was compressed for the way; None if it is not."""
    return next((file for file in (path, _compressed(path)) if file.is_file()), None)


def download(
    transport: Transport,
    url: str,
    path: Path,
    *,
    with_token: bool,
    other_origins: frozenset[Origin],
    on_bytes: Callable[[int], None],
) -> Path:
    """Download a file to `path`, or to that with `.gz` if the server compressed it for the way.

    What an earlier call has left is gone on with if the server gives ranges and the file is still the same, by its
    ETag or its date.

    Args:
        transport: to the server.
        url: of the file.
        path: of the file to be; beside it lie for a while its beginning (`.part`) and what that is of (`.part.json`).
        with_token: whether the server wants a token for it.
        other_origins: that may be asked, without a token.
        on_bytes: told how many bytes of the file are there.

    Raises:
        UnavailableError: patience ended without another byte.
        ClientError: the server refuses, or sends something else.
    """
    part, note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    request = Request(
        url=url,
        headers={"Accept": ACCEPT, "Accept-Encoding": "gzip"},
        with_token=with_token,
        other_origins=other_origins,
    )
    origin = transport.persist(
        lambda: _attempt(transport, request, part, note, on_bytes),
        progress=lambda: part.stat().st_size if part.exists() else 0,
    )
    whole = _compressed(path) if origin.encoding == "gzip" else path
    part.replace(whole)
    note.unlink()
    return whole


def _attempt(
    transport: Transport, request: Request, part: Path, note: Path, on_bytes: Callable[[int], None]
) -> _Origin:
    known = _known(part, note, request.url)
    have = part.stat().st_size if known else 0
    if known is not None and known.validator is not None:
        asked = {**request.headers, "Range": f"bytes={have}-", "If-Range": known.validator}
        request = replace(request, headers=asked)
    with transport.stream(request) as streaming:
        if known is not None and streaming.status == UNSATISFIABLE and _total(streaming.headers) == have:
            return known
        if known is not None and streaming.status == PART:
            _check_goes_on(streaming, known, have, part)
            origin = known
        else:
            origin, have = _begin(streaming, request.url, part, note), 0
        _append(streaming, part, have, on_bytes)
    _check_whole(part, origin)
    return origin


def _begin(streaming: Streaming, url: str, part: Path, note: Path) -> _Origin:
    """The file from its start on: note of what, before there is a byte of it."""
    if streaming.status == UNSATISFIABLE and part.exists():
        part.unlink(missing_ok=True)
        raise PassingError(f"{shown(url)}: another range came than was asked for; the file is fetched from its start.")
    if streaming.status != WHOLE:
        raise failure(streaming.status, streaming.headers, streaming.read(), url)
    if is_html(streaming.headers, b""):
        raise html_error(url, streaming.status)
    encoding = streaming.headers.get("content-encoding", "identity").lower()
    if encoding not in {"gzip", "identity"}:
        raise NotFhirError(f"{shown(url)}: expected a file as it is or with gzip, got another encoding.")
    length = streaming.headers.get("content-length")
    origin = _Origin(
        url=url, validator=_validator(streaming.headers), encoding=encoding, size=int(length) if length else None
    )
    part.unlink(missing_ok=True)
    note.write_bytes(msgspec.json.encode(origin))
    return origin


def _append(streaming: Streaming, part: Path, have: int, on_bytes: Callable[[int], None]) -> None:
    with part.open("ab" if have else "wb") as file:
        try:
            for chunk in streaming.chunks():
                file.write(chunk)
                have += len(chunk)
                on_bytes(have)
        finally:
            file.flush()  # what came before a break is kept
            os.fsync(file.fileno())


def _check_goes_on(streaming: Streaming, known: _Origin, have: int, part: Path) -> None:
    found = _CONTENT_RANGE.fullmatch(streaming.headers.get("content-range", ""))
    starts_there = found is not None and found[1] is not None and int(found[1]) == have
    same_size = known.size is None or _total(streaming.headers) in {None, known.size}
    same_encoding = streaming.headers.get("content-encoding", "identity").lower() == known.encoding
    if not (starts_there and same_size and same_encoding):
        part.unlink()
        raise PassingError(
            f"{shown(known.url)}: another range came than was asked for; the file is fetched from its start."
        )


def _check_whole(part: Path, origin: _Origin) -> None:
    size = part.stat().st_size
    if origin.size is not None and size != origin.size:
        if size > origin.size:
            part.unlink()
        raise PassingError(f"{shown(origin.url)}: expected {origin.size} bytes, got {size}.")


def _known(part: Path, note: Path, url: str) -> _Origin | None:
    """Of what a part is the beginning, if it can be gone on with."""
    if not part.exists() or not note.exists():
        return None
    try:
        found = msgspec.json.decode(note.read_bytes(), type=_Origin)
    except msgspec.DecodeError:
        return None  # written by halves: the file is fetched from its start
    return found if found.url == url and found.validator is not None and part.stat().st_size else None


def _validator(headers: Mapping[str, str]) -> str | None:
    """What tells that a file is still the same, for If-Range (RFC 9110, section 13.1.5): no weak ETag."""
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    return headers.get("last-modified")


def _total(headers: Mapping[str, str]) -> int | None:
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    return int(found[2]) if found is not None and found[2] != "*" else None


def _compressed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")
