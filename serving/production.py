"""Production: what a server that sees real patients must not be started without.

Everything that is amiss is said at once, so that a site mends it in one go. Why each rule stands: decision 0014.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.settings import Settings


def production_faults(settings: "Settings") -> tuple[str, ...]:
    """Which settings are for development: for each, what was expected, what came and what to do."""
    return (*_of_the_edge(settings), *_of_what_is_shown(settings))


def _of_the_edge(settings: "Settings") -> Iterator[str]:
    """Who gets in, and by which way."""
    if settings.clients is None:
        yield (
            "clients: expected client registrations, got none, and anyone could call. "
            "Write them (docs/security.md) and name the file: --clients clients.toml."
        )
    if not settings.behind_proxy and settings.tls_certificate is None:
        yield (
            "behind_proxy, tls_certificate: expected TLS, got none, and tokens and patients would cross the network "
            "in the clear. Say --behind-proxy if a proxy ends TLS, or give --tls-certificate and --tls-key."
        )
    for url in settings.urls:
        if not url.startswith("https://"):
            yield f"public_url: expected the https URL under which clients call, got {url!r}. Name it: --public-url."
    if "*" in (settings.cors_origins or ()):
        yield (
            "cors_origins: expected the origins of the clients' pages, got *. List them as cors_origins of each "
            "registration and leave --cors-origin out."
        )


def _of_what_is_shown(settings: "Settings") -> Iterator[str]:
    """Which model answers, for whom, and as of when."""
    if settings.bundle_key is None:
        yield (
            "bundle_key: expected the key that bundles are signed for, got none, and any file could be a model. "
            "Sign them (bedside bundle sign) and name the public key: --bundle-key."
        )
    if settings.shows_samples:
        yield (
            "simulator: expected it off, got it on: its invented patients would stand in the journal beside real ones. "
            "Leave --simulator out."
        )
    if settings.as_of != "clock":
        yield (f"as_of: expected clock, got {settings.as_of!r}, with which old data look like new. Leave --as-of out.")
