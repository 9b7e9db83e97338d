"""The benchmark model as a BentoML service.

As https://docs.bentoml.com/en/latest/build-with-bentoml/services.html and
https://docs.bentoml.com/en/latest/reference/bentoml/frameworks/lightgbm.html say: the model is saved to the model store
(BENTOML_HOME), a class with the decorator `service` loads it, a method with `api` takes a numpy array, and
`bentoml serve bentoml_service:Benchmark` serves it.

    python bentoml_service.py MODEL_FOLDER TARGET_FOLDER
"""

import sys
from pathlib import Path

import bentoml  # type: ignore[import-not-found]  # in its own environment
import lightgbm
import numpy as np

TAG = "benchmark"


@bentoml.service(workers=1)
class Benchmark:
    """Scores rows."""

    def __init__(self) -> None:
        self.booster = bentoml.lightgbm.load_model(f"{TAG}:latest")

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities of rows [N, 30]."""
        found: np.ndarray = self.booster.predict(rows.astype(np.float64))
        return found


def main(model_folder: Path) -> None:
    """Put the booster into the model store."""
    bentoml.lightgbm.save_model(TAG, lightgbm.Booster(model_file=str(model_folder / "booster.txt")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
