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
from numpy.typing import NDArray
from rich.console import Console

from bedside.terminal import Steps, new_console, print_card, steps
from cds_hooks.response import decode_response
from features.files.sources import ndjson_files
from features.times import to_datetime
from models.bundle import load
from models.catalog import CatalogEntry, find
from models.cohort import Cohort
from models.spec import ModelSpec
from serving.app import create_app
from serving.assess import ServedModel, has_minimum, serve
from serving.samples import Example
from serving.settings import Settings, SettingsError
from training import synthetic
from training.dataset import Dataset, DatasetError
from training.export import NotExportableError
from training.pipeline import Job, Trained, train
from training.readers import fhir_ndjson
from training.rows import clinical_model
from training.tracking import Store

MODELS = ("aki", "aki-order")
"""Once for whoever opens a chart, once for whoever orders a drug."""
CHART = "patient-view"
SEED = 20251124


class DemoError(Exception):
    """The demonstration cannot go on; the message says what to do."""


class Choice(NamedTuple):
    """A patient to show: why this one, when to look, and on which hook."""

    name: str
    title: str
    note: str
    patient: str
    at: int
    hook: str


class Candidates(NamedTuple):
    """Patients of whom a model can tell a risk: the last time of each at which it can, and what it would tell."""

    patients: tuple[str, ...]
    times: NDArray[np.int64]
    rows: NDArray[np.float32]
    risk: NDArray[np.float32]

    def choice(self, row: int, name: str, title: str, note: str, hook: str) -> Choice:
        """One of them, to show."""
        return Choice(name, title, note, self.patients[row], int(self.times[row]), hook)


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
            bundles=tuple(state / model / "bundle" for model in MODELS),
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
    console, state = new_console(), settings.state
    console.print("[bold]Bedside[/bold]: from FHIR to a card. All patients are invented.\n")
    with steps(console) as progress:
        dataset = _cohort(state / "fhir", patients, progress)
        results = [_train(find(model), dataset, state, progress) for model in MODELS]
    for trained, entry in zip(results, map(find, MODELS), strict=True):
        measured = next(iter(trained.results.main.values())).performance
        console.print(
            f"\nTrained [bold]{entry.spec.title}[/bold] on {measured.patients:,} invented patients: AUROC "
            f"{measured.auroc.value:.3f} out of fold. MLflow run {trained.run_id}, version {trained.version}."
        )
    _serve(settings, listener, console, once=once)


def _train(entry: CatalogEntry, dataset: Dataset, state: Path, progress: Steps) -> Trained:
    """Train a model and write down what an EHR would ask it."""
    folder = state / entry.spec.id
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
    except (DatasetError, NotExportableError) as error:  # a calibration that runs backwards: too few to learn from
        raise DemoError(f"{error} Ask for more patients: bedside demo --patients 3000.") from error
    served = serve(entry, load(trained.bundle, entry.spec))
    found = _candidates(entry, served, dataset)
    choices = _choose_orders(entry.spec, found) if entry.spec.triggers else _choose(found)
    _write_examples(folder / "examples", served, choices, state / "fhir")
    return trained


def _cohort(folder: Path, patients: int, progress: Steps) -> Dataset:
    synthetic.generate(
        folder,
        patients=patients,
        seed=SEED,
        progress=lambda done, total: progress("generating patients as FHIR", done, total),
    )
    return fhir_ndjson.read(folder, progress)[0]


def _candidates(entry: CatalogEntry, served: ServedModel, dataset: Dataset) -> Candidates:
    events = dataset.record.events
    cohort: Cohort = clinical_model(entry).cohort(dataset.record)
    last = np.flatnonzero(np.r_[np.diff(cohort.patients) > 0, True])
    enough = [
        row for row in last.tolist() if has_minimum(served, events, int(cohort.patients[row]), int(cohort.times[row]))
    ]
    patients, times = cohort.patients[enough], cohort.times[enough]
    rows = served.kernel.compute(events, patients, times)
    risk = np.concatenate([served.scorer.probabilities(part) for part in np.array_split(rows, max(1, len(rows) // 50))])
    return Candidates(tuple(events.patients[patient] for patient in patients.tolist()), times, rows, risk)


def _choose(found: Candidates) -> tuple[Choice, ...]:
    """Patients of low, of middle and of high risk, the middle one with values missing."""
    missing = np.isnan(found.rows).sum(axis=1)
    order = np.argsort(found.risk, kind="stable")
    full = order[missing[order] <= np.median(missing)]
    middle = order[int(0.7 * len(order)) : int(0.9 * len(order))]
    low, sparse, high = int(full[len(full) // 10]), int(middle[np.argmax(missing[middle])]), _high(full)
    return (
        found.choice(low, "1-low", "Low risk", "An ordinary stay.", CHART),
        found.choice(sparse, "2-middle", "Middle risk, values missing", "See what the card says of them.", CHART),
        found.choice(high, "3-high", "High risk", "See which values raised the estimate.", CHART),
    )


def _choose_orders(spec: ModelSpec, found: Candidates) -> tuple[Choice, ...]:
    """Patients for whom a drug is ordered that the model speaks at, one of high risk, and one that it is silent at."""
    drafts = [name for name in spec.features.ids if name.removesuffix("_active") in spec.triggers]
    asks = found.rows[:, [spec.features.ids.index(name) for name in drafts]].max(axis=1) > 0
    order = np.argsort(found.risk, kind="stable")
    asking, silent = order[asks[order]], order[~asks[order]]
    low, high = int(asking[len(asking) // 10]), _high(asking)
    return (
        found.choice(low, "1-chosen", "An order is chosen", "Low risk.", "order-select"),
        found.choice(high, "2-signed", "An order is about to be signed", "High risk.", "order-sign"),
        found.choice(int(silent[-1]), "3-silent", "An order of another kind", "No card, by design.", "order-sign"),
    )


def _high(by_risk: NDArray[np.intp]) -> int:
    """One of the highest risks, not the very highest."""
    return int(by_risk[-max(1, len(by_risk) // 200)])


def _write_examples(folder: Path, served: ServedModel, choices: tuple[Choice, ...], fhir: Path) -> None:
    """The requests an EHR would have sent for the chosen patients, answered from the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    patients = synthetic.read_patients(ndjson_files(fhir), {choice.patient for choice in choices})
    for choice in choices:
        resources, at = patients[choice.patient], to_datetime(choice.at)
        drafts = synthetic.drafts_at(resources, at)
        request = synthetic.sample_request(resources, served.templates, at=at, hook=choice.hook, drafts=drafts)
        example = Example(title=choice.title, note=choice.note, request=request)
        (folder / f"{choice.name}.json").write_bytes(msgspec.json.encode(example))


def _serve(settings: Settings, listener: socket.socket, console: Console, *, once: bool) -> None:
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), log_level="warning", access_log=False, server_header=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
    thread.start()
    try:
        for model in MODELS:
            for path in sorted((settings.state / model / "examples").glob("*.json")):
                _show(msgspec.json.decode(path.read_bytes(), type=Example), model, settings, console)
        if not once:
            _tell_where(console, settings)
            while thread.is_alive():
                thread.join(timeout=0.5)
    except KeyboardInterrupt:
        console.print("\nStopped.")
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _show(example: Example, model: str, settings: Settings, console: Console) -> None:
    url = f"{settings.public_url}/cds-services/{model}"
    console.print(f"\n[bold]{example.title}[/bold]: {example.request['hook']} → {url}")
    cards = decode_response(_post(url, msgspec.json.encode(example.request), settings)).cards
    for card in cards:
        print_card(console, card)
    if not cards:
        console.print("No card: none of the drugs of which this model speaks is being ordered.")


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
        f"  {settings.public_url}/models/{MODELS[0]}     model facts\n"
        f"  mlflow ui --backend-store-uri sqlite:///{settings.state / 'mlflow.db'}   the run, its plots and the bundle",
        soft_wrap=True,
    )
