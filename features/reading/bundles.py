"""References within a Bundle: entries that have no address on a server yet refer to one another by `urn:uuid:…`.

FHIR R4, Bundle, 2.36.4.1 "Resolving references in Bundles": such a reference means the entry of that `fullUrl`. Whoever
reads resources one by one no longer sees the entries, so these references become `Type/id` before.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

LOCAL = "urn:uuid:"
"""How an address begins that holds in one Bundle alone."""

_LOCAL_URL = re.compile(rb'"fullUrl"\s*:\s*"urn:uuid:')
_LOCAL_REFERENCE = re.compile(rb'("reference"\s*:\s*")(urn:uuid:[^"\\]+)"')

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class _Head(msgspec.Struct, frozen=True, gc=False):
    resourceType: str  # noqa: N815
    id: str | None = None


class _Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    fullUrl: str  # noqa: N815
    resource: msgspec.Raw


_ENTRY = msgspec.json.Decoder(_Entry)
_HEAD = msgspec.json.Decoder(_Head)


def has_local_references(bundle: bytes | msgspec.Raw) -> bool:
    """Whether the entries of a Bundle, as JSON, may refer to one another by addresses of their own.

    Asked of every page of every search: most have none of these words, and finding that out costs next to nothing.
    """
    text = bytes(bundle)
    return b'"urn:uuid:' in text and _LOCAL_URL.search(text) is not None


def with_references(entries: Iterable[msgspec.Raw]) -> Sequence[msgspec.Raw]:
    """The entries of one Bundle, with references among them as `Type/id`.

    A resource without an id, as in a transaction, gets the last part of its address for one, so that it can be found.
    """
    names: dict[bytes, bytes] = {}
    found = [_with_id(bytes(entry), names) for entry in entries]

    def renamed(match: re.Match[bytes]) -> bytes:
        return match[1] + names.get(match[2], match[2]) + b'"'

    return [msgspec.Raw(_LOCAL_REFERENCE.sub(renamed, entry)) for entry in found]


def _with_id(entry: bytes, names: dict[bytes, bytes]) -> bytes:
    """The entry, its resource with an id; `names` learns what its address stands for."""
    try:
        read = _ENTRY.decode(entry)
        head = _HEAD.decode(read.resource)
    except _UNREADABLE:  # whoever decodes the entry counts it
        return entry
    if not read.fullUrl.startswith(LOCAL):
        return entry
    name = head.id or read.fullUrl.rpartition(":")[2]
    names[read.fullUrl.encode()] = msgspec.json.encode(f"{head.resourceType}/{name}")[1:-1]
    if head.id is not None:
        return entry
    resource = bytes(read.resource)
    identified = b'{"id":' + msgspec.json.encode(name) + b"," + resource.removeprefix(b"{")
    return entry.replace(resource, identified, 1)
