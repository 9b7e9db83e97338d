"""Policy: where a call may be answered from, as the client's registration says it; handed in for each call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cds_hooks.security.network import Destination, Resolver, fhir_destination

if TYPE_CHECKING:
    from cds_hooks.security.registrations import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one client may have us read.

    Attributes:
        connect: from a request's `fhirServer` to the checked addresses to connect to; raises ConnectionRefusal, and
            until it returns no packet leaves for the server.
        may_read: whether the agreed scopes cover a resource type.
    """

    connect: Callable[[str], Awaitable[Destination]]
    may_read: Callable[[str], bool]


def registered(registration: "Registration", resolve: Resolver) -> Policy:
    """The policy of a registered client."""

    def connect(fhir_server: str) -> Awaitable[Destination]:
        return fhir_destination(registration, fhir_server, resolve)

    return Policy(connect=connect, may_read=registration.may_read)
