"""Rows that an explanation starts from, where a fitted estimator doesn't hold its own means."""

import numpy as np

from training.export.errors import ExportError
from training.export.trees import Float32Array


def checked_background(rows: Float32Array, feature_count: int) -> Float32Array:
    """The rows, if they are float32[N, F] with N >= 1, finite or NaN.

    Raises:
        ExportError: they are something else.
    """
    if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != feature_count:  # noqa: PLR2004 - [N, F]
        raise ExportError(
            f"expected the background as float32 rows [N, {feature_count}] with N >= 1, got {rows.dtype} {rows.shape}"
        )
    if bool(np.isinf(rows).any()):
        raise ExportError("expected a background of finite values or NaN; one is infinite")
    return rows
