"""Prefetch as the protocol sees it: the state in which each key came back. Templates are in cds_hooks.templates.

Source: CDS Hooks 2.0.1, Prefetch Template. Which keys a model needs is not decided here, nor what a resource means.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from features.reading.scan.searchset import Searchset


class PrefetchStatus(StrEnum):
    """The six ways in which a prefetch key can come back; no two of them mean the same."""

    ABSENT = "absent"  # not sent: the client did not satisfy it
    NULL = "null"  # the client has no such data
    OUTCOME = "outcome"  # an OperationOutcome: the client could not read it
    RESOURCE = "resource"  # the resource of an instance read
    SEARCHSET = "searchset"  # the Bundle of a search, perhaps with no match, perhaps the first of several pages
    INVALID = "invalid"  # nothing that may stand here


_USABLE = frozenset({PrefetchStatus.NULL, PrefetchStatus.RESOURCE, PrefetchStatus.SEARCHSET})
_FAILED = frozenset({PrefetchStatus.OUTCOME, PrefetchStatus.INVALID})


class PrefetchValue(msgspec.Struct, frozen=True, kw_only=True):
    """What came under one key.

    `matches`: entries of a searchset that are neither included resources nor outcomes. `next_url`: where the
    searchset goes on, as the client wrote it; a searchset with a next page is not complete.
    """

    status: PrefetchStatus
    resource_type: str | None = None
    matches: int = 0
    next_url: str | None = None


class PrefetchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came under each key of the service's templates; `unknown` are keys that no template has."""

    values: dict[str, PrefetchValue]
    unknown: tuple[str, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        """Keys with an answer: a resource, a searchset (even empty), or null for "no such data"."""
        return self._with(_USABLE)

    @property
    def absent(self) -> tuple[str, ...]:
        """Keys that were not sent; only these may be asked of the FHIR server."""
        return self._with(frozenset({PrefetchStatus.ABSENT}))

    @property
    def failed(self) -> tuple[str, ...]:
        """Keys that the client could not read, or filled with something else than FHIR."""
        return self._with(_FAILED)

    @property
    def paged(self) -> tuple[str, ...]:
        """Keys whose searchset has a next page: usable, but not all there is."""
        return tuple(key for key, value in self.values.items() if value.next_url is not None)

    def _with(self, statuses: frozenset[PrefetchStatus]) -> tuple[str, ...]:
        return tuple(key for key, value in self.values.items() if value.status in statuses)


class _Search(msgspec.Struct, frozen=True, gc=False):
    mode: str | None = None


class _Entry(msgspec.Struct, frozen=True, gc=False):
    search: _Search | None = None


class _BundleLink(msgspec.Struct, frozen=True, gc=False):
    relation: str | None = None
    url: str | None = None


class _Peek(msgspec.Struct, frozen=True, rename="camel"):
    """The few elements that tell what a prefetched value is; everything else is skipped unread."""

    resource_type: str
    type: msgspec.Raw = msgspec.Raw(b"null")  # Bundle.type is a string, other resources have a concept here
    entry: tuple[_Entry, ...] | None = None
    link: msgspec.Raw = msgspec.Raw(b"null")  # Bundle.link; Patient.link is something else


_PEEK = msgspec.json.Decoder(_Peek)
_LINKS: msgspec.json.Decoder[tuple[_BundleLink, ...] | None] = msgspec.json.Decoder(tuple[_BundleLink, ...] | None)
# A missing type is tolerated: real clients leave it out.
_SEARCHSET_TYPES = frozenset({b'"searchset"', b"null"})


def classify(raw: msgspec.Raw | Searchset | None) -> PrefetchValue:
    """Tell what came under a prefetch key (None: the key is absent) without reading more than is needed.

    A searchset that was read already is not read again.
    """
    if raw is None:
        return PrefetchValue(status=PrefetchStatus.ABSENT)
    if isinstance(raw, Searchset):
        return _classify_searchset(raw)
    if bytes(raw) == b"null":
        return PrefetchValue(status=PrefetchStatus.NULL)
    try:
        return _classify_resource(_PEEK.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The key is counted as failed in the report; the caller decides whether it can do without.
        return PrefetchValue(status=PrefetchStatus.INVALID)


def _classify_searchset(searchset: Searchset) -> PrefetchValue:
    if searchset.type not in {"searchset", None}:
        return PrefetchValue(status=PrefetchStatus.INVALID, resource_type="Bundle")
    try:
        next_url = _next_url(searchset.link or b"null")
    except (msgspec.MsgspecError, RecursionError):
        return PrefetchValue(status=PrefetchStatus.INVALID)
    status = PrefetchStatus.SEARCHSET
    return PrefetchValue(status=status, resource_type="Bundle", matches=searchset.matches, next_url=next_url)


def _classify_resource(peek: _Peek) -> PrefetchValue:
    if peek.resource_type == "OperationOutcome":
        return PrefetchValue(status=PrefetchStatus.OUTCOME, resource_type=peek.resource_type)
    if peek.resource_type != "Bundle":
        status = PrefetchStatus.RESOURCE if peek.resource_type else PrefetchStatus.INVALID
        return PrefetchValue(status=status, resource_type=peek.resource_type or None)
    if bytes(peek.type) not in _SEARCHSET_TYPES:
        return PrefetchValue(status=PrefetchStatus.INVALID, resource_type=peek.resource_type)
    return PrefetchValue(
        status=PrefetchStatus.SEARCHSET,
        resource_type=peek.resource_type,
        matches=sum(_is_match(entry) for entry in peek.entry or ()),
        next_url=_next_url(peek.link),
    )


def _is_match(entry: _Entry) -> bool:
    return entry.search is None or entry.search.mode in {None, "match"}


def _next_url(links: bytes | msgspec.Raw) -> str | None:
    for link in _LINKS.decode(links) or ():
        if link.relation == "next":
            return link.url
    return None


def check_prefetch(templates: Mapping[str, str], prefetch: Mapping[str, msgspec.Raw | Searchset]) -> PrefetchReport:
    """Compare what was sent with a service's templates: any key may be absent, null, failed or half there."""
    return PrefetchReport(
        values={key: classify(prefetch.get(key)) for key in templates},
        unknown=tuple(key for key in prefetch if key not in templates),
    )
