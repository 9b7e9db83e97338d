"""Writes what a server is made of as CycloneDX JSON: `make sbom`.

The packages are those that this environment has of `[project.dependencies]` and of what these need in turn; the
environment was installed from requirements.lock, hash by hash. Nothing is fetched.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def server_packages(project: Path = ROOT / "pyproject.toml") -> dict[str, Distribution]:
    """What an installation without extras holds on this machine, by name.

    Raises:
        PackageNotFoundError: the environment lacks one.
    """
    wanted = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, frozenset[str]]] = set()
    waiting = list(_applying(wanted, frozenset()))
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in asked:
            continue
        asked.add((name, extras))
        found[name] = distribution(name)
        waiting += _applying(found[name].requires or (), extras)
    return found


def _applying(requirements: list[str] | tuple[()], extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def write_sbom(target: Path) -> None:
    """Write the document, validated against its schema.

    cyclonedx-py describes a whole environment: it is shown one that holds the metadata of the server's packages alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)
        (site,) = Path(folder).glob("lib/python*/site-packages")
        for package in server_packages().values():
            metadata = Path(str(package.locate_file(""))) / _metadata_folder(package)
            (site / metadata.name).symlink_to(metadata)
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-file", str(target), folder]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONNOUSERSITE": "1"})


def _metadata_folder(package: Distribution) -> str:
    folders = {file.parts[0] for file in package.files or () if file.parts[0].endswith(".dist-info")}
    (folder,) = folders
    return folder


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sbom(path)
    print(f"{len(server_packages())} packages: {path}")  # noqa: T201 - a command says what it did
