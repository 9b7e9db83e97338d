"""Search: the pages of a FHIR search, one after another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from features.client.errors import NotFhirError, RefusedError
from features.client.failures import failure, html_error, is_html, remarks
from features.client.transport import Answer, Request, Transport
from features.client.urls import follow, query, query_values, shown

LONGEST_URL = 2_000  # characters; some servers and proxies refuse longer ones
MOST_PAGES = 100_000
OK = 200

Parameters = Sequence[tuple[str, str]]

# FHIR R4, search, "Handling Errors": a parameter that the server does not know is an error, not left out in silence.
_STRICT = {"Prefer": "handling=strict"}

# What a comma means "or" in: only such a list gives the same matches in parts. Parameters that begin with "_" order,
# count or include, but for these; "not" turns an "or" around.
_SPLIT_DESPITE_UNDERSCORE = frozenset({"_id", "_type"})
_NEVER_SPLIT_SUFFIXES = (":not", ":not-in", ":missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page as it was sent, and how many entries of it are matches, are included, or are remarks of the server.

    `total` is what the server says of the whole search, if it does.
    """

    number: int
    body: bytes = field(repr=False)
    matches: int
    included: int
    outcomes: int
    remarks: tuple[str, ...]
    total: int | None


class _Mode(msgspec.Struct, frozen=True):
    mode: str | None = None


class _Head(msgspec.Struct, frozen=True):
    resourceType: str | None = None  # noqa: N815


class _Entry(msgspec.Struct, frozen=True):
    search: _Mode = _Mode()
    resource: msgspec.Raw = msgspec.Raw(b"{}")


class _Link(msgspec.Struct, frozen=True):
    relation: str = ""
    url: str = ""


class _Searchset(msgspec.Struct, frozen=True, tag_field="resourceType", tag="Bundle"):
    entry: tuple[_Entry, ...] = ()
    link: tuple[_Link, ...] = ()
    total: int | None = None


_SEARCHSET = msgspec.json.Decoder(_Searchset)
_HEAD = msgspec.json.Decoder(_Head)


def search(
    transport: Transport, resource_type: str, parameters: Parameters, *, max_pages: int = MOST_PAGES
) -> Iterator[Page]:
    """The pages of a search; of several searches where its URL would be too long for one, see `split`.

    A resource that matches in two parts of a split search is given twice.

    Args:
        transport: to the server.
        resource_type: such as `Observation`.
        parameters: names and values, values not yet escaped for a URL.
        max_pages: of all parts together; more of them is an error, never an end in silence.

    Raises:
        ClientError: the server does not answer with a searchset, or names a next page that we may not ask for.
    """
    number = 0
    for url in search_urls(transport.base, resource_type, parameters):
        for page, _ in pages_from(transport, url, number=number, max_pages=max_pages):
            number = page.number
            yield page


def search_urls(base: str, resource_type: str, parameters: Parameters) -> tuple[str, ...]:
    """The first pages of a search, or of the searches that it is split into.

    Raises:
        RefusedError: it is too long and cannot be split.
    """
    start = f"{base}/{resource_type}"
    parts = split(parameters, longest=LONGEST_URL - len(start) - 1)
    return tuple(f"{start}?{query(part)}" if part else start for part in parts)


def pages_from(
    transport: Transport, first: str, *, number: int = 0, max_pages: int = MOST_PAGES
) -> Iterator[tuple[Page, str | None]]:
    """The pages from a URL on, each with where the next one is; `number` were there before.

    Raises:
        ClientError: as `search`.
    """
    url: str | None = first
    seen = set[str]()
    while url is not None:
        if url in seen:
            raise NotFhirError(f"{shown(url)}: page {number} names an earlier one as the next: no end is in sight.")
        seen.add(url)
        number += 1
        if number > max_pages:
            raise RefusedError(
                f"{shown(first)}: expected at most {max_pages} pages, and there are more. Ask for less, for more on a "
                "page (_count), or allow more pages."
            )
        page, url = read_page(transport.send(Request(url=url, headers=_STRICT)), number, base=transport.base)
        yield page, url


def split(parameters: Parameters, *, longest: int) -> Iterator[Parameters]:
    """Searches that together find the same, each with a query of at most `longest` characters.

    The longest list of alternatives is halved until it fits.

    Raises:
        RefusedError: no list of alternatives is left to halve.
    """
    if len(query(parameters)) <= longest:
        yield parameters
        return
    place = max(range(len(parameters)), key=lambda i: _gain(*parameters[i]))
    name, value = parameters[place]
    alternatives = _alternatives(name, value)
    if len(alternatives) == 1:
        raise RefusedError(
            f"Expected a search of at most {longest} characters, got {len(query(parameters))} in "
            f"{', '.join(name for name, _ in parameters)}, and no list of alternatives in it to search for in parts."
        )
    half = len(alternatives) // 2
    for part in (alternatives[:half], alternatives[half:]):
        yield from split([*parameters[:place], (name, ",".join(part)), *parameters[place + 1 :]], longest=longest)


def next_link(answer_url: str, links: Sequence[tuple[str, str]], *, base: str) -> str | None:
    """Where the next page is, if there is one.

    Raises:
        OtherOriginError: on another server.
    """
    for relation, url in links:
        if relation == "next":
            return follow(url, seen_at=answer_url, base=base)
    return None


def read_page(answer: Answer, number: int, *, base: str) -> tuple[Page, str | None]:
    """A page, and where the next one is.

    Raises:
        ClientError: it is no searchset.
    """
    if answer.status != OK:
        raise failure(answer.status, answer.headers, answer.body, answer.url)
    try:
        found = _SEARCHSET.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if is_html(answer.headers, answer.body):
            raise html_error(answer.url, answer.status) from error
        raise NotFhirError(
            f"{shown(answer.url)}: expected a FHIR Bundle as page {number}, got {len(answer.body)} other bytes.",
            status=answer.status,
        ) from error
    modes = [entry.search.mode or _implied_mode(entry) for entry in found.entry]
    hidden = query_values(answer.url)
    said = (
        one
        for entry, mode in zip(found.entry, modes, strict=True)
        if mode == "outcome"
        for one in remarks(bytes(entry.resource), hidden=hidden)
    )
    page = Page(
        number=number,
        body=answer.body,
        matches=len(modes) - modes.count("include") - modes.count("outcome"),
        included=modes.count("include"),
        outcomes=modes.count("outcome"),
        remarks=tuple(said),
        total=found.total,
    )
    links = [(link.relation, link.url) for link in found.link]
    return page, next_link(answer.url, links, base=base)


def _implied_mode(entry: _Entry) -> str:
    """Not every server says the mode of an entry: then a remark is told by its type."""
    try:
        is_outcome = _HEAD.decode(entry.resource).resourceType == "OperationOutcome"
    except msgspec.DecodeError:
        is_outcome = False  # counted as broken by whoever reads it
    return "outcome" if is_outcome else "match"


def _gain(name: str, value: str) -> int:
    return len(value) if len(_alternatives(name, value)) > 1 else -1


def _alternatives(name: str, value: str) -> list[str]:
    """The values of an "or"; a comma after a backslash is none of its own (FHIR R4, search, "Escaping")."""
    if (name.startswith("_") and name not in _SPLIT_DESPITE_UNDERSCORE) or name.endswith(_NEVER_SPLIT_SUFFIXES):
        return [value]
    alternatives = [""]
    escaped = False
    for letter in value:
        if letter == "," and not escaped:
            alternatives.append("")
            continue
        alternatives[-1] += letter
        escaped = letter == "\\" and not escaped
    return alternatives
