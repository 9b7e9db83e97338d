"""A CDS Hooks request: decoded once, checked, and trusted afterwards.

Source: CDS Hooks 2.0.1, Calling a CDS Service, HTTP Request; FHIR Resource Access.
Prefetched values stay raw JSON, so that the FHIR reader decodes each once and only the parts it reads.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from cds_hooks.errors import InvalidField, MalformedBody, MissingField, translate_decode_error
from cds_hooks.hooks import validate_context

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# RFC 6750, section 2.1: what may stand after "Bearer ". Anything else could inject a header.
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# Printable ASCII without space: what a URL may consist of (RFC 3986).
_URL_CHARACTERS = re.compile(r"[!-~]+")

_NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


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

    `prefetch` maps each key that was sent to its raw JSON (`null` included); it is empty when none was sent.
    """

    hook: str
    hook_instance: str
    context: dict[str, object]
    prefetch: dict[str, msgspec.Raw] = {}
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


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The request as JSON. UNSET, not None, is the default: null is legal nowhere but under prefetch."""

    hook: _NonEmpty
    hook_instance: _NonEmpty
    context: dict[str, object]
    prefetch: dict[str, msgspec.Raw] = {}
    fhir_server: _NonEmpty | msgspec.UnsetType = msgspec.UNSET
    fhir_authorization: FhirAuthorization | msgspec.UnsetType = msgspec.UNSET
    extension: dict[str, msgspec.Raw] = {}


_DECODER = msgspec.json.Decoder(_Wire)


def decode_request(body: bytes) -> CdsRequest:
    """Decode and check one request body.

    Raises:
        MalformedBody: not strict JSON in UTF-8, nested too deeply, or no JSON object.
        MissingField: hook, hookInstance, context or a field that the hook REQUIRES is missing.
        InvalidField: a known field has the wrong type or form.

    """
    if not body:
        raise MalformedBody("Expected a JSON object as the body; the body is empty.")
    try:
        # Raw prefetch is copied unread: without this, invalid UTF-8 would surface in the FHIR reader.
        if not body.isascii():
            body.decode()
        wire = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise translate_decode_error(error) from None
    if not _UUID.fullmatch(wire.hook_instance):
        raise InvalidField("Expected a UUID in hookInstance; another string came.", location="hookInstance")
    validate_context(wire.hook, wire.context)
    fhir_server, authorization = _fhir_access(wire)
    return CdsRequest(
        hook=wire.hook,
        hook_instance=wire.hook_instance,
        context=wire.context,
        prefetch=wire.prefetch,
        fhir_server=fhir_server,
        fhir_authorization=authorization,
        extension=wire.extension,
    )


def _fhir_access(wire: _Wire) -> tuple[str | None, FhirAuthorization | None]:
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
    if not _is_base_url(url):
        raise InvalidField(
            "Expected the absolute http(s) base URL of a FHIR server in fhirServer, without user, query or "
            "fragment; another string came.",
            location="fhirServer",
        )


def _is_base_url(url: str) -> bool:
    if not _URL_CHARACTERS.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, brackets that do not close
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and "@" not in parts.netloc
        and not parts.query
        and not parts.fragment
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
