"""What can go wrong in a CDS Hooks call: one exception per kind, with its HTTP status and FHIR issue code.

The tree (status, issue code):

    CdsHooksError
    ├── InvalidRequest           400  invalid
    │   ├── MalformedBody        400  structure      not JSON, or not a JSON object
    │   ├── MissingField         400  required
    │   ├── InvalidField         400  value          wrong type, wrong form
    │   └── WrongHook            400  not-supported  a hook that this service does not serve
    ├── UnknownService           404  not-found
    ├── MethodNotAllowed         405  not-supported
    ├── BodyTooSlow              408  timeout
    ├── MissingData              412  incomplete     neither in the prefetch nor on the FHIR server
    ├── BodyTooLarge             413  too-long
    │   └── TooManyEntries       413  too-costly
    ├── UnsupportedMediaType     415  not-supported
    ├── HeadTooLarge             431  too-long       request line and headers together
    ├── InvalidAnswer            500  exception      we built a card or a description that breaks a rule
    └── Overloaded               503  transient

A message says what was expected, what came, where and what to do. It never repeats a value of the request:
values may be a patient's. Issue codes: FHIR R4 value set issue-type.
"""

# ruff: noqa: N818 - an error here is named for what happened, as the client reads it; the root says Error

from collections.abc import Mapping
from typing import ClassVar

import msgspec


class CdsHooksError(Exception):
    """A call that cannot be answered with cards; `status` and `code` say how the client hears of it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(self, message: str, *, location: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """`location`: path to the element, such as `context.patientId`; `headers`: of the answer."""
        super().__init__(message)
        self.message = message
        self.location = location
        self.headers: Mapping[str, str] = headers or {}


class InvalidRequest(CdsHooksError):
    """The client's request breaks a rule of CDS Hooks."""

    status = 400
    code = "invalid"


class MalformedBody(InvalidRequest):
    """The body is not strict JSON in UTF-8, or not a JSON object."""

    code = "structure"


class MissingField(InvalidRequest):
    """A REQUIRED field is missing."""

    code = "required"


class InvalidField(InvalidRequest):
    """A field has the wrong JSON type or the wrong form."""

    code = "value"


class WrongHook(InvalidRequest):
    """The request names a hook that the called service does not serve."""

    code = "not-supported"


class UnknownService(CdsHooksError):
    """No service has this id (or nothing lives at this path)."""

    status = 404
    code = "not-found"


class MethodNotAllowed(CdsHooksError):
    """The path exists, the HTTP method does not."""

    status = 405
    code = "not-supported"


class BodyTooSlow(CdsHooksError):
    """The request took longer to arrive than this server waits (RFC 9110, section 15.5.9)."""

    status = 408
    code = "timeout"


class MissingData(CdsHooksError):
    """Needed data is neither in the prefetch nor obtainable from the FHIR server (Prefetch Template)."""

    status = 412
    code = "incomplete"


class BodyTooLarge(CdsHooksError):
    """The body is longer than this server reads."""

    status = 413
    code = "too-long"


class TooManyEntries(BodyTooLarge):
    """The body is not too long, but there is more in it than this server looks through."""

    code = "too-costly"


class UnsupportedMediaType(CdsHooksError):
    """The body is declared as something else than application/json, or as compressed."""

    status = 415
    code = "not-supported"


class HeadTooLarge(CdsHooksError):
    """Request line and headers together are longer than this server reads (RFC 6585, section 5)."""

    status = 431
    code = "too-long"


class InvalidAnswer(CdsHooksError, ValueError):
    """A card, response or service description of ours breaks a rule. Clients see a bare 500."""

    status = 500
    code = "exception"


class Overloaded(CdsHooksError):
    """The server cannot take this call now; the client may try again."""

    status = 503
    code = "transient"


def translate_decode_error(error: Exception) -> InvalidRequest:
    """Turn a decoder's complaint about a request body into ours, dropping any value that it repeats."""
    if isinstance(error, RecursionError):
        return MalformedBody("Expected a JSON object of ordinary depth; the body is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return MalformedBody(f"Expected JSON in UTF-8 (RFC 8259); byte {error.start} of the text is not.")
    if isinstance(error, msgspec.ValidationError):
        return _translate_validation_error(error)
    return MalformedBody(f"Expected a JSON object (RFC 8259), the body is none: {error}.")


def _translate_validation_error(error: msgspec.ValidationError) -> InvalidRequest:
    complaint, _, path = str(error).partition(" - at ")
    location = path.strip("`").removeprefix("$").removeprefix(".") or None
    if complaint.startswith("Object missing required field"):
        name = complaint.split("`")[1]
        full = f"{location}.{name}" if location else name
        return MissingField(f"Expected the field {full}, which is REQUIRED; it is missing.", location=full)
    if complaint.startswith("Invalid enum value"):
        complaint = "Expected one of the values that CDS Hooks allows, got another"
    if location is None:
        return MalformedBody(f"{complaint} as the body." if "`object`" in complaint else f"{complaint}.")
    return InvalidField(f"{complaint}, at {location}.", location=location)
