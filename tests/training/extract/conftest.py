"""A small synthetic hospital, made once."""

from pathlib import Path

import pytest

from training import synthetic


@pytest.fixture(scope="package")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty patients in seven files, with duplicates, corrections and drugs by reference."""
    folder = tmp_path_factory.mktemp("cohort")
    synthetic.generate(folder, patients=30, seed=7)
    return folder
