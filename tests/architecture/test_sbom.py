"""The bill of materials names what a server installs, all of it and nothing else, and holds to CycloneDX's schema."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.sbom import ROOT, server_packages, write_sbom
from tests.architecture.test_lean_server import HEAVY

# Their metadata names none: protobuf's is BSD-3-Clause, in a file of its wheel.
NO_LICENCE_DECLARED = {"protobuf"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bill of materials as `make sbom` writes it."""
    path = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    write_sbom(path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def components(document: str) -> dict[str, dict[str, Any]]:
    return {canonicalize_name(component["name"]): component for component in json.loads(document)["components"]}


def test_it_holds_to_the_schema(document: str) -> None:
    version = SchemaVersion.from_version(json.loads(document)["specVersion"])
    assert JsonStrictValidator(version).validate_str(document) is None


def test_it_names_the_server_and_each_package_with_version_url_and_licence(
    document: str, components: dict[str, dict[str, Any]]
) -> None:
    assert json.loads(document)["metadata"]["component"]["name"] == "bedside"
    for name, package in server_packages().items():
        component = components[name]
        assert component["version"] == package.version
        assert canonicalize_name(component["purl"]) == canonicalize_name(f"pkg:pypi/{name}@{package.version}")
        assert ("licenses" in component) == (name not in NO_LICENCE_DECLARED), name
    assert components.keys() == server_packages().keys()


def test_it_holds_no_library_that_trains_or_tests(components: dict[str, dict[str, Any]]) -> None:
    heavy = {"scikit-learn" if name == "sklearn" else name for name in HEAVY}
    assert components.keys() & (heavy | {"pytest", "hypothesis", "mypy", "ruff", "pip"}) == set()
    assert {"onnxruntime", "fastapi", "joserfc", "numpy"} <= components.keys()


def test_its_versions_are_those_of_the_lock(components: dict[str, dict[str, Any]]) -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line.rstrip(" \\")) for line in lines if "==" in line and not line.startswith((" ", "#"))]
    versions: dict[str, set[str]] = {}
    for requirement in pinned:
        versions.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier)[2:])
    assert {name for name, component in components.items() if component["version"] not in versions[name]} == set()


def test_it_tells_nothing_of_the_machine_it_was_made_on(document: str) -> None:
    assert str(ROOT) not in document
    assert str(Path.home()) not in document
    assert "file://" not in document


def test_what_needs_what_is_told_from_the_server_down(document: str) -> None:
    needed = {entry["ref"]: entry.get("dependsOn", []) for entry in json.loads(document)["dependencies"]}
    reached, waiting = set[str](), ["root-component"]
    while waiting:
        reference = waiting.pop()
        if reference not in reached:
            reached.add(reference)
            waiting += needed[reference]
    assert reached == needed.keys()
