"""Why a prefetch key could not be had, as the client reads it: nothing of a URL, a patient or a token in it."""

from collections.abc import Mapping
from enum import StrEnum

from cds_hooks.errors import MissingData


class Reason(StrEnum):
    """What came in place of the data. Each ends as 412 (CDS Hooks 2.0.1, Prefetch Template)."""

    NO_ACCESS = "no fhirServer with fhirAuthorization came to read it from"
    NOT_ASKED = "not read either, for another key cannot be had"
    SENT_OUTCOME = "sent as an OperationOutcome"
    SENT_INVALID = "sent as neither a resource nor a searchset"

    NOT_LISTED = "the FHIR server is none that this service may ask for this client"
    SCOPE = "its resource type is outside the scopes agreed with this client"
    OTHER_PATIENT = "the access token is for another patient"
    NO_CONTEXT = "the context lacks what its template needs"
    NO_PREFETCH = "its template needs a resource that is not there"
    NO_VALUE = "the context has a value that its template cannot hold"
    DEPENDS = "its template needs another key, which could not be had"

    UNREACHABLE = "the FHIR server could not be reached, or its certificate is not trusted"
    TIMEOUT = "the FHIR server did not answer in time"
    BROKEN = "the FHIR server's answer broke off"
    BUSY = "too many calls wait for FHIR servers; try again"
    UNAUTHORIZED = "the FHIR server refused the access token (401)"
    FORBIDDEN = "the access token does not suffice (403)"
    NOT_FOUND = "the FHIR server has no such resource or search (404)"
    GONE = "the FHIR server no longer has it (410)"
    TOO_MANY = "the FHIR server was asked too often (429)"
    SERVER_ERROR = "the FHIR server failed (5xx)"
    REFUSED = "the FHIR server refused the request (another status than 200)"
    HTML = "the FHIR server sent an HTML page"
    NOT_FHIR = "the FHIR server sent no FHIR JSON"
    OUTCOME = "the FHIR server sent an OperationOutcome"
    OTHER_RESOURCE = "the FHIR server sent another resource than was asked for"
    OTHER_ORIGIN = "a link or redirect leads to another server, where neither token nor request may go"
    REDIRECTS = "the FHIR server redirected too often"
    ENDLESS = "the pages do not end: one names an earlier one as the next"
    PAGES = "the result has more pages than are read"
    ENTRIES = "the result has more entries than are read"
    BYTES = "the result is longer than is read"


class Failure(StrEnum):
    """What the client did about a key whose data could not be had."""

    NOT_SENT = "not sent"
    PAGED = "got a page with a next link"
    UNUSABLE = "unusable"


Failures = Mapping[str, tuple[Failure, Reason]]


class NotObtained(Exception):  # noqa: N818 - as cds_hooks.errors: named for what happened
    """A key could not be had. It stays in this package: a cause of it may hold a request with its token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def missing_data(failures: Failures) -> MissingData:
    """The 412 for keys that could not be had: each with what came of it."""
    faults = ", ".join(f"{key} ({_fault(failure, reason)})" for key, (failure, reason) in failures.items())
    remedy = "Send each with its search result, or null where there is no such data"
    if any(failure is Failure.PAGED for failure, _ in failures.values()):
        remedy += "; a whole result on one page, or its newest part as far back as the model looks"
    only = next(iter(failures)) if len(failures) == 1 else None
    return MissingData(
        f"Expected all prefetch keys of the discovery document; unusable: {faults}. {remedy}.",
        location="prefetch" if only is None else f"prefetch.{only}",
    )


def _fault(failure: Failure, reason: Reason) -> str:
    if reason is Reason.NO_ACCESS:
        return failure.value
    return reason.value if failure is Failure.UNUSABLE else f"{failure.value}; {reason.value}"
