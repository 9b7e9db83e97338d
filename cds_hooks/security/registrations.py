"""Registrations: the clients that a site has agreed with, and what each may do. Read once, at start."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cds_hooks.cors import CorsPolicy
from cds_hooks.security.addresses import Network
from cds_hooks.security.errors import RegistrationError
from cds_hooks.security.keys import Algorithm, VerificationKey
from cds_hooks.security.scopes import covers
from cds_hooks.security.urls import ServerUrl

EVERY_SERVICE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """One client, as docs/security.md explains it to sites.

    Attributes:
        name: the site's own word for the client, in logs and messages.
        issuer: `iss` of its tokens, compared character by character.
        tenants: `tenant` of its tokens; with none listed, any or no tenant will do.
        algorithms: with which it signs.
        keys: its public keys by id; if there are any, they are the only ones and nothing is ever fetched.
        jwks_url: where its keys are published, unless a token names one of `jku`.
        jku: where else a token may say that the keys are. Nothing outside this list is fetched.
        token_lifetime_seconds: most that may lie between `iat` and `exp`.
        services: ids of the services that it may call and give feedback to; `*` is every service.
        fhir_servers: base URLs that its requests may name.
        networks: networks with addresses outside the public internet where its servers may be.
        scopes: SMART scopes agreed for access to its FHIR servers; with none listed, the access token decides.
        cors_origins: origins of its web pages.
        requests_per_minute: most that it may send to one process, on average; as many at once.
        system_actions: whether it agreed that services change records without anybody looking, where the site lets
            them.
    """

    name: str
    issuer: str
    tenants: frozenset[str]
    algorithms: frozenset[Algorithm]
    keys: Mapping[str, VerificationKey]
    jwks_url: ServerUrl | None
    jku: frozenset[ServerUrl]
    token_lifetime_seconds: int
    services: frozenset[str]
    fhir_servers: frozenset[ServerUrl]
    networks: tuple[Network, ...]
    scopes: tuple[str, ...]
    cors_origins: tuple[str, ...]
    requests_per_minute: int
    system_actions: bool = False

    def may_call(self, service_id: str) -> bool:
        """Whether the service, and its feedback, is among those agreed."""
        return EVERY_SERVICE in self.services or service_id in self.services

    def may_read(self, resource_type: str) -> bool:
        """Whether the scopes agreed cover reading and searching this FHIR resource type."""
        return not self.scopes or any(covers(scope, resource_type) for scope in self.scopes)


class Registrations:
    """All clients of this server."""

    def __init__(self, clients: Collection[Registration]) -> None:
        """Collect registrations.

        Raises:
            RegistrationError: two have one name, or a token could be of either of two.
        """
        self._clients = tuple(clients)
        self._by_issuer: dict[str, list[Registration]] = defaultdict(list)
        names: set[str] = set()
        for client in self._clients:
            if client.name in names:
                raise RegistrationError(f"client {client.name}: expected one registration of a name, got two.")
            names.add(client.name)
            self._by_issuer[client.issuer].append(client)
        for sharing in self._by_issuer.values():
            _check_tenants(sharing)

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)

    def find(self, issuer: str, tenant: str | None) -> Registration | None:
        """The client of which a token with these claims would be."""
        for client in self._by_issuer.get(issuer, ()):
            if not client.tenants or tenant in client.tenants:
                return client
        return None

    def cors(self) -> CorsPolicy:
        """Every client's origins. A preflight carries no token, so it cannot be answered for one client alone."""
        return CorsPolicy(origins=tuple(sorted({origin for client in self for origin in client.cors_origins})))

    def check_services(self, known: Collection[str]) -> None:
        """Call at start, when the services are loaded.

        Raises:
            RegistrationError: a client is registered for a service that this server does not have.
        """
        for client in self:
            unknown = client.services - {EVERY_SERVICE} - set(known)
            if unknown:
                raise RegistrationError(
                    f"client {client.name}: services: expected ids of {sorted(known)}, got {sorted(unknown)}."
                )


def _check_tenants(sharing: list[Registration]) -> None:
    """Clients that share an issuer are told apart by tenant, before the signature says whose token it is."""
    seen: dict[str, str] = {}
    for client in sharing:
        if len(sharing) > 1 and not client.tenants:
            raise RegistrationError(
                f"client {client.name}: tenants: expected some, for another client has the same issuer "
                f"({', '.join(sorted(other.name for other in sharing if other is not client))})."
            )
        for tenant in client.tenants:
            if tenant in seen:
                raise RegistrationError(
                    f"client {client.name}: tenants: expected tenants of no other client, but client "
                    f"{seen[tenant]} has the same issuer and one of them."
                )
            seen[tenant] = client.name
