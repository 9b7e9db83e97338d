"""OperationOutcome: how every answer other than 2xx says what went wrong.

Source: FHIR R4 OperationOutcome; CDS Hooks 3.0 ballot, Returning OperationOutcome (a SHOULD).
"""

from typing import Literal

import msgspec

from cds_hooks.errors import CdsHooksError

MEDIA_TYPE = "application/fhir+json"

Severity = Literal["fatal", "error", "warning", "information"]


class Issue(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One complaint. `expression`: FHIRPath-like paths to the elements in question."""

    severity: Severity
    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()


class OperationOutcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="resourceType", tag="OperationOutcome"):
    """The FHIR resource that carries issues; at least one."""

    issue: tuple[Issue, ...]


_ENCODER = msgspec.json.Encoder()

# What a client may know of a fault of ours: nothing but that it happened and that there is no answer.
_INTERNAL = "The service failed and has no answer for this call. Do not read this as the absence of risk."


def encode_outcome(error: CdsHooksError) -> bytes:
    """The error as an OperationOutcome in JSON. A 500 carries no details, whatever its message says."""
    hidden = error.status == 500  # noqa: PLR2004 - the status is the rule
    issue = Issue(
        severity="fatal" if hidden else "error",
        code=error.code,
        diagnostics=_INTERNAL if hidden else error.message,
        expression=(error.location,) if error.location and not hidden else (),
    )
    return _ENCODER.encode(OperationOutcome(issue=(issue,)))
