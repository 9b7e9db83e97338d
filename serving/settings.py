"""Settings of a server process, read once by the command line and handed down."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds_hooks.cors import CorsPolicy
from cds_hooks.router import BODY_LIMIT_BYTES
from features.reading.versions import FHIR_VERSIONS, FhirVersion
from models.words import LANGUAGES, Language
from serving.assess import AS_OF, AsOf


class SettingsError(ValueError):
    """A setting that cannot be used; the message says which and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a site sets.

    Attributes:
        state: folder of the journal and of the pseudonym key; made if it is not there.
        public_url: where clients reach this server; cards link to it.
        bundles: further bundle directories, each replacing the released bundle of its model.
        language: of cards where the request's Accept-Language names none that we have.
        zone_name: IANA time zone in which cards show times.
        as_of: index time of a call: the clock, or the latest Observation, for demonstrations on historic patients.
        show_critical: whether cards may use the indicator `critical`.
        cors_origins: web pages that may call from a browser.
        body_limit_bytes: largest request taken.
        fhir_version: of the resources that clients send: R4, R4B or R5.
        ask_reports: whether clients are asked for DiagnosticReports: only where Observations lack times of their own.
        journal_url: SQLAlchemy URL; by default a SQLite file in `state`.
        journal_sync: whether each commit waits for the disk (`full`: no card is lost from the account even if the
            power fails) or for the operating system (`normal`: even if the process is killed).
        deadline_ms: by when a call should be answered, counted from its body's arrival; where the explanation would
            take longer, the card leaves without it and says so. None: the explanation is always given.
    """

    state: Path
    public_url: str = "http://127.0.0.1:8000"
    bundles: tuple[Path, ...] = ()
    language: Language = "en"
    zone_name: str = "UTC"
    as_of: AsOf = "clock"
    show_critical: bool = False
    cors_origins: tuple[str, ...] = ("*",)
    body_limit_bytes: int = BODY_LIMIT_BYTES
    fhir_version: FhirVersion = "R4"
    ask_reports: bool = False
    journal_url: str | None = None
    journal_sync: Literal["full", "normal"] = "full"
    deadline_ms: float | None = None

    def __post_init__(self) -> None:
        if self.journal_sync not in {"full", "normal"}:
            raise SettingsError(f"journal_sync: expected full or normal, got {self.journal_sync!r}.")
        if self.fhir_version not in FHIR_VERSIONS:
            raise SettingsError(f"fhir_version: expected one of {FHIR_VERSIONS}, got {self.fhir_version!r}.")
        if not _is_base_url(self.public_url):
            raise SettingsError(
                f"public_url: expected http(s)://host[:port] without a slash at the end, got {self.public_url!r}."
            )
        if self.language not in LANGUAGES:
            raise SettingsError(f"language: expected one of {LANGUAGES}, got {self.language!r}.")
        if self.as_of not in AS_OF:
            raise SettingsError(f"as_of: expected one of {AS_OF}, got {self.as_of!r}.")
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
        try:
            CorsPolicy(origins=self.cors_origins)
        except ValueError as error:
            raise SettingsError(f"cors_origins: {error}") from error

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
