"""The demonstration: the whole line, from a synthetic cohort to cards in a browser, on embedded defaults."""

import socket
import threading
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import uvicorn
from rich.console import Console

from bedside.terminal import Steps, print_card, steps
from cds_hooks.response import decode_response
from features.files.sources import ndjson_files
from features.times import to_datetime
from models.bundle import load
from models.catalog import CatalogEntry, find
from models.cohort import Cohort
from serving.app import create_app
from serving.assess import ServedModel, has_minimum, serve
from serving.samples import Example
from serving.settings import Settings, SettingsError
from training import synthetic
from training.dataset import Dataset, DatasetError
from training.pipeline import Job, train
from training.readers import fhir_ndjson
from training.rows import clinical_model
from training.tracking import Store

MODEL = "aki"
SEED = 20251124


class DemoError(Exception):
    """The demonstration cannot go on; the message says what to do."""


class Choice(NamedTuple):
    """A patient to show: why this one, and when to look."""

    name: str
    title: str
    note: str
    patient: str
    at: int


def run(*, port: int, patients: int, state: Path, language: str, once: bool) -> None:
    """Generate, train, serve, call and print.

    Raises:
        DemoError: a setting is unknown, the port is taken, the cohort is too small to train on, or the server does
            not answer with cards.
    """
    try:
        settings = Settings(
            state=state,
            public_url=f"http://127.0.0.1:{port}",
            bundles=(state / MODEL / "bundle",),
            language=language,  # type: ignore[arg-type]  # Settings checks it
            as_of="latest-observation",
        )
    except SettingsError as error:
        raise DemoError(str(error)) from error
    # Taken first: whoever has the port in use should not learn so after a minute's training.
    with _listen(port) as listener:
        _run(listener, settings, patients=patients, once=once)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise DemoError(
            f"Expected to serve on 127.0.0.1:{port}; the port is taken. Choose another: bedside demo --port 8001."
        ) from error


def _run(listener: socket.socket, settings: Settings, *, patients: int, once: bool) -> None:
    console, state = Console(), settings.state
    entry, folder = find(MODEL), state / MODEL
    console.print("[bold]Bedside[/bold]: from FHIR to a card. All patients are invented.\n")
    with steps(console) as progress:
        dataset = _cohort(state / "fhir", patients, progress)
        job = Job(
            entry=entry,
            datasets=(dataset,),
            output=folder / "bundle",
            store=Store.embedded(state),
            alias="champion",
            now=datetime.now(UTC),
            threads=2,
            compare=False,
        )
        try:
            trained = train(job, progress)
        except DatasetError as error:
            raise DemoError(f"{error} Ask for more patients: bedside demo --patients 3000.") from error
        served = serve(entry, load(trained.bundle, entry.spec))
        _write_examples(folder / "examples", served, _choose(entry, served, dataset), state / "fhir")
    measured = next(iter(trained.results.main.values())).performance
    console.print(
        f"\nTrained [bold]{entry.spec.title}[/bold] on {measured.patients:,} invented patients: AUROC "
        f"{measured.auroc.value:.3f} out of fold. MLflow run {trained.run_id}, version {trained.version}."
    )
    _serve(settings, listener, folder / "examples", console, once=once)


def _cohort(folder: Path, patients: int, progress: Steps) -> Dataset:
    synthetic.generate(
        folder,
        patients=patients,
        seed=SEED,
        progress=lambda done, total: progress("generating patients as FHIR", done, total),
    )
    return fhir_ndjson.read(folder, progress)[0]


def _choose(entry: CatalogEntry, served: ServedModel, dataset: Dataset) -> tuple[Choice, ...]:
    """Patients of low, of middle and of high risk, the middle one with values missing."""
    events = dataset.record.events
    cohort: Cohort = clinical_model(entry).cohort(dataset.record)
    last = np.flatnonzero(np.r_[np.diff(cohort.patients) > 0, True])
    patients, times = cohort.patients[last], cohort.times[last]
    enough = np.array(
        [has_minimum(served, events, int(patient), int(at)) for patient, at in zip(patients, times, strict=True)]
    )
    rows = served.kernel.compute(events, patients[enough], times[enough])
    risk = np.concatenate([served.scorer.probabilities(part) for part in np.array_split(rows, max(1, len(rows) // 50))])
    missing = np.isnan(rows).sum(axis=1)

    def choice(name: str, title: str, note: str, row: int) -> Choice:
        return Choice(name, title, note, events.patients[patients[enough][row]], int(times[enough][row]))

    order = np.argsort(risk, kind="stable")
    full = order[missing[order] <= np.median(missing)]
    middle = order[int(0.7 * len(order)) : int(0.9 * len(order))]
    sparse = int(middle[np.argmax(missing[middle])])
    return (
        choice("1-low", "Low risk", "An ordinary stay.", int(full[len(full) // 10])),
        choice("2-middle", "Middle risk, values missing", "See what the card says of them.", sparse),
        choice("3-high", "High risk", "See which values raised the estimate.", int(full[-max(1, len(full) // 200)])),
    )


def _write_examples(folder: Path, served: ServedModel, choices: tuple[Choice, ...], fhir: Path) -> None:
    """The requests an EHR would have sent for the chosen patients, answered from the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    resources = synthetic.read_patients(ndjson_files(fhir), {choice.patient for choice in choices})
    for choice in choices:
        request = synthetic.sample_request(
            resources[choice.patient], served.templates, at=to_datetime(choice.at), hook="patient-view"
        )
        example = Example(title=choice.title, note=choice.note, request=request)
        (folder / f"{choice.name}.json").write_bytes(msgspec.json.encode(example))


def _serve(settings: Settings, listener: socket.socket, examples: Path, console: Console, *, once: bool) -> None:
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        for path in sorted(examples.glob("*.json")):
            example = msgspec.json.decode(path.read_bytes(), type=Example)
            console.print(f"\n[bold]{example.title}[/bold]: patient-view → {settings.public_url}/cds-services/{MODEL}")
            body = _post(f"{settings.public_url}/cds-services/{MODEL}", msgspec.json.encode(example.request), settings)
            for card in decode_response(body).cards:
                print_card(console, card)
        if not once:
            _tell_where(console, settings)
            while thread.is_alive():
                thread.join(timeout=0.5)
    except KeyboardInterrupt:
        console.print("\nStopped.")
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _post(url: str, body: bytes, settings: Settings) -> bytes:
    headers = {"Content-Type": "application/json", "Accept-Language": settings.language}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - our own http URL
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            answer: bytes = response.read()
            return answer
    except OSError as error:  # URLError is one; a server that breaks off or keeps silent raises others
        raise DemoError(f"Expected a card from {url}: {error}.") from error


def _tell_where(console: Console, settings: Settings) -> None:
    console.print(
        f"\nServing on [bold]{settings.public_url}[/bold] until Ctrl-C.\n"
        f"  {settings.public_url}/               services and sample patients, in a browser\n"
        f"  {settings.public_url}/cds-services   discovery, for an EHR or the CDS Hooks sandbox\n"
        f"  {settings.public_url}/models/{MODEL}     model facts\n"
        f"  mlflow ui --backend-store-uri sqlite:///{settings.state / 'mlflow.db'}   the run, its plots and the bundle",
        soft_wrap=True,
    )
