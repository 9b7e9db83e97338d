"""Small fitted estimators and rows for the tests of the export."""

import lightgbm
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from training.export import Calibration, GraphMetadata, export
from training.export.calibration import Calibrator
from training.export.trees import Float32Array, FloatArray, IntArray

METADATA = GraphMetadata(model_id="example", version="1.2.3", licence="Apache-2.0")
CALIBRATION = Calibration(slope=1.3, intercept=-0.4)


def cohort(
    *, seed: int = 0, rows: int = 400, features: int = 5, missing: float = 0.2, scale: float = 1.0
) -> tuple[Float32Array, IntArray]:
    """Rows float32[N, F] with NaN, and labels that depend on several features at once and on missingness."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, features))
    logit = 2 * values[:, 0] * (values[:, 1 % features] > 0) - values[:, -1] - 0.5
    hidden = rng.random(values.shape) < missing
    labels = (rng.random(rows) < 1 / (1 + np.exp(-logit - hidden[:, 0]))).astype(np.int64)
    values = values * scale
    values[hidden] = np.nan
    return values.astype(np.float32), labels


def trained(rows: Float32Array, labels: IntArray | FloatArray, **settings: object) -> lightgbm.Booster:
    """A booster on these rows; settings as in LightGBM's parameters."""
    rounds = settings.pop("rounds", 12)
    defaults: dict[str, object] = {
        "objective": "binary",
        "num_leaves": 9,
        "min_data_in_leaf": 5,
        "learning_rate": 0.3,
        "verbose": -1,
        "num_threads": 1,
        "seed": 1,
        "deterministic": True,
    }
    data = lightgbm.Dataset(rows, labels, free_raw_data=False)
    return lightgbm.train({**defaults, **settings}, data, num_boost_round=rounds)


def baseline(rows: Float32Array, labels: IntArray, *, add_indicator: bool = True) -> Pipeline:
    """The logistic baseline."""
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=add_indicator), StandardScaler(), LogisticRegression()
    ).fit(rows, labels)


def names(count: int) -> list[str]:
    """Feature names by position."""
    return [f"feature_{position}" for position in range(count)]


def exported(
    estimator: object, count: int, calibration: Calibrator | None = None, background: Float32Array | None = None
) -> bytes:
    """The estimator's graph with the names and metadata of the tests."""
    return export(
        estimator, feature_names=names(count), calibration=calibration, metadata=METADATA, background=background
    )
