"""The peers: what each one does of a call's work, how it is installed, prepared, started and asked.

Each has a virtual environment of its own under `.bedside/bench/venvs/`, made of the pinned versions in
`benchmarks/peers/`. One that cannot be installed or started here is reported with the reason, never left out.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.load import Request
from benchmarks.make_model import CACHE
from benchmarks.model import FloatMatrix
from benchmarks.servers import QUOTED_CHARACTERS

HERE = Path(__file__).parent / "peers"
INSTALL_LIMIT_S, PREPARE_LIMIT_S = 600, 180

Takes = Literal["a row", "FHIR"]


class PeerError(RuntimeError):
    """A peer could not be installed or prepared; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to serve the model.

    Attributes:
        name: as its authors write it, with the flavour.
        environment: the name of its requirements file, and of its virtual environment.
        package: the one whose version is told.
        takes: a finished feature row, or a CDS Hooks call with FHIR resources.
        does: what of our work it does.
        prepare: arguments of its Python before the first start; `{model}` and `{folder}` stand for folders.
        serve: the command; `{bin}` stands for its environment's programs, `{port}` for the port.
        ready: the path that answers once it serves.
        path: where it is asked.
        expects: what a good answer contains.
        surroundings: environment variables.
    """

    name: str
    environment: str
    package: str
    takes: Takes
    does: str
    prepare: tuple[str, ...] = ()
    serve: tuple[str, ...]
    ready: str
    path: str
    expects: bytes
    surroundings: Mapping[str, str] = field(default_factory=dict)


PEERS: tuple[Peer, ...] = (
    Peer(
        name="mlflow models serve, LightGBM flavour",
        environment="mlflow",
        package="mlflow",
        takes="a row",
        does="scores",
        prepare=(str(HERE / "mlflow_models.py"), "{model}", "{folder}"),
        serve=("{bin}/mlflow", "models", "serve", "-m", "lightgbm", "-p", "{port}", "--env-manager", "local"),
        ready="/ping",
        path="/invocations",
        expects=b'"predictions"',
    ),
    Peer(
        name="mlflow models serve, ONNX flavour",
        environment="mlflow",
        package="mlflow",
        takes="a row",
        does="scores",
        serve=("{bin}/mlflow", "models", "serve", "-m", "onnx", "-p", "{port}", "--env-manager", "local"),
        ready="/ping",
        path="/invocations",
        expects=b'"predictions"',
    ),
    Peer(
        name="MLServer, LightGBM runtime",
        environment="mlserver",
        package="mlserver",
        takes="a row",
        does="scores",
        prepare=(str(HERE / "mlserver_model.py"), "{model}", "{folder}"),
        serve=("{bin}/mlserver", "start", "."),
        ready="/v2/models/benchmark/ready",
        path="/v2/models/benchmark/infer",
        expects=b'"outputs"',
        surroundings={
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{port2}",
            "MLSERVER_METRICS_PORT": "{port3}",
        },
    ),
    Peer(
        name="BentoML",
        environment="bentoml",
        package="bentoml",
        takes="a row",
        does="scores",
        prepare=(str(HERE / "bentoml_service.py"), "{model}"),
        serve=("{bin}/bentoml", "serve", "bentoml_service:Benchmark", "--port", "{port}", "--working-dir", str(HERE)),
        ready="/readyz",
        path="/predict",
        expects=b"[",
        surroundings={"BENTOML_HOME": "{folder}", "BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        name="HealthChain, CDS Hooks",
        environment="healthchain",
        package="healthchain",
        takes="FHIR",
        does="reads FHIR, computes features, scores, makes a card",
        serve=("{bin}/python", str(HERE / "healthchain_service.py"), "{model}", "{port}"),
        ready="/cds/cds-discovery",
        path="/cds/cds-services/benchmark",
        expects=b'"summary"',
    ),
    Peer(
        name="FastAPI + fhir.resources + LightGBM + shap",
        environment="obvious_stack",
        package="fhir.resources",
        takes="FHIR",
        does="reads FHIR, computes features, scores, explains, makes a card",
        serve=("{bin}/python", str(HERE / "obvious_stack.py"), "{model}", "{port}"),
        ready="/cds-services",
        path="/cds-services/benchmark",
        expects=b'"summary"',
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPeer:
    """A peer that can be started: its command with every folder filled in."""

    peer: Peer
    version: str
    command: tuple[str, ...]
    folder: Path
    surroundings: Mapping[str, str]


def prepare(peer: Peer, model_folder: Path, cache: Path = CACHE) -> PreparedPeer:
    """Install a peer where it is not yet, and hand it the model.

    Args:
        peer: which.
        model_folder: of the benchmark model.
        cache: the folder of all benchmark files.

    Raises:
        PeerError: an installation or a preparation failed.
    """
    environment = _environment(peer, cache.resolve())
    folder = cache.resolve() / "peers" / peer.environment
    places = {"bin": str(environment / "bin"), "model": str(model_folder.resolve()), "folder": str(folder)}
    surroundings = {name: _filled(value, places) for name, value in peer.surroundings.items()}
    surroundings |= _activated(environment)
    marker = folder / f".{model_folder.name}"
    if peer.prepare and not marker.exists():
        _empty(folder)
        command = (str(environment / "bin" / "python"), *(_filled(part, places) for part in peer.prepare))
        _run(command, folder, surroundings, PREPARE_LIMIT_S, f"{peer.name}: could not be given the model")
        marker.touch()
    folder.mkdir(parents=True, exist_ok=True)
    return PreparedPeer(
        peer=peer,
        version=_pinned_version(peer),
        command=tuple(_filled(part, places) for part in peer.serve),
        folder=folder,
        surroundings=surroundings,
    )


def row_request(peer: Peer, row: FloatMatrix, names: Sequence[str]) -> Request:
    """A request with one feature row float32[30], in the form that the peer takes; NaN goes as null."""
    values = [None if value != value else value for value in row.tolist()]  # noqa: PLR0124 - NaN alone differs from itself
    match peer.name:
        case "mlflow models serve, LightGBM flavour":
            body: object = {"dataframe_split": {"columns": list(names), "data": [values]}}
        case "mlflow models serve, ONNX flavour":
            body = {"inputs": [values]}
        case "MLServer, LightGBM runtime":
            tensor = {"name": "rows", "shape": [1, len(values)], "datatype": "FP32", "data": values}
            body = {"inputs": [tensor]}
        case "BentoML":
            body = {"rows": [values]}
        case _:
            raise ValueError(f"{peer.name} takes FHIR, not a row.")
    return Request.post(peer.path, msgspec.json.encode(body), expects=peer.expects)


def _environment(peer: Peer, cache: Path) -> Path:
    """The peer's virtual environment, made anew when its requirements have changed."""
    requirements = HERE / f"{peer.environment}.txt"
    environment = cache / "venvs" / peer.environment
    marker = environment / "installed.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return environment
    uv = str(Path(sys.executable).with_name("uv"))
    what = f"{peer.name}: could not be installed"
    _run(
        (uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)),
        HERE,
        {},
        INSTALL_LIMIT_S,
        what,
    )
    python = str(environment / "bin" / "python")
    _run((uv, "pip", "sync", "--quiet", "--python", python, str(requirements)), HERE, {}, INSTALL_LIMIT_S, what)
    shutil.rmtree(cache / "peers" / peer.environment, ignore_errors=True)  # what another version had prepared
    marker.write_text(wanted, encoding="utf-8")
    return environment


def _activated(environment: Path) -> dict[str, str]:
    """What `activate` sets: these programs start others by their names."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "VIRTUAL_ENV": str(environment)}


def _pinned_version(peer: Peer) -> str:
    pinned = (HERE / f"{peer.environment}.txt").read_text(encoding="utf-8").splitlines()
    names = {line.partition("==")[0].lower().replace(".", "-"): line.partition("==")[2] for line in pinned}
    return names[peer.package.lower().replace(".", "-")]


def _filled(part: str, places: Mapping[str, str]) -> str:
    """The port is filled in when a server starts."""
    for name, value in places.items():
        part = part.replace(f"{{{name}}}", value)
    return part


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _run(command: Sequence[str], folder: Path, surroundings: Mapping[str, str], limit_s: float, what: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | dict(surroundings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{what}: {error}") from error
    if done.returncode:
        raise PeerError(f"{what}: {done.stdout.decode(errors='replace')[-QUOTED_CHARACTERS:].strip()}")
