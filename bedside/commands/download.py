"""`bedside download`: a FHIR server's bulk export."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console


def download(
    url: Annotated[str, typer.Argument(help="The base URL of a FHIR server that offers bulk export.")],
    folder: Annotated[Path, typer.Argument(help="Empty, not yet there, or of this download: then it goes on.")],
    *,
    group: Annotated[str | None, typer.Option(help="Id of the Group of patients; default: all patients.")] = None,
    resource: Annotated[list[str] | None, typer.Option(help="A resource type; default: all that are read.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what is newer, in UTC.")] = None,
    file_server: Annotated[list[str] | None, typer.Option(help="Another origin that the files may lie on.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with an access token for the server.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Client id, for SMART Backend Services.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="The client's private key, as JWK or PEM.")] = None,
    key_id: Annotated[str | None, typer.Option(help="Key id of a PEM key.")] = None,
) -> None:
    """Download a FHIR server's bulk export as NDJSON; run it again to go on after an interruption."""
    from bedside.coverage_source import Access
    from bedside.download import Download
    from bedside.download import download as run
    from bedside.terminal import steps
    from features.client.errors import ClientError
    from features.client.signing import KeyFileError
    from features.client.urls import UrlError

    if (client_id is None) != (key_file is None):
        fail("SMART Backend Services need both --client-id and --key-file.")
    console = new_console()
    wanted = Download(
        url=url,
        folder=folder,
        group=group,
        since=None if since is None else since.replace(tzinfo=UTC),
        file_servers=tuple(file_server or ()),
        **({"types": tuple(resource)} if resource else {}),
    )
    access = Access(token_file=token_file, client_id=client_id, key_file=key_file, key_id=key_id)
    try:
        with steps(console) as progress:
            report, version = run(wanted, access, progress)
    except (ClientError, KeyFileError, UrlError, ValueError) as error:
        fail(error)
    for severity, count in report.outcomes.items():
        console.print(f"the server says  {severity}  {count:,}", markup=False, highlight=False)
    if report.deleted_files:
        console.print(f"{report.deleted_files} files name what was deleted; that is kept, not taken out.", markup=False)
    for name in report.miscounted:
        console.print(f"{name}: holds another number of resources than the server says.", markup=False, style="yellow")
    console.print(
        f"{len(report.files)} files, {report.bytes:,} bytes, FHIR {version}, of {report.transaction_time}, "
        f"in {folder}.",
        markup=False,
    )
