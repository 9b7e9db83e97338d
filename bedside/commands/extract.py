"""`bedside extract`: FHIR into events."""

from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console, require_training


def extract(
    source: Annotated[Path, typer.Argument(help="A folder of FHIR NDJSON, plain, gzip or Zstandard, or one file.")],
    target: Annotated[Path, typer.Argument(help="The folder to write, where nothing is yet.")],
    *,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Write the rest though files have faults.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)] = None,
    memory: Annotated[str, typer.Option(help="What one process may take: 512M, 4G.")] = "1G",
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler instead: tcp://head:8786.")] = None,
    fhir_version: Annotated[
        str | None, typer.Option(help="R4, R4B or R5; default: as its server said when it was downloaded, else R4.")
    ] = None,
) -> None:
    """Read FHIR into events, a folder of Parquet by patient, and tell what was refused."""
    from bedside.terminal import steps

    require_training()
    from features.files.provenance import noted_version
    from features.files.sources import SourceError
    from features.reading.versions import FhirVersionError
    from features.reading.versions import fhir_version as version_of
    from training.dataset import DatasetError
    from training.extract import extraction
    from training.extract.crews import crew_for
    from training.extract.faults import Faults
    from training.extract.job import memory_bytes
    from training.extract.manifest import read_refusals

    console = new_console()
    try:
        version = noted_version(source) or "R4" if fhir_version is None else version_of(fhir_version)
        options = extraction.Options(version=version, memory_bytes=memory_bytes(memory))
        with crew_for(workers, scheduler) as crew, steps(console, in_bytes={extraction.READING}) as progress:
            written = extraction.extract(
                source, target, crew=crew, options=options, keep_going=keep_going, progress=progress
            )
    except extraction.FaultsError as error:
        fail(f"{error} Nothing was written; --keep-going writes the rest.")
    except (DatasetError, FhirVersionError, SourceError) as error:
        fail(error)
    for refused in read_refusals(target):
        parts = (refused.reason, refused.concept or "", refused.detail or "")
        console.print(f"refused {refused.count:>9,}  {'  '.join(parts)}", markup=False, highlight=False)
    for file in written.input:
        if file.ignored is not None:
            console.print(f"ignored {file.name}: {file.ignored}", markup=False, highlight=False)
    if written.faults:
        console.print(f"left out: {Faults(files=written.faults).describe()}", markup=False, style="yellow")
    console.print(
        f"{written.events:,} events and {written.stays:,} stays of {written.patients:,} patients in {target}."
    )
