"""What is committed: no data, no pickles, no paths of anybody's machine, and each heavy library in one place."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True).stdout.split(
    "\0"
)[:-1]

pytestmark = pytest.mark.skipif(not TRACKED, reason="not a git checkout")

LARGEST_BYTES = 3_000_000
ONE_FILE = {
    "mlflow": {"training/tracking.py"},
    "onnxruntime": {"serving/runtime.py", "training/export/parity.py"},
    "fastapi": {"cds_hooks/router.py", "serving/app.py", "serving/pages/router.py"},
}


def test_no_data_and_no_pickles_are_committed() -> None:
    forbidden = {".parquet", ".pkl", ".pickle", ".joblib", ".gz", ".zst", ".csv", ".ndjson", ".psv"}
    assert [name for name in TRACKED if Path(name).suffix in forbidden] == []


def test_no_committed_file_is_large() -> None:
    assert [name for name in TRACKED if (ROOT / name).is_file() and (ROOT / name).stat().st_size > LARGEST_BYTES] == []


@pytest.mark.parametrize("library", sorted(ONE_FILE))
def test_a_library_is_imported_in_its_places_only(library: str) -> None:
    line = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    packages = ("bedside/", "features/", "models/", "training/", "serving/", "cds_hooks/")
    found = {
        name
        for name in TRACKED
        if name.startswith(packages) and name.endswith(".py") and line.search((ROOT / name).read_text(encoding="utf-8"))
    }
    assert found == ONE_FILE[library]
