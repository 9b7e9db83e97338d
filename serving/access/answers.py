"""Answers of a FHIR server: a page that can stand where the prefetch would, or the reason why not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from cds_hooks.prefetch import PrefetchStatus, classify
from cds_hooks.request import OBJECT_LIMIT
from features.client.errors import OtherOriginError
from features.client.failures import is_html
from features.client.urls import follow
from serving.access.reasons import NotObtained, Reason

OK = 200
SERVER_ERRORS = 500

_STATUSES = {
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    410: Reason.GONE,
    429: Reason.TOO_MANY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; `url` is where it came from in the end. Its repr shows nothing of a patient."""

    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A resource, or a page of a search.

    Attributes:
        raw: its JSON.
        entries: how many entries it has, whatever they are.
        next_url: where the search goes on, as the server wrote it.
    """

    raw: msgspec.Raw = field(repr=False)
    entries: int
    next_url: str | None = field(repr=False)


class _Head(msgspec.Struct, frozen=True):
    id: str | None = None


class _Entries(msgspec.Struct, frozen=True):
    entry: tuple[msgspec.Raw, ...] = ()


_HEAD = msgspec.json.Decoder(_Head)
_ENTRIES = msgspec.json.Decoder(_Entries)


def page_of(answer: Answer) -> Page:
    """An answer to a search.

    Raises:
        NotObtained: it is no searchset.
    """
    raw = _usable(answer)
    value = classify(raw)
    if value.status is not PrefetchStatus.SEARCHSET:
        raise NotObtained(_other(value.status))
    return Page(raw=raw, entries=len(_ENTRIES.decode(raw).entry), next_url=value.next_url)


def resource_of(answer: Answer, resource_type: str, logical_id: str) -> Page:
    """An answer to the read of a resource.

    Raises:
        NotObtained: it is no such resource.
    """
    raw = _usable(answer)
    value = classify(raw)
    if value.status is not PrefetchStatus.RESOURCE:
        raise NotObtained(_other(value.status))
    if value.resource_type != resource_type or _id_of(raw) != logical_id:
        raise NotObtained(Reason.OTHER_RESOURCE)
    return Page(raw=raw, entries=1, next_url=None)


def followed(link: str, *, seen_at: str, base: str) -> str:
    """The absolute URL of a link or redirect that may be followed.

    Args:
        link: absolute, or relative to where it was seen.
        seen_at: the URL whose answer names it.
        base: the FHIR server's base URL.

    Raises:
        NotObtained: it leads to another origin, or nowhere.
    """
    try:
        return follow(link, seen_at=seen_at, base=base)
    except (OtherOriginError, ValueError) as error:  # ValueError: brackets that do not close
        raise NotObtained(Reason.OTHER_ORIGIN) from error


def _usable(answer: Answer) -> msgspec.Raw:
    if answer.status != OK:
        other = Reason.SERVER_ERROR if answer.status >= SERVER_ERRORS else Reason.REFUSED
        raise NotObtained(_STATUSES.get(answer.status, other))
    if is_html(answer.headers, answer.body):
        raise NotObtained(Reason.HTML)
    if not _is_text(answer.body):
        raise NotObtained(Reason.NOT_FHIR)
    if answer.body.count(b"{") > OBJECT_LIMIT:  # 32 KiB of gzip may stand for ten million empty ones: seconds of work
        raise NotObtained(Reason.ENTRIES)
    return msgspec.Raw(answer.body)


def _is_text(body: bytes) -> bool:
    """Whether a body is UTF-8: of strings that are skipped unread nobody else would notice."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _other(status: PrefetchStatus) -> Reason:
    match status:
        case PrefetchStatus.OUTCOME:
            return Reason.OUTCOME
        case PrefetchStatus.RESOURCE | PrefetchStatus.SEARCHSET:
            return Reason.OTHER_RESOURCE
        case _:
            return Reason.NOT_FHIR


def _id_of(raw: msgspec.Raw) -> str | None:
    try:
        return _HEAD.decode(raw).id
    except msgspec.DecodeError:
        return None  # told as another resource than the one with the id
