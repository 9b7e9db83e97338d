"""Failures: an answer that is not what was asked for, as an error that says what to do."""

from collections.abc import Iterable, Mapping

import msgspec

from features.client.errors import AuthorizationError, ClientError, NotFhirError, RefusedError
from features.client.urls import query_values, shown

LONGEST_REMARK = 200  # characters of a server's own words in a message
MOST_REMARKS = 3
SHORTEST_HIDDEN = 3  # characters; shorter values are counts and flags

_ADVICE: dict[int, tuple[type[ClientError], str]] = {
    400: (RefusedError, "The server does not understand the request: compare its parameters with /metadata."),
    401: (AuthorizationError, "The server wants a token or refuses ours: check the client's registration and scope."),
    403: (AuthorizationError, "The token does not suffice: ask for the scope, such as system/*.rs."),
    404: (RefusedError, "Nothing is there: check the base URL and whether the server has this resource or operation."),
    405: (RefusedError, "The server does not offer this: see /metadata for what it does."),
    406: (RefusedError, "The server does not speak FHIR as JSON here."),
    410: (RefusedError, "It is no longer there: pages and exports expire. Begin anew."),
    501: (RefusedError, "The server does not offer this: see /metadata for what it does."),
}


class _Text(msgspec.Struct, frozen=True):
    text: str | None = None


class _Issue(msgspec.Struct, frozen=True):
    severity: str | None = None
    code: str | None = None
    diagnostics: str | None = None
    details: _Text = _Text()


class _OperationOutcome(msgspec.Struct, frozen=True, tag_field="resourceType", tag="OperationOutcome"):
    issue: tuple[_Issue, ...] = ()


_OUTCOME = msgspec.json.Decoder(_OperationOutcome)


def failure(status: int, headers: Mapping[str, str], body: bytes, url: str) -> ClientError:
    """The error for an answer that ended an attempt: URL, status, what the server says of it, and what to do."""
    if is_html(headers, body):
        return html_error(url, status)
    kind, advice = _ADVICE.get(status, (RefusedError, "See the server's own log for why."))
    said = "".join(f" It says: {remark}." for remark in remarks(body, hidden=query_values(url)))
    return kind(f"{shown(url)}: HTTP {status}.{said} {advice}", status=status)


def html_error(url: str, status: int) -> NotFhirError:
    """An HTML page where FHIR was expected."""
    return NotFhirError(
        f"{shown(url)}: expected FHIR JSON, got an HTML page (HTTP {status}). Check the base URL; a login page or a "
        "proxy may answer in the server's place.",
        status=status,
    )


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer is a page for a browser."""
    return "html" in headers.get("content-type", "").lower() or body[:64].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    )


def remarks(body: bytes, *, hidden: Iterable[str] = ()) -> tuple[str, ...]:
    """What an OperationOutcome says, cut to a length, without the values that we sent; nothing if it is none."""
    said = (issue.diagnostics or issue.details.text or issue.code or "" for issue in _issues(body))
    values = sorted((value for value in hidden if len(value) >= SHORTEST_HIDDEN), key=len, reverse=True)
    return tuple(_cut(remark, values) for remark in said if remark)[:MOST_REMARKS]


def severities(body: bytes) -> tuple[str, ...]:
    """The severity of each issue of an OperationOutcome; nothing if it is none."""
    return tuple(issue.severity or "unknown" for issue in _issues(body))


def is_outcome(body: bytes, *, code: str | None = None) -> bool:
    """Whether a body is an OperationOutcome, or one with an issue of this code."""
    return any(code is None or issue.code == code for issue in _issues(body))


def plain(text: str, longest: int = LONGEST_REMARK) -> str:
    """A server's words on one line, cut to a length, without what could steer a terminal."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return (line if len(line) <= longest else f"{line[: longest - 1]}…").rstrip(".")


def _issues(body: bytes) -> tuple[_Issue, ...]:
    try:
        return _OUTCOME.decode(body).issue
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()  # a body that is no OperationOutcome says nothing: what is reported then is its status


def _cut(remark: str, hidden: list[str]) -> str:
    for value in hidden:
        remark = remark.replace(value, "…")
    return plain(remark)
