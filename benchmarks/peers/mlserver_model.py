"""Writes the folder that `mlserver start` serves, as https://docs.seldon.ai/mlserver/examples/lightgbm says.

The port comes from the environment (MLSERVER_HTTP_PORT); everything else is MLServer's default.

    python mlserver_model.py MODEL_FOLDER TARGET_FOLDER
"""

import json
import shutil
import sys
from pathlib import Path


def main(model_folder: Path, target: Path) -> None:
    """Copy the booster and write its settings."""
    shutil.copy(model_folder / "booster.txt", target / "benchmark.bst")
    settings = {
        "name": "benchmark",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": "./benchmark.bst", "version": "v1"},
    }
    (target / "model-settings.json").write_text(json.dumps(settings), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
