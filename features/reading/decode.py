"""Decoding: bytes become the typed structs of `features.reading.fhir`; what cannot be decoded is counted."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from features.reading.bundles import LOCAL, has_local_references, with_references
from features.reading.fhir import KNOWN_TYPES, Resource
from features.refusals import Reason, Refusal, Refusals

Part = TypeVar("Part")

# FHIR's resource types are named by letters alone; anything else is not echoed into a report or a log.
LONGEST_TYPE_NAME = 64

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""Malformed JSON, a wrong type or a number out of range; text that is no UTF-8.

What nests too deep to be decoded raises RecursionError, which is no remark on one resource but on the whole: it goes
to the caller.
"""


class _Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    fullUrl: str = ""  # noqa: N815
    resource: Resource


class _Searchset(msgspec.Struct, frozen=True, gc=False, tag_field="resourceType", tag="Bundle"):
    entry: tuple[_Entry, ...] = ()


class _RawEntry(msgspec.Struct, frozen=True, gc=False):
    resource: msgspec.Raw  # never "Raw | None": msgspec then refuses every resource


class _RawSearchset(msgspec.Struct, frozen=True, gc=False):
    entry: tuple[msgspec.Raw, ...] = ()


class _Head(msgspec.Struct, frozen=True, gc=False):
    resourceType: str | None = None  # noqa: N815


_RESOURCE = msgspec.json.Decoder(Resource)
_RESOURCE_OR_SEARCHSET = msgspec.json.Decoder(Resource | _Searchset)
_RAW_SEARCHSET = msgspec.json.Decoder(_RawSearchset)
_RAW_ENTRY = msgspec.json.Decoder(_RawEntry)
_HEAD = msgspec.json.Decoder(_Head)


def decode_resource(raw: bytes | msgspec.Raw, refusals: Refusals) -> Resource | None:
    """Decode one resource; one of a type that is not read, or with a field of a wrong type, is counted instead.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    found = decode_or_refuse(raw)
    if isinstance(found, Refusal):
        refusals.add(*found)
        return None
    return found


def decode_or_refuse(raw: bytes | msgspec.Raw) -> Resource | Refusal:
    """Decode one resource, or say why not.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    try:
        resource: Resource = _RESOURCE.decode(raw)
    except UNREADABLE as error:
        resource_type = resource_type_of(raw)
        if resource_type is None or resource_type in KNOWN_TYPES:
            return Refusal(Reason.MALFORMED, detail=where(error, resource_type))
        return Refusal(Reason.RESOURCE_NOT_READ, detail=resource_type)
    return resource


def decode_lines(block: bytes) -> list[Resource] | None:
    """The resources of whole NDJSON lines; None if any of them cannot be decoded, so that they are taken singly."""
    try:
        return _RESOURCE.decode_lines(block)
    except (*UNREADABLE, RecursionError):
        return None


def decode_searchset(raw: bytes | msgspec.Raw, refusals: Refusals) -> Sequence[Resource]:
    """Decode the entries of a FHIR Bundle, or a single resource.

    The fast way decodes all entries at once. Only if one of them is of another type or malformed, or has an address
    by which others may refer to it, are they decoded one by one, so that one bad entry costs itself and not its
    neighbours. A Bundle within a Bundle, as a server answers a batch of searches, is opened; one within that is not,
    and is counted.

    Raises:
        RecursionError: it nests deeper than can be decoded.
    """
    try:
        found: Resource | _Searchset = _RESOURCE_OR_SEARCHSET.decode(raw)
    except UNREADABLE:
        return list(_decode_one_by_one(raw, refusals))
    if not isinstance(found, _Searchset):
        return (found,)
    if LOCAL in "|".join([entry.fullUrl for entry in found.entry]):
        return list(_decode_one_by_one(raw, refusals))
    return [entry.resource for entry in found.entry]


def decode_part(raw: msgspec.Raw | bytes, part: type[Part]) -> Part | None:
    """A field that was left undecoded, as what it should be; None if it is not."""
    try:
        return msgspec.json.decode(raw, type=part)
    except UNREADABLE:
        return None


def resource_type_of(raw: bytes | msgspec.Raw) -> str | None:
    """The resourceType of a JSON object if it reads like one, else None."""
    try:
        name = _HEAD.decode(raw).resourceType
    except UNREADABLE:
        return None
    if name is None or not name.isascii() or not name.isalpha() or len(name) > LONGEST_TYPE_NAME:
        return None
    return name


def _decode_one_by_one(raw: bytes | msgspec.Raw, refusals: Refusals) -> Iterator[Resource]:
    if resource_type_of(raw) != "Bundle":
        resources: Iterable[bytes | msgspec.Raw] = (raw,)
    else:
        resources = chain.from_iterable(_opened(resource, refusals) for resource in _raw_entries(raw, refusals))
    for resource in resources:
        decoded = decode_resource(resource, refusals)
        if decoded is not None:
            yield decoded


def _opened(resource: msgspec.Raw, refusals: Refusals) -> Iterable[msgspec.Raw]:
    """The entries of a Bundle within a Bundle; any other resource itself."""
    is_bundle = b'"Bundle"' in bytes(resource) and resource_type_of(resource) == "Bundle"
    return _raw_entries(resource, refusals) if is_bundle else (resource,)


def _raw_entries(raw: bytes | msgspec.Raw, refusals: Refusals) -> Iterator[msgspec.Raw]:
    try:
        entries = _RAW_SEARCHSET.decode(raw).entry
    except UNREADABLE as error:
        refusals.add(Reason.MALFORMED, detail=where(error, "Bundle"))
        return
    for entry in with_references(entries) if has_local_references(raw) else entries:
        try:
            yield _RAW_ENTRY.decode(entry).resource
        except UNREADABLE:
            refusals.add(Reason.MALFORMED, detail="Bundle.entry")


def where(error: Exception, resource_type: str | None) -> str:
    """The resource type and the path that msgspec names; never the text around it, which may hold a value."""
    if resource_type is None:
        return "JSON"
    _, found, path = str(error).rpartition(" - at `$")
    return f"{resource_type}{path.rstrip('`') if found else ''}"
