"""Saves the benchmark model for `mlflow models serve`, once as LightGBM and once as ONNX.

As https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ says: `mlflow models serve -m MODEL -p PORT`, here
in the environment that it is installed in (`--env-manager local`), with the signature that the documentation advises.
The ONNX graph is the scoring part of ours: MLflow gives a probability and no reasons.

    python mlflow_models.py MODEL_FOLDER TARGET_FOLDER
"""

import sys
from pathlib import Path

import lightgbm
import mlflow.lightgbm
import mlflow.onnx
import numpy as np
import onnx
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec


def main(model_folder: Path, target: Path) -> None:
    """Write both models."""
    booster = lightgbm.Booster(model_file=str(model_folder / "booster.txt"))
    rows = np.load(model_folder / "rows.npy")
    frame = pd.DataFrame(rows.astype(np.float64), columns=booster.feature_name())
    signature = infer_signature(frame, booster.predict(frame))
    mlflow.lightgbm.save_model(booster, str(target / "lightgbm"), signature=signature)
    tensors = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, rows.shape[1]), "features")]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1,), "probability")]),
    )
    mlflow.onnx.save_model(onnx.load(str(model_folder / "score.onnx")), str(target / "onnx"), signature=tensors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
