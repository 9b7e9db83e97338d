"""The server process holds only what a card needs."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("mlflow", "pandas", "sklearn", "lightgbm", "shap", "matplotlib", "onnx", "pyarrow", "scipy")
# Of our own dependencies: what serves the other verbs, and what a journal needs once.
UNUSED = (
    *("alembic", "cryptography", "httpx", "joserfc", "mako", "rich", "training"),
    *("features.client", "features.coverage", "models.signing"),
)
# `bedside serve` up to where it would answer calls.
_START = """
import json, sys
import serving.listening
from serving.workers import TASKS

def report(*_, **__):
    threads = len(list(TASKS.iterdir())) if TASKS.is_dir() else 1
    print(json.dumps({"modules": sorted(sys.modules), "threads": threads}))

serving.listening.serve_alone = report
from bedside.cli import app
app(["serve", "--state", sys.argv[1], "--port", sys.argv[2]])
"""


def test_importing_the_server_imports_no_training_library() -> None:
    script = f"import serving.app, bedside.cli, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


def test_a_server_that_is_started_again_has_loaded_nothing_that_it_does_not_use_and_runs_one_thread(
    tmp_path: Path, unused_port: int
) -> None:
    """One thread: no pool of BLAS, no telemetry of onnxruntime, no writer yet, so that workers can be forked."""
    command = [sys.executable, "-c", _START, str(tmp_path / "state"), str(unused_port)]
    for _ in range(2):  # the first makes the journal, for which it needs Alembic
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert [name for name in (*HEAVY, *UNUSED) if name in found["modules"]] == []
    assert found["threads"] == 1


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
