"""A CDS Hooks request: decoded once, checked, and trusted afterwards.

Source: CDS Hooks 2.0.1, Calling a CDS Service, HTTP Request; FHIR Resource Access.
Prefetched values stay raw JSON, or are searchsets that the FHIR reader read in the same pass: each is decoded once, and
only the parts that are read.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from cds_hooks.errors import (
    BodyTooLarge,
    InvalidField,
    MalformedBody,
    MissingField,
    TooManyEntries,
    translate_decode_error,
)
from cds_hooks.hooks import validate_context
from features.reading.scan.searchset import Searchset, Within, scan_within

CONTEXT_LIMIT_BYTES = 1024 * 1024
"""The context is made into objects, whatever it holds: ten MiB of empty arrays would take more than a second."""

ENTRY_LIMIT = 100_000
"""Entries of one prefetched Bundle. Ten MiB hold some 30,000 small Observations, or three million empty objects,
through which a reader would look for seconds."""

OBJECT_LIMIT = 500_000
"""Opening braces of a body: objects, wherever they stand. Ten MiB of the smallest Observations have half as many; of
`{}` alone, as codings or components, they have three million, and a reader would look at each."""

# The shortest entry is {} with a comma: a shorter body cannot hold more than ENTRY_LIMIT of them.
_COUNTED_FROM_BYTES = 3 * ENTRY_LIMIT

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# RFC 6750, section 2.1: what may stand after "Bearer ". Anything else could inject a header.
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
BASE_URL = rf'[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(:{_PORT})?(/[!"$->@-~]*)?'
"""The base URL of a FHIR server (RFC 3986), without user, query and fragment; OpenAPI says it in the same words."""
_BASE_URL = re.compile(BASE_URL)

_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
_Context = TypeVar("_Context")


class FhirAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    """The client's short-lived access to its FHIR server. Never stored, never logged; repr shows no token.

    The specification REQUIRES expires_in, scope and subject too; a call that can be answered from its
    prefetch is not refused for their absence.
    """

    access_token: _NonEmpty
    token_type: _NonEmpty
    expires_in: int | None = None
    scope: str | None = None
    subject: str | None = None
    patient: str | None = None

    def __repr__(self) -> str:
        return f"FhirAuthorization(access_token=..., expires_in={self.expires_in})"


class CdsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a service, checked against the hook library. Its repr shows no patient's value.

    `prefetch` maps each key that was sent to its raw JSON (`null` included), or to the searchset where that was read
    already; it is empty when none was sent.
    """

    hook: str
    hook_instance: str
    context: dict[str, object]
    prefetch: Mapping[str, msgspec.Raw | Searchset] = {}
    fhir_server: str | None = None
    fhir_authorization: FhirAuthorization | None = None
    extension: dict[str, msgspec.Raw] = {}

    @property
    def patient_id(self) -> str:
        """The patient's logical id. Raises MissingField on an organisation's own hook without patientId."""
        value = self.context.get("patientId")
        if not isinstance(value, str):
            raise MissingField(
                "Expected context.patientId, which this service needs; it is missing.",
                location="context.patientId",
            )
        return value

    @property
    def encounter_id(self) -> str | None:
        """The encounter's logical id, where the hook has one and the client sent it."""
        value = self.context.get("encounterId")
        return value if isinstance(value, str) else None

    @property
    def user_id(self) -> str | None:
        """The user as Type/id, where the hook has one and the client sent it."""
        value = self.context.get("userId")
        return value if isinstance(value, str) else None

    def __repr__(self) -> str:
        keys = f"context={sorted(self.context)}, prefetch={sorted(self.prefetch)}"
        return f"CdsRequest(hook={self.hook!r}, {keys})"


class _Wire(msgspec.Struct, Generic[_Context], frozen=True, kw_only=True, rename="camel"):
    """The request as JSON. UNSET, not None, is the default: null is legal nowhere but under prefetch."""

    hook: _NonEmpty
    hook_instance: _NonEmpty
    context: _Context
    prefetch: dict[str, msgspec.Raw] = {}
    fhir_server: _NonEmpty | msgspec.UnsetType = msgspec.UNSET
    fhir_authorization: FhirAuthorization | msgspec.UnsetType = msgspec.UNSET
    extension: dict[str, msgspec.Raw] = {}


class _ContextOnly(msgspec.Struct, frozen=True):
    context: dict[str, object]


class _EntriesOnly(msgspec.Struct, frozen=True):
    entry: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(_Wire[dict[str, object]])
_LARGE = msgspec.json.Decoder(_Wire[msgspec.Raw])
_CONTEXT = msgspec.json.Decoder(_ContextOnly)
_ENTRIES = msgspec.json.Decoder(_EntriesOnly)


def decode_request(body: bytes) -> CdsRequest:
    """Decode and check one request body.

    Raises:
        MalformedBody: not strict JSON in UTF-8, nested too deeply, or no JSON object.
        MissingField: hook, hookInstance, context or a field that the hook REQUIRES is missing.
        InvalidField: a known field has the wrong type or form.
        BodyTooLarge: the context is longer than CONTEXT_LIMIT_BYTES.
        TooManyEntries: a prefetched Bundle has more than ENTRY_LIMIT entries, or the body OBJECT_LIMIT objects.

    """
    if not body:
        raise MalformedBody("Expected a JSON object as the body; the body is empty.")
    try:
        # Raw prefetch is copied unread: without this, invalid UTF-8 would surface in the FHIR reader.
        if not body.isascii():
            body.decode()
        scanned = scan_within(body, "prefetch")
        objects = _objects(body, scanned)
        wire, context = _decoded(body if scanned is None else scanned.rest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise translate_decode_error(error) from None
    if not _UUID.fullmatch(wire.hook_instance):
        raise InvalidField("Expected a UUID in hookInstance; another string came.", location="hookInstance")
    validate_context(wire.hook, context)
    prefetch = wire.prefetch if scanned is None else scanned.values
    if objects > ENTRY_LIMIT:
        _check_entries(prefetch)
    fhir_server, authorization = _fhir_access(wire)
    return CdsRequest(
        hook=wire.hook,
        hook_instance=wire.hook_instance,
        context=context,
        prefetch=prefetch,
        fhir_server=fhir_server,
        fhir_authorization=authorization,
        extension=wire.extension,
    )


def _decoded(body: bytes | msgspec.Raw) -> tuple[_Wire[Any], dict[str, object]]:
    """The request, and its context made into objects if it is not too long.

    Of a context that is named twice the last one counts. None of the others may be made into objects either.
    """
    if len(body) <= CONTEXT_LIMIT_BYTES:
        small = _DECODER.decode(body)
        return small, small.context
    large = _LARGE.decode(body)
    context = bytes(large.context)
    if len(context) > CONTEXT_LIMIT_BYTES:
        raise BodyTooLarge(
            f"Expected at most {CONTEXT_LIMIT_BYTES} bytes in context; more came. Records belong in prefetch.",
            location="context",
        )
    return large, _CONTEXT.decode(b'{"context":' + context + b"}").context


def _objects(body: bytes, scanned: Within | None) -> int:
    """How many objects a body has at most, once it has enough bytes for too many."""
    if len(body) <= _COUNTED_FROM_BYTES:
        return 0
    objects = body.count(b"{") if scanned is None else scanned.braces
    if objects > OBJECT_LIMIT:
        raise TooManyEntries(f"Expected at most {OBJECT_LIMIT} objects in a body; more came. Send what is asked for.")
    return objects


def _check_entries(prefetch: Mapping[str, msgspec.Raw | Searchset]) -> None:
    for value in prefetch.values():
        try:
            found = value.entries if isinstance(value, Searchset) else len(_ENTRIES.decode(value).entry)
        except msgspec.ValidationError:
            continue  # no Bundle: whoever reads it says so
        if found > ENTRY_LIMIT:
            raise TooManyEntries(
                f"Expected at most {ENTRY_LIMIT} entries in each prefetched Bundle; more came. "
                "Send what the templates ask for.",
                location="prefetch",
            )


def _fhir_access(wire: _Wire[Any]) -> tuple[str | None, FhirAuthorization | None]:
    """The FHIR server and the token, each checked. The server may come alone, the token not (cds-r-1)."""
    fhir_server = None if wire.fhir_server is msgspec.UNSET else wire.fhir_server
    authorization = None if wire.fhir_authorization is msgspec.UNSET else wire.fhir_authorization
    if fhir_server is not None:
        _check_fhir_server(fhir_server)
    if authorization is not None:
        if fhir_server is None:
            raise MissingField(
                "Expected fhirServer, which goes with fhirAuthorization; it is missing. Send both.",
                location="fhirServer",
            )
        _check_authorization(authorization)
    return fhir_server, authorization


def _check_fhir_server(url: str) -> None:
    if not _BASE_URL.fullmatch(url):
        raise InvalidField(
            "Expected the absolute http(s) base URL of a FHIR server in fhirServer, without user, query or "
            "fragment; another string came.",
            location="fhirServer",
        )


def _check_authorization(authorization: FhirAuthorization) -> None:
    if authorization.token_type.lower() != "bearer":
        raise InvalidField(
            "Expected Bearer in fhirAuthorization.token_type; another string came.",
            location="fhirAuthorization.token_type",
        )
    if not _BEARER_TOKEN.fullmatch(authorization.access_token):
        raise InvalidField(
            "Expected a bearer token (RFC 6750) in fhirAuthorization.access_token; another string came.",
            location="fhirAuthorization.access_token",
        )
