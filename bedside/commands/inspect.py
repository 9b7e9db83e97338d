"""`bedside inspect`: what a source covers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console


def inspect(
    source: Annotated[str, typer.Argument(help="A folder or file of FHIR, or the base URL of a FHIR server.")],
    *,
    model: Annotated[str | None, typer.Option(help="Look for this model's concepts; default: all packaged.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as a page to this file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON to this file.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Tell counts below 5 and rare codes: within the hospital only.")
    ] = False,
    fhir_version: Annotated[
        str | None, typer.Option(help="R4, R4B or R5; default: as the server says, else R4.")
    ] = None,
    patients: Annotated[int, typer.Option(help="Of how many patients to ask a server; 0: of all.", min=0)] = 100,
    token_file: Annotated[Path | None, typer.Option(help="File with an access token for the server.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Client id, for SMART Backend Services.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="The client's private key, as JWK or PEM.")] = None,
    key_id: Annotated[str | None, typer.Option(help="Key id of a PEM key.")] = None,
) -> None:
    """Tell what a source covers: concepts, codes, units, refusals, and codes that may be missing. See docs/inspect.md.

    Ends with 0; with 1 if something could not be read; with 3 if a concept of the model was not found.
    """
    from bedside import coverage
    from bedside.coverage_source import Access
    from bedside.terminal import steps
    from features.reading.versions import fhir_version as version_of

    if (client_id is None) != (key_file is None):
        fail("SMART Backend Services need both --client-id and --key-file.")
    console = new_console()
    try:
        wanted = coverage.Inspection(
            source=source,
            made_on=datetime.now(UTC).date(),
            model=model,
            version=None if fhir_version is None else version_of(fhir_version),
            patients=patients or None,
            access=Access(token_file=token_file, client_id=client_id, key_file=key_file, key_id=key_id),
            exact=exact,
        )
        with steps(console, in_bytes=("read",)) as progress:
            report = coverage.inspect(wanted, progress)
    except coverage.ERRORS as error:
        fail(error)
    coverage.print_report(console, report)
    try:
        coverage.write_report(report, page=out, json=json)
    except OSError as error:
        fail(f"The report cannot be written: {error}.")
    raise typer.Exit(coverage.exit_status(report))
