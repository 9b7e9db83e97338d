"""Settings of a server process, read once by the command line and handed down. What production asks: production.py."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds_hooks.body import BODY_LIMIT_BYTES
from cds_hooks.cors import CorsPolicy
from cds_hooks.security.urls import UrlError, read_url
from features.reading.versions import FHIR_VERSIONS, FhirVersion
from models.words import LANGUAGES, Language
from serving.assess import AS_OF, AsOf
from serving.production import production_faults

Environment: TypeAlias = Literal["development", "production"]
ENVIRONMENTS: Final[tuple[Environment, ...]] = ("development", "production")

_JournalSync: TypeAlias = Literal["full", "normal"]
# Each setting with a closed set of values.
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "environment": ENVIRONMENTS,
    "language": LANGUAGES,
    "as_of": AS_OF,
    "fhir_version": FHIR_VERSIONS,
    "journal_sync": ("full", "normal"),
}


class SettingsError(ValueError):
    """A setting that cannot be used; the message says which and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a site sets.

    Attributes:
        state: folder of the journal and of the pseudonym key; made if it is not there.
        environment: `development`: for invented patients, on this machine; `production`: whatever would let the wrong
            people in, or show the wrong thing, stops the start (serving/production.py).
        public_url: where clients reach this server; cards link to it.
        further_urls: others under which they reach it. A token's `aud` is an endpoint under one of them.
        clients: file or folder of client registrations (docs/security.md); None: everyone is let in.
        behind_proxy: whether a proxy ends TLS in front of this server. Nothing that it forwards is believed.
        tls_certificate: PEM file with the certificate and its chain, where this server ends TLS itself.
        tls_key: PEM file of its key, without a pass phrase.
        simulator: whether the pages offer sample patients to try services with. None: in development.
        bundle_key: public key that every bundle must be signed for; None: unsigned bundles are served.
        bundles: further bundle directories, each replacing the released bundle of its model.
        language: of cards where the request's Accept-Language names none that we have.
        zone_name: IANA time zone in which cards show times.
        as_of: index time of a call: the clock, or the latest Observation, for demonstrations on historic patients.
        show_critical: whether cards may use the indicator `critical`.
        cors_origins: web pages that may call from a browser. None: those of the registrations; all, if there are no
            registrations.
        body_limit_bytes: largest request taken.
        fhir_version: of the resources that clients send: R4, R4B or R5.
        ask_reports: whether clients are asked for DiagnosticReports: only where Observations lack times of their own.
        journal_url: SQLAlchemy URL; by default a SQLite file in `state`.
        journal_sync: whether each commit waits for the disk (`full`: no card is lost from the account even if the
            power fails) or for the operating system (`normal`: even if the process is killed).
        fhir_servers: base URLs of FHIR servers that anybody's requests may name for what their prefetch lacks, where
            there are no registrations; these list the servers of each client themselves.
        system_actions: whether services may change records without anybody looking, for the clients whose
            registration agrees to it.
        deadline_ms: by when a call should be answered, counted from its body's arrival; where the explanation would
            take longer, the card leaves without it and says so. None: the explanation is always given.
    """

    state: Path
    environment: Environment = "development"
    public_url: str = "http://127.0.0.1:8000"
    further_urls: tuple[str, ...] = ()
    clients: Path | None = None
    behind_proxy: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    simulator: bool | None = None
    bundle_key: Path | None = None
    bundles: tuple[Path, ...] = ()
    language: Language = "en"
    zone_name: str = "UTC"
    as_of: AsOf = "clock"
    show_critical: bool = False
    cors_origins: tuple[str, ...] | None = None
    body_limit_bytes: int = BODY_LIMIT_BYTES
    fhir_version: FhirVersion = "R4"
    ask_reports: bool = False
    journal_url: str | None = None
    journal_sync: _JournalSync = "full"
    fhir_servers: tuple[str, ...] = ()
    system_actions: bool = False
    deadline_ms: float | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name}: expected one of {choices}, got {getattr(self, name)!r}.")
        self._check_values()
        self._check_edge()
        self._check_clients()
        faults = production_faults(self) if self.environment == "production" else ()
        if faults:
            lines = "".join(f"\n- {fault}" for fault in faults)
            raise SettingsError(f"environment: production does not start with these settings:{lines}")

    def _check_values(self) -> None:
        try:
            ZoneInfo(self.zone_name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: "Europe" is a folder
            raise SettingsError(
                f"zone_name: expected a time zone such as Europe/Berlin, got {self.zone_name!r}."
            ) from error
        if self.deadline_ms is not None and not (math.isfinite(self.deadline_ms) and self.deadline_ms > 0):
            raise SettingsError(f"deadline_ms: expected a number above 0, got {self.deadline_ms}.")
        if self.body_limit_bytes < 1:
            raise SettingsError(f"body_limit_bytes: expected 1 or more, got {self.body_limit_bytes}.")

    def _check_edge(self) -> None:
        for url in self.urls:
            if not _is_base_url(url):
                raise SettingsError(
                    f"public_url: expected http(s)://host[:port] without a slash at the end, got {url!r}."
                )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("tls_certificate, tls_key: expected both or neither, got one of them.")
        if self.cors_origins is not None and self.clients is not None:
            raise SettingsError(
                "cors_origins: expected none beside client registrations; there each client names its own."
            )
        try:
            CorsPolicy(origins=self.cors_origins or ())
        except ValueError as error:
            raise SettingsError(f"cors_origins: {error}") from error

    def _check_clients(self) -> None:
        if self.fhir_servers and self.clients is not None:
            raise SettingsError(
                "fhir_servers: expected none beside client registrations; there each client names its own."
            )
        if self.system_actions and self.clients is None:
            raise SettingsError(
                "system_actions: expected client registrations, got none, and nobody has agreed to any. "
                "Write them (docs/security.md), with system_actions = true where it was agreed."
            )
        for url in self.fhir_servers:
            try:
                read_url(url)
            except UrlError as error:
                raise SettingsError(f"fhir_servers: got {url!r}. {error}") from error

    @property
    def urls(self) -> tuple[str, ...]:
        """Every URL under which clients know this server, the first of them on cards."""
        return (self.public_url, *self.further_urls)

    @property
    def shows_samples(self) -> bool:
        """Whether the pages have sample patients to try services with."""
        return self.environment == "development" if self.simulator is None else self.simulator

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.zone_name)

    @property
    def journal(self) -> str:
        """The journal's URL."""
        return self.journal_url or f"sqlite:///{(self.state / 'journal.db').resolve()}"


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # brackets that do not close
        return False
    return (
        known
        and not (parts.query or parts.fragment or url.endswith(("/", "?", "#")))
        and url.isprintable()
        and " " not in url
    )
