"""Opening: a site's settings become its sources. Imported where a site has FHIR servers to read from."""

from collections.abc import Collection

from cds_hooks.security.network import SystemResolver
from serving.access.access import Access
from serving.access.anybody import listed
from serving.access.sources import Sources


def open_sources(fhir_servers: Collection[str], resolver: SystemResolver | None) -> Sources:
    """The sources of one process; to be closed in the end. Before the first request there is no thread and no socket.

    Args:
        fhir_servers: base URLs that anybody may name, where clients are not authenticated.
        resolver: of the registered clients, whose registrations list their servers; None where there are none.

    Raises:
        UrlError: one of them is no base URL.
    """
    if resolver is not None:
        return Sources(access=Access(), resolve=resolver)
    own = SystemResolver()
    return Sources(access=Access(), anybody=listed(fhir_servers, own), owned=own)
