"""Forms: how resources stand in a file; FHIR Bundles and plain lists are given as lines of one resource each."""

from collections.abc import Iterator
from enum import Enum, auto

import msgspec

from features.reading.bundles import has_local_references, with_references
from features.reading.decode import UNREADABLE, resource_type_of

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_SUFFIXES = (".ndjson", ".jsonl")
BUNDLE_DEPTH = 2  # a Bundle in a Bundle is the answer to a batch of searches; one deeper is none that FHIR knows


class Form(Enum):
    """How the resources stand in a file."""

    LINES = auto()  # NDJSON: a resource on each line
    BUNDLES = auto()  # FHIR Bundles, each on its line, such as the pages of a search
    DOCUMENT = auto()  # one JSON value over many lines, or a list: of a Bundle, of resources, or a resource


class _Bundle(msgspec.Struct, frozen=True):
    entry: tuple[msgspec.Raw, ...] = ()


class _Entry(msgspec.Struct, frozen=True):
    resource: msgspec.Raw


_ANY = msgspec.json.Decoder(msgspec.Raw)
_LIST = msgspec.json.Decoder(tuple[msgspec.Raw, ...])
_BUNDLE = msgspec.json.Decoder(_Bundle)
_ENTRY = msgspec.json.Decoder(_Entry)

_NOT_JSON = (*UNREADABLE, RecursionError)


def form_of(name: str, head: bytes) -> Form:
    """Tell the form of a file from its name, without a suffix of compression, and from how it begins.

    A file that is called NDJSON is NDJSON, whatever its first line is, unless that is a whole Bundle.

    Args:
        name: of the file.
        head: its first bytes, at least the whole first line where that begins an object.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if text.startswith(b"[") and not is_called_lines(name):
        return Form.DOCUMENT
    first_line = text.partition(b"\n")[0]
    if _is_bundle(first_line):
        return Form.BUNDLES
    if is_called_lines(name) or not text.startswith(b"{") or _is_json(first_line):
        return Form.LINES
    return Form.DOCUMENT


def is_called_lines(name: str) -> bool:
    """Whether a file's name, without a suffix of compression, says that it is NDJSON."""
    return name.endswith(LINE_SUFFIXES)


def document_lines(document: bytes) -> Iterator[bytes]:
    """The resources of a list, of a Bundle, of a list of Bundles, or the one resource that the document is.

    What is no resource is given as it is, for whoever reads the lines counts what they cannot read; a document that is
    no JSON is one such line.
    """
    for value in _elements(document.removeprefix(BYTE_ORDER_MARK)):
        for resource in _unbundled(bytes(value)):
            yield resource.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def bundle_lines(lines: bytes) -> bytes:
    """The resources of the Bundles among whole lines, each on its line; other lines as they are."""
    return b"".join(
        resource + b"\n" for line in lines.removesuffix(b"\n").split(b"\n") for resource in _unbundled(line)
    )


def _elements(document: bytes) -> tuple[msgspec.Raw | bytes, ...]:
    if not document.lstrip().startswith(b"["):
        return (document,)
    try:
        return _LIST.decode(document)
    except _NOT_JSON:
        return (document,)


def _unbundled(value: bytes, *, depth: int = BUNDLE_DEPTH) -> Iterator[bytes]:
    """The resources of a Bundle, or the value itself; an entry without a resource is given as it is."""
    if not depth or not _is_bundle(value):
        yield value
        return
    try:
        entries = _BUNDLE.decode(value).entry
    except _NOT_JSON:  # its entries are no list
        yield value
        return
    for entry in with_references(entries) if has_local_references(value) else entries:
        try:
            resource = bytes(_ENTRY.decode(entry).resource)
        except _NOT_JSON:
            yield bytes(entry)
        else:
            yield from _unbundled(resource, depth=depth - 1)


def _is_bundle(value: bytes) -> bool:
    if b'"Bundle"' not in value:
        return False
    try:
        return resource_type_of(value) == "Bundle"
    except RecursionError:
        return False


def _is_json(value: bytes) -> bool:
    try:
        _ANY.decode(value)
    except _NOT_JSON:
        return False
    return True
