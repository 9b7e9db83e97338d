"""The `bedside` command: a few lines per verb; each imports what it needs when it runs."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

app = typer.Typer(
    name="bedside",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Clinical risk models at the bedside: FHIR in, a calibrated and explained CDS Hooks card out. "
    "Research software, not a medical device.",
)
STATE = Path(".bedside")

Language = Annotated[str, typer.Option(help="Language of cards: en or de.")]
Zone = Annotated[str, typer.Option("--timezone", help="Time zone in which cards show times, such as Europe/Berlin.")]
AsOf = Annotated[str, typer.Option(help="Index time: clock, or latest-observation for historic patients.")]
State = Annotated[Path, typer.Option(help="Folder for the journal, the pseudonym key and the embedded MLflow store.")]


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8000,
    public_url: Annotated[str | None, typer.Option(help="Where clients reach the server; cards link to it.")] = None,
    bundle: Annotated[list[Path] | None, typer.Option(help="A bundle to serve beside the released ones.")] = None,
    cors_origin: Annotated[list[str] | None, typer.Option(help="Web origin that may call; default: any.")] = None,
    journal_sync: Annotated[
        str, typer.Option(help="full: commits wait for the disk; normal: for the system.")
    ] = "full",
    state: State = STATE,
    language: Language = "en",
    timezone: Zone = "UTC",
    as_of: AsOf = "clock",
) -> None:
    """Serve the released bundles, and any others given, as CDS Hooks services."""
    import uvicorn

    from models.bundle import BundleError
    from serving.app import create_app
    from serving.journal import JournalError
    from serving.settings import Settings

    try:
        application = create_app(
            Settings(
                state=state,
                public_url=public_url or f"http://{host}:{port}",
                bundles=tuple(bundle or ()),
                language=language,  # type: ignore[arg-type]  # Settings checks it
                zone_name=timezone,
                as_of=as_of,  # type: ignore[arg-type]  # Settings checks it
                cors_origins=tuple(cors_origin or ("*",)),
                journal_sync=journal_sync,  # type: ignore[arg-type]  # Settings checks it
            )
        )
    except (BundleError, JournalError, LookupError, ValueError) as error:  # settings, keys and examples: ValueErrors
        _fail(error)
    uvicorn.run(application, host=host, port=port, log_level="info", access_log=False)


@app.command()
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

    _require_training()
    from models.catalog import UnknownModelError, find
    from training.dataset import DatasetError
    from training.export import ExportError
    from training.pipeline import Job
    from training.pipeline import train as run
    from training.readers import read_dataset
    from training.recipe import RecipeError
    from training.tracking import Store

    console = Console()
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
        _fail(error)
    for title, measured in (*trained.results.main.items(), *trained.results.comparisons.items()):
        found = measured.performance
        utility = "" if measured.utility is None else f"  utility {measured.utility.value:.4f}"
        console.print(f"{title}: AUROC {found.auroc.value:.4f}  AUPRC {found.auprc.value:.4f}{utility}", soft_wrap=True)
    console.print(f"Bundle {trained.bundle}; MLflow run {trained.run_id}, version {trained.version} ({alias}).")


@app.command()
def extract(
    source: Annotated[Path, typer.Argument(help="A folder of FHIR NDJSON, plain or gzip, or one file.")],
    target: Annotated[Path, typer.Argument(help="The Parquet file to write.")],
    *,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Write it though lines are broken.")] = False,
) -> None:
    """Read FHIR NDJSON into events, as Parquet, and tell what was refused."""
    from bedside.terminal import steps

    _require_training()
    from training.dataset import DatasetError
    from training.readers.fhir_ndjson import describe_broken, read_record
    from training.store import write_events

    if not target.absolute().parent.is_dir():  # told before the reading, which may take long
        _fail(f"{target}: expected a folder that is there to write the file into.")
    console = Console()
    try:
        with steps(console) as progress:
            record, broken = read_record(source, progress)
    except DatasetError as error:
        _fail(error)
    for refusal, count in record.refusals:
        parts = (refusal.reason, refusal.concept or "", refusal.detail or "")
        console.print(f"refused {count:>9,}  {'  '.join(parts)}", markup=False, highlight=False)
    if broken and not keep_going:
        _fail(f"{describe_broken(broken)} Nothing was written; --keep-going writes the rest.")
    try:
        write_events(record.events, target)
    except OSError as error:
        _fail(f"{target}: cannot be written: {error}.")
    console.print(f"{len(record.events):,} events of {len(record.events.patients):,} patients in {target}.")


@app.command()
def card(
    request: Annotated[Path, typer.Argument(help="A CDS Hooks request as JSON, or an example of a model.")],
    *,
    service: Annotated[str, typer.Option(help="Which service.")] = "sepsis",
    bundle: Annotated[Path | None, typer.Option(help="Another bundle than the released one.")] = None,
    language: Language = "en",
    timezone: Zone = "UTC",
    as_of: AsOf = "latest-observation",
) -> None:
    """Run one CDS request file through a bundle and print the card."""
    from bedside.card import CardError, card_of
    from bedside.terminal import print_card

    try:
        shown = card_of(request, service=service, bundle=bundle, language=language, zone_name=timezone, as_of=as_of)
    except CardError as error:
        _fail(error)
    print_card(Console(), shown)


@app.command()
def demo(
    *,
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65_535)] = 8000,
    patients: Annotated[int, typer.Option(help="Size of the synthetic cohort.", min=1)] = 3000,
    state: State = STATE / "demo",
    language: Language = "en",
    once: Annotated[bool, typer.Option("--once", help="End after the cards instead of serving on.")] = False,
) -> None:
    """Make a synthetic cohort, train on it, serve the model and show three patients' cards."""
    _require_training()
    from bedside.demo import DemoError, run

    try:
        run(port=port, patients=patients, state=state, language=language, once=once)
    except DemoError as error:
        _fail(error)


def _require_training() -> None:
    """A server is installed without the libraries that train: say so, not where an import failed."""
    lacking = [name for name in ("lightgbm", "mlflow", "onnx", "pandas", "pyarrow", "shap") if find_spec(name) is None]
    if lacking:
        _fail(f"this verb needs {', '.join(lacking)}: pip install 'bedside[training]'.")


def _fail(error: Exception | str) -> NoReturn:
    """Say what is wrong and end with a non-zero status."""
    Console(stderr=True).print(f"bedside: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
