"""The wheel: with compiled code where there is a C compiler, and whole without it where there is none."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILED = ("features/reading/scan/_scan.so", "serving/explainer/_kernel.so")
SOURCES = {"features/reading/scan/scan.c", "serving/explainer/kernel.c", "serving/explainer/explainer.py"}


def wheel(folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_wheel_built_where_there_is_a_compiler_holds_its_work_and_is_of_its_platform(tmp_path: Path) -> None:
    built = wheel(tmp_path)
    assert set(COMPILED) <= set(zipfile.ZipFile(built).namelist())
    assert "-py3-none-" in built.name
    assert not built.name.endswith("-any.whl")


def test_a_wheel_built_without_a_compiler_is_for_every_platform_and_leaves_the_tree_as_it_is(tmp_path: Path) -> None:
    before = [(ROOT / library).exists() for library in COMPILED]
    built = wheel(tmp_path, BEDSIDE_COMPILE="no")
    names = zipfile.ZipFile(built).namelist()
    assert not set(COMPILED) & set(names)
    assert set(names) >= SOURCES
    assert built.name.endswith("-py3-none-any.whl")
    assert [(ROOT / library).exists() for library in COMPILED] == before


def test_a_compiler_that_fails_costs_speed_and_not_the_installation(tmp_path: Path) -> None:
    built = wheel(tmp_path, CC="false")
    assert built.name.endswith("-py3-none-any.whl")
