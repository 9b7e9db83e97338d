"""`bedside train`: from data to a registered bundle."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bedside.commands.console import fail, new_console, require_training
from bedside.commands.options import STATE, State


def train(
    model: Annotated[str, typer.Argument(help="A model of the catalog, such as sepsis.")],
    *,
    data: Annotated[str, typer.Option(help="KIND:PATH; kinds: physionet2019, fhir (a folder of NDJSON).")],
    output: Annotated[Path | None, typer.Option(help="The bundle directory to write.")] = None,
    state: State = STATE,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking server; default: embedded.")] = None,
    alias: Annotated[str, typer.Option(help="Alias of the registered version.")] = "shadow",
    threads: Annotated[int, typer.Option(help="Threads for training.")] = 2,
    compare: Annotated[bool, typer.Option("--compare", help="Also run the recipe's comparisons.")] = False,
) -> None:
    """Train a model: evaluate, export, prove, write and register its bundle."""
    from bedside.terminal import steps

    require_training()
    from models.catalog import UnknownModelError, find
    from training.dataset import DatasetError
    from training.export import ExportError
    from training.pipeline import Job
    from training.pipeline import train as run
    from training.readers import read_dataset
    from training.recipe import RecipeError
    from training.tracking import Store

    console = new_console()
    try:
        entry = find(model)
        with steps(console) as progress:
            job = Job(
                entry=entry,
                datasets=read_dataset(data, progress),
                output=output or state / "bundles" / entry.spec.id / "bundle",
                store=Store.embedded(state) if tracking_uri is None else Store(tracking_uri=tracking_uri),
                alias=alias,
                now=datetime.now(UTC),
                threads=threads,
                compare=compare,
            )
            trained = run(job, progress)
    except (DatasetError, ExportError, RecipeError, UnknownModelError) as error:
        fail(error)
    for title, measured in (*trained.results.main.items(), *trained.results.comparisons.items()):
        found = measured.performance
        utility = "" if measured.utility is None else f"  utility {measured.utility.value:.4f}"
        console.print(f"{title}: AUROC {found.auroc.value:.4f}  AUPRC {found.auprc.value:.4f}{utility}", soft_wrap=True)
    console.print(f"Bundle {trained.bundle}; MLflow run {trained.run_id}, version {trained.version} ({alias}).")
