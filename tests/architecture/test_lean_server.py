"""The server process holds only what a card needs."""

import subprocess
import sys

HEAVY = ("mlflow", "pandas", "sklearn", "lightgbm", "shap", "matplotlib", "onnx", "pyarrow", "scipy")


def test_importing_the_server_imports_no_training_library() -> None:
    script = f"import serving.app, bedside.cli, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
