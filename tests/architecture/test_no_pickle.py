"""Nothing that is read from a file or the network becomes code: no pickle, no eval, no loader that runs what it reads.

This holds for our own files. Of the libraries: process pools and Dask send our own objects to our own workers as
pickles, within the cluster that a site closes (docs/threat-model.md); MLflow gets folders, never a pickled estimator.
"""

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "bedside",
    "features",
    "models",
    "training",
    "serving",
    "cds_hooks",
    "benchmarks",
    "docs",
    "notebooks",
    "tests",
)
# Modules that turn bytes into objects by running what the bytes say.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "skops", "torch"}
NAMES = {"eval", "exec", "compile", "__import__"}
# What runs code only when it is asked to by its name or by an argument.
METHODS = {"read_pickle", "to_pickle", "load_pickle", "unsafe_load", "full_load"}
ARGUMENTS = {"allow_pickle", "weights_only"}

# file -> (what, why it is right there). Each must still be there: an exception that nobody needs any more is taken out.
EXCEPTIONS: dict[str, tuple[set[str], str]] = {
    "tests/features/vocabulary/test_concept.py": ({"pickle"}, "round trip of our own bytes, as a process pool sends"),
    "tests/features/kernel/test_kernel_oracle.py": ({"pickle"}, "round trip of our own bytes, as a process pool sends"),
    "tests/features/files/test_sources.py": ({"exec"}, "runs the imports that a page of our documentation shows"),
    "tests/features/test_refusals.py": ({"pickle"}, "round trip of our own bytes, as a process pool sends"),
}


def faults(tree: ast.AST) -> Iterator[str]:
    """What in a file could run what it reads."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] in MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in NAMES:
                yield name
            case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="yaml"), attr="load" | "load_all" as name)):
                yield f"yaml.{name}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="importlib"), attr="__import__")):
                yield "__import__"
            case ast.keyword(arg=str(name)) if name in ARGUMENTS:
                yield name


def sources() -> Iterator[tuple[str, str]]:
    """Every Python file of ours, and the code of every notebook."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout.split("\0")
    found = [ROOT / name for name in listed if name.endswith((".py", ".ipynb"))]
    for path in found or [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), _cells(text) if path.suffix == ".ipynb" else text


def _cells(notebook: str) -> str:
    cells = [cell["source"] for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
    return "\n".join("".join(cell) for cell in cells)


def test_no_file_loads_what_could_run() -> None:
    found = {name: set(faults(ast.parse(text))) for name, text in sources()}
    assert {name: what for name, what in found.items() if what} == {name: it[0] for name, it in EXCEPTIONS.items()}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import torch.serialization",
        "numpy.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
        "yaml.load(text)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "torch_load(path, weights_only=False)",
    ],
)
def test_the_check_finds(line: str) -> None:
    assert list(faults(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["re.compile(text)", "numpy.load(path)", "yaml.safe_load(text)", "json.load(file)", "import picklejar"]
)
def test_the_check_lets_pass(line: str) -> None:
    assert not list(faults(ast.parse(line)))
