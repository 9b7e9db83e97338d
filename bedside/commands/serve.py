"""`bedside serve`: the server."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bedside.commands.console import fail
from bedside.commands.options import STATE, AsOf, Language, State, Zone

Environment = Annotated[
    str, typer.Option(help="development: invented patients, this machine; production: see docs/serving.md.")
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)]
Expose = Annotated[
    bool, typer.Option("--expose", help="Let other machines reach a development server: invented patients alone.")
]
Workers = Annotated[int, typer.Option(help="Processes that answer calls; see docs/serving.md.", min=1)]
PublicUrl = Annotated[
    list[str] | None,
    typer.Option(help="Where clients reach the server; cards link to the first, tokens name one (repeat)."),
]
Clients = Annotated[Path | None, typer.Option(help="Client registrations, a file or folder; default: anyone may call.")]
BehindProxy = Annotated[bool, typer.Option("--behind-proxy", help="A proxy in front ends TLS.")]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file of a certificate, to end TLS here.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of its key.")]
Simulator = Annotated[
    bool | None,
    typer.Option("--simulator/--no-simulator", help="Pages with sample patients; default: in development."),
]
Bundles = Annotated[list[Path] | None, typer.Option(help="A bundle to serve beside the released ones.")]
BundleKey = Annotated[Path | None, typer.Option(help="Public key that every bundle must be signed for.")]
CorsOrigins = Annotated[
    list[str] | None, typer.Option(help="Web origin that may call; default: those of the registrations, else any.")
]
FhirServers = Annotated[
    list[str] | None,
    typer.Option(help="FHIR server that anybody's calls may name for what their prefetch lacks (repeat)."),
]
SystemActions = Annotated[
    bool, typer.Option("--system-actions", help="Let services change records, for clients that agreed to it.")
]
JournalSync = Annotated[str, typer.Option(help="full: commits wait for the disk; normal: for the system.")]
DeadlineMs = Annotated[
    float | None, typer.Option(help="Leave an explanation out that would end later than this after the call came.")
]
FhirVersion = Annotated[str, typer.Option(help="FHIR version of what clients send: R4, R4B or R5.")]
AskReports = Annotated[
    bool, typer.Option("--ask-reports", help="Ask for DiagnosticReports, where Observations have no times.")
]


def serve(
    *,
    environment: Environment = "development",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    expose: Expose = False,
    workers: Workers = 1,
    public_url: PublicUrl = None,
    clients: Clients = None,
    behind_proxy: BehindProxy = False,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    simulator: Simulator = None,
    bundle: Bundles = None,
    bundle_key: BundleKey = None,
    cors_origin: CorsOrigins = None,
    fhir_server: FhirServers = None,
    system_actions: SystemActions = False,
    journal_sync: JournalSync = "full",
    deadline_ms: DeadlineMs = None,
    fhir_version: FhirVersion = "R4",
    ask_reports: AskReports = False,
    state: State = STATE,
    language: Language = "en",
    timezone: Zone = "UTC",
    as_of: AsOf = "clock",
) -> None:
    """Serve the released bundles, and any others given, as CDS Hooks services."""
    scheme = "http" if tls_certificate is None else "https"
    first, *further = public_url or [f"{scheme}://{host}:{port}"]
    settings = {
        "state": state,
        "environment": environment,
        "public_url": first,
        "further_urls": tuple(further),
        "clients": clients,
        "behind_proxy": behind_proxy,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "simulator": simulator,
        "bundles": tuple(bundle or ()),
        "bundle_key": bundle_key,
        "language": language,
        "zone_name": timezone,
        "as_of": as_of,
        "cors_origins": None if cors_origin is None else tuple(cors_origin),
        "fhir_servers": tuple(fhir_server or ()),
        "system_actions": system_actions,
        "journal_sync": journal_sync,
        "deadline_ms": deadline_ms,
        "fhir_version": fhir_version,
        "ask_reports": ask_reports,
    }
    _serve(settings, host=host, port=port, expose=expose, workers=workers)


def _serve(named: Mapping[str, Any], *, host: str, port: int, expose: bool, workers: int) -> None:
    """`named`: settings by name, not yet checked."""
    # Read when numpy is imported: a row is too little work to share, and no thread may exist before workers are forked.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    from models.bundle import BundleError
    from serving.app import create_app
    from serving.journal import JournalError
    from serving.listening import ListenError, Tls, bound, require_loopback, serve_alone
    from serving.settings import Settings
    from serving.workers import WorkersError, serve_with_workers

    try:
        settings = Settings(**named)
        tls = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            tls = Tls(certificate=settings.tls_certificate, key=settings.tls_key)
        with bound(host, port) as sockets:
            if settings.environment == "development":
                if not expose:
                    require_loopback(sockets)
                _say_development(authenticated=settings.clients is not None, exposed=expose)
            application = create_app(settings)
            if workers == 1:
                serve_alone(application, sockets, tls=tls)
            else:
                serve_with_workers(application, sockets, workers=workers, tls=tls)
    except (BundleError, JournalError, ListenError, LookupError, ValueError, WorkersError) as error:
        fail(error)  # settings, registrations, keys and examples are ValueErrors


def _say_development(*, authenticated: bool, exposed: bool) -> None:
    """A server that asks for less than a hospital needs says so, each time."""
    who = "registered clients are" if authenticated else "anyone is"
    where = "from ANY MACHINE that reaches it (--expose)" if exposed else "on this machine"
    typer.secho(
        f"DEVELOPMENT server: {who} answered, {where}. For invented patients alone. "
        "A hospital starts it with --environment production (docs/serving.md).",
        fg="yellow",
        bold=True,
        err=True,
    )
