"""The estimators, behind scikit-learn's interface: boosted trees, and the logistic baseline that runs beside them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from training.bagging import BaggedTrees

Matrix: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.bool_]


def boosted_trees(parameters: Mapping[str, Any], *, seed: int, threads: int) -> BaggedTrees:
    """LightGBM, deterministic for a seed and a number of threads; NaN is missing.

    Args:
        parameters: LightGBM's, and `bags`: how many boosters to average, 1 if it is not given.
        seed: of every random choice.
        threads: for the fit; a number of its own gives the same trees.
    """
    own = {name: value for name, value in parameters.items() if name != "bags"}
    # By column: only the features that a tree was given are read, which row by row is not so.
    fixed = {"n_jobs": threads, "deterministic": True, "force_col_wise": True}
    return BaggedTrees(bags=int(parameters.get("bags", 1)), parameters={**own, **fixed}, seed=seed)


def logistic_baseline() -> Pipeline:
    """Median, an indicator of missingness, standard scores and a logistic regression."""
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scale", StandardScaler()),
            # Newton's method: few passes over many rows, exact for this number of columns.
            ("regress", LogisticRegression(solver="newton-cholesky", C=1.0, max_iter=100)),
        ]
    )


def fit(estimator: Any, rows: Matrix, labels: Labels) -> Any:
    """Fit and return it."""
    return estimator.fit(rows, labels.astype(np.int32))


def logits(estimator: Any, rows: Matrix) -> NDArray[np.float64]:
    """The estimator's raw log-odds, float64[N]."""
    return np.asarray(estimator.decision_function(rows), np.float64)
