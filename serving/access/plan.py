"""Plan: of a call's prefetch, what is there, what is to be read, and what cannot be had by reading either. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec

from cds_hooks.prefetch import PrefetchStatus, PrefetchValue, classify
from cds_hooks.templates import Template
from features.reading.scan.searchset import Searchset
from serving.access.reasons import Failure, Failures, Reason, missing_data

Pages: TypeAlias = tuple[msgspec.Raw | Searchset, ...]
"""What a key holds: one resource, the pages of a search, or nothing where there is no such data."""

Enough: TypeAlias = Callable[[str, msgspec.Raw | Searchset], bool]
"""Whether a page of a key goes back so far that no next page matters."""


class Wanted(NamedTuple):
    """A key to read: whole, or from the next link of the page that came."""

    template: Template
    next_url: str | None = None

    @property
    def failure(self) -> Failure:
        """What is told of it if it cannot be had."""
        return Failure.NOT_SENT if self.next_url is None else Failure.PAGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What came under each key, and what to do about the rest.

    Attributes:
        sent: what came, as far as it can be used.
        wanted: what was not sent, or sent in part. Empty if a failure makes reading pointless.
        failures: keys that are not asked for again, for the client could not read them either.
    """

    sent: Mapping[str, Pages] = field(repr=False)
    wanted: Mapping[str, Wanted]
    failures: Failures

    def without_access(self) -> "Completed":
        """What comes of it where nothing can be read."""
        lacking = {key: (wanted.failure, Reason.NO_ACCESS) for key, wanted in self.wanted.items()}
        return Completed(pages=self.sent, failures={**self.failures, **lacking})


class Reading(NamedTuple):
    """What reading for one call came to: requests, of which one that had to be sent twice is one; and its time."""

    requests: int
    duration_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What is there in the end.

    Attributes:
        pages: by key, as the prefetch would hold them.
        failures: keys that could not be had; then there is no answer.
        read: keys that were read, wholly or in part, from the FHIR server.
        reading: what that came to; None where nothing was tried.
    """

    pages: Mapping[str, Pages] = field(repr=False)
    failures: Failures
    read: frozenset[str] = frozenset()
    reading: Reading | None = None

    def resources(self) -> list[msgspec.Raw | Searchset]:
        """Everything, for `serving.assess.assess`.

        Raises:
            MissingData: a key could not be had.
        """
        if self.failures:
            raise missing_data(self.failures)
        return [page for pages in self.pages.values() for page in pages]


def make_plan(
    templates: Mapping[str, Template], prefetch: Mapping[str, msgspec.Raw | Searchset], enough: Enough
) -> Plan:
    """Compare what was sent with a service's templates.

    A key that is null or an OperationOutcome is not asked for again: the client has no such data, or could not read it
    (CDS Hooks 2.0.1, Prefetch Template). If one of the latter makes an answer impossible, nothing is read at all.
    """
    values = {key: classify(prefetch.get(key)) for key in templates}
    failures = {
        key: (Failure.UNUSABLE, _UNUSABLE[one.status]) for key, one in values.items() if one.status in _UNUSABLE
    }
    wanted: dict[str, Wanted] = {}
    for key, value in values.items():
        if value.status is PrefetchStatus.ABSENT:
            wanted[key] = Wanted(templates[key])
        elif value.next_url is not None and not enough(key, prefetch[key]):
            wanted[key] = Wanted(templates[key], value.next_url)
    if failures:
        failures |= {key: (one.failure, Reason.NOT_ASKED) for key, one in wanted.items()}
        wanted = {}
    pages = {key: _pages(prefetch[key], value) for key, value in values.items() if value.status in _SENT}
    return Plan(sent=pages, wanted=wanted, failures=failures)


_UNUSABLE = {PrefetchStatus.OUTCOME: Reason.SENT_OUTCOME, PrefetchStatus.INVALID: Reason.SENT_INVALID}
_SENT = frozenset({PrefetchStatus.NULL, PrefetchStatus.RESOURCE, PrefetchStatus.SEARCHSET})


def _pages(sent: msgspec.Raw | Searchset, value: PrefetchValue) -> Pages:
    return () if value.status is PrefetchStatus.NULL else (sent,)
