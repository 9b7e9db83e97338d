"""Who calls what: the endpoint of a request, and the client that proved to have sent it.

Apart from the authenticator, so that a server without clients need not import what checks signatures.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from cds_hooks.security.registrations import Registration

EndpointKind: TypeAlias = Literal["discovery", "call", "feedback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What was called: discovery, or a service, or the feedback to it. `base`: path in front of /cds-services."""

    base: str = ""
    service_id: str | None = None
    feedback: bool = False

    @property
    def path(self) -> str:
        """Below the server's public URL."""
        service = "" if self.service_id is None else f"/{self.service_id}"
        return f"{self.base}/cds-services{service}{'/feedback' if self.feedback else ''}"

    @property
    def kind(self) -> EndpointKind:
        """For logs: nothing that the caller wrote."""
        return "feedback" if self.feedback else "discovery" if self.service_id is None else "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A client that proved to be one. `tenant`: the organisation that it speaks for, if its token says."""

    registration: "Registration"
    tenant: str | None
