"""`bedside conform`: any CDS Hooks server against the requirements."""

from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console


def conform(
    url: Annotated[str, typer.Argument(help="The base URL of a CDS Hooks server, or its discovery URL.")],
    *,
    service: Annotated[str | None, typer.Option(help="Only this service; default: all that discovery lists.")] = None,
    request: Annotated[list[Path] | None, typer.Option(help="A synthetic request that gets a card.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON to this file.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for the server.")] = None,
    issuer: Annotated[str | None, typer.Option(help="Sign a token for each call, as this registered client.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="The client's private key, as JWK or PEM.")] = None,
    key_id: Annotated[str | None, typer.Option(help="Key id of a PEM key.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust instead of the usual, as PEM.")] = None,
    origin: Annotated[str | None, typer.Option(help="Web origin of the browser that is imitated, for CORS.")] = None,
    seconds: Annotated[float, typer.Option(help="How long the check may take.", min=1)] = 600,
) -> None:
    """Hold any CDS Hooks server to the requirements, from outside, with invented patients. See docs/conformance.md.

    Ends with 0 if nothing is not met; 3 if something binding is not met, 4 if only advice; 1 if it could not be made.
    """
    from bedside import conform as checks
    from bedside.terminal import steps

    console = new_console()
    if (issuer is None) != (key_file is None):
        fail("A token for each call needs both --issuer and --key-file.")
    try:
        wanted = checks.wanted_check(
            url, service=service, requests=request or (), token_file=token_file, issuer=issuer, key_file=key_file,
            key_id=key_id, ca_file=ca_file, origin=origin, seconds=seconds,
        )  # fmt: skip
        console.print(checks.announcement(wanted), markup=False, highlight=False)
        with steps(console) as progress:
            report = checks.conform(wanted, progress)
        checks.print_report(console, report)
        if json is not None:
            checks.write_report(report, json)
    except checks.ConformError as error:
        fail(error)
    raise typer.Exit(checks.exit_status(report))
