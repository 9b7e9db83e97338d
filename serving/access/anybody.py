"""Anybody: the policy for callers without a registration, where a site does not authenticate its clients."""

from collections.abc import Collection
from ipaddress import ip_network

from cds_hooks.security.network import Resolver
from cds_hooks.security.registrations import EVERY_SERVICE, Registration
from cds_hooks.security.urls import ServerUrl, read_url
from serving.access.policy import Policy, registered

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def listed(fhir_servers: Collection[str], resolve: Resolver) -> Policy:
    """The policy where clients are not authenticated: the site names the servers, and whoever calls may use them.

    They are on the public internet or on this machine, or stand in the list with an address of their own.

    Raises:
        UrlError: one of them is no base URL.
    """
    return registered(_anybody(frozenset(read_url(url) for url in fhir_servers)), resolve)


def _anybody(servers: frozenset[ServerUrl]) -> Registration:
    """A registration that no token can be of."""
    own = tuple(ip_network(url.address) for url in servers if url.address is not None)
    return Registration(
        name="anybody",
        issuer="",
        tenants=frozenset(),
        algorithms=frozenset(),
        keys={},
        jwks_url=None,
        jku=frozenset(),
        token_lifetime_seconds=0,
        services=frozenset({EVERY_SERVICE}),
        fhir_servers=servers,
        networks=(*LOOPBACK, *own),
        scopes=(),
        cors_origins=(),
        requests_per_minute=0,
    )
