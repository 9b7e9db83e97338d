"""The `bedside` command: a few lines per verb; each imports what it needs when it runs."""

import os
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
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
    workers: Annotated[int, typer.Option(help="Processes that answer calls; see docs/serving.md.", min=1)] = 1,
    public_url: Annotated[str | None, typer.Option(help="Where clients reach the server; cards link to it.")] = None,
    bundle: Annotated[list[Path] | None, typer.Option(help="A bundle to serve beside the released ones.")] = None,
    cors_origin: Annotated[list[str] | None, typer.Option(help="Web origin that may call; default: any.")] = None,
    journal_sync: Annotated[
        str, typer.Option(help="full: commits wait for the disk; normal: for the system.")
    ] = "full",
    deadline_ms: Annotated[
        float | None, typer.Option(help="Leave an explanation out that would end later than this after the call came.")
    ] = None,
    fhir_version: Annotated[str, typer.Option(help="FHIR version of what clients send: R4, R4B or R5.")] = "R4",
    ask_reports: Annotated[
        bool, typer.Option("--ask-reports", help="Ask for DiagnosticReports, where Observations have no times.")
    ] = False,
    state: State = STATE,
    language: Language = "en",
    timezone: Zone = "UTC",
    as_of: AsOf = "clock",
) -> None:
    """Serve the released bundles, and any others given, as CDS Hooks services."""
    # Read when numpy is imported: a row is too little work to share, and no thread may exist before workers are forked.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    from models.bundle import BundleError
    from serving.app import create_app
    from serving.journal import JournalError
    from serving.listening import ListenError, bound, serve_alone
    from serving.settings import Settings
    from serving.workers import WorkersError, serve_with_workers

    try:
        with bound(host, port) as sockets:
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
                    deadline_ms=deadline_ms,
                    fhir_version=fhir_version,  # type: ignore[arg-type]  # Settings checks it
                    ask_reports=ask_reports,
                )
            )
            if workers == 1:
                serve_alone(application, sockets)
            else:
                serve_with_workers(application, sockets, workers=workers)
    except (BundleError, JournalError, ListenError, LookupError, ValueError, WorkersError) as error:
        _fail(error)  # settings, keys and examples are ValueErrors


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

    console = _console()
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

    _require_training()
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

    console = _console()
    try:
        version = noted_version(source) or "R4" if fhir_version is None else version_of(fhir_version)
        options = extraction.Options(version=version, memory_bytes=memory_bytes(memory))
        with crew_for(workers, scheduler) as crew, steps(console, in_bytes={extraction.READING}) as progress:
            written = extraction.extract(
                source, target, crew=crew, options=options, keep_going=keep_going, progress=progress
            )
    except extraction.FaultsError as error:
        _fail(f"{error} Nothing was written; --keep-going writes the rest.")
    except (DatasetError, FhirVersionError, SourceError) as error:
        _fail(error)
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


@app.command()
def meds(
    events: Annotated[Path, typer.Argument(help="A folder that `bedside extract` wrote.")],
    target: Annotated[Path, typer.Argument(help="The MEDS data set to write, where nothing is yet.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the folder's.")] = None,
) -> None:
    """Write extracted events as a MEDS data set (Medical Event Data Standard), one Parquet file per part."""
    _require_training()
    from features.vocabulary.concept import load_vocabulary
    from training.dataset import DatasetError
    from training.meds import write_meds
    from training.store import read_parts

    try:
        subjects = write_meds(read_parts(events), target, load_vocabulary(), name=name or events.resolve().name)
    except (DatasetError, OSError, ValueError) as error:
        _fail(error)
    _console().print(f"{subjects:,} subjects in {target}; metadata/subjects.parquet tells who they are.", markup=False)


@app.command()
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
        _fail("SMART Backend Services need both --client-id and --key-file.")
    console = _console()
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
        _fail(error)
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


@app.command()
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
        _fail("SMART Backend Services need both --client-id and --key-file.")
    console = _console()
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
        _fail(error)
    coverage.print_report(console, report)
    try:
        coverage.write_report(report, page=out, json=json)
    except OSError as error:
        _fail(f"The report cannot be written: {error}.")
    raise typer.Exit(coverage.exit_status(report))


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
    print_card(_console(), shown)


@app.command()
def conform(
    url: Annotated[str, typer.Argument(help="The base URL of a CDS Hooks server, or its discovery URL.")],
    *,
    service: Annotated[str | None, typer.Option(help="Only this service; default: all that discovery lists.")] = None,
    request: Annotated[list[Path] | None, typer.Option(help="A synthetic request that gets a card.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON to this file.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for the server.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust instead of the usual, as PEM.")] = None,
    origin: Annotated[str | None, typer.Option(help="Web origin of the browser that is imitated, for CORS.")] = None,
    seconds: Annotated[float, typer.Option(help="How long the check may take.", min=1)] = 600,
) -> None:
    """Hold any CDS Hooks server to the requirements, from outside, with invented patients. See docs/conformance.md.

    Ends with 0 if nothing is not met; 3 if something binding is not met, 4 if only advice; 1 if it could not be made.
    """
    from bedside import conform as checks
    from bedside.terminal import steps

    console = _console()
    try:
        wanted = checks.wanted_check(
            url, service=service, requests=request or (), token_file=token_file, ca_file=ca_file, origin=origin,
            seconds=seconds,
        )  # fmt: skip
        console.print(checks.announcement(wanted), markup=False, highlight=False)
        with steps(console) as progress:
            report = checks.conform(wanted, progress)
        checks.print_report(console, report)
        if json is not None:
            checks.write_report(report, json)
    except checks.ConformError as error:
        _fail(error)
    raise typer.Exit(checks.exit_status(report))


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


def _console(*, stderr: bool = False) -> "Console":
    """Rich takes a while to import: a server that starts does without."""
    from rich.console import Console

    return Console(stderr=stderr)


def _fail(error: Exception | str) -> NoReturn:
    """Say what is wrong and end with a non-zero status."""
    _console(stderr=True).print(f"bedside: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
