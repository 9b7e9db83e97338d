"""Golden rows and the reference distribution: what a bundle keeps of the rows it was made from, as summaries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import Golden
from training.export.parity import open_session, run_graph

GOLDEN_ROWS = 16
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# Golden rows are made, not patients' own: every value is drawn from another row, and so belongs to nobody.
CANDIDATE_ROWS = 4_000


def golden_rows(model: bytes, matrix: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """Rows that span the range of risk, float32[N, F]: each value from another patient; and one all-missing row."""
    rng = np.random.default_rng(seed)
    mixed = np.stack([column[rng.integers(0, len(column), CANDIDATE_ROWS)] for column in matrix.T], axis=1)
    mixed = mixed.astype(np.float32)
    session = open_session(model)
    risk = np.concatenate([run_graph(session, part).logit for part in np.array_split(mixed, CANDIDATE_ROWS // 50)])
    spread = np.argsort(risk, kind="stable")[np.linspace(0, CANDIDATE_ROWS - 1, GOLDEN_ROWS - 1).astype(int)]
    missing = np.full((1, matrix.shape[1]), np.nan, np.float32)
    return np.concatenate((mixed[spread], missing))


def golden_of(model: bytes, rows: NDArray[np.float32]) -> Golden:
    """What the graph gives for the rows."""
    found = run_graph(open_session(model), rows)
    return Golden.of(
        rows=rows,
        logit=found.logit.astype(np.float32),
        probability=found.probability.astype(np.float32),
        contributions=found.contributions.astype(np.float32),
        base_value=float(found.base_value),
    )


def reference_of(names: Sequence[str], matrix: NDArray[np.float32]) -> dict[str, Any]:
    """How each feature was distributed: its share of missing values and its quantiles."""
    reference: dict[str, Any] = {"rows": len(matrix), "quantiles": list(QUANTILES), "features": {}}
    for name, column in zip(names, matrix.T, strict=True):
        present = column[~np.isnan(column)]
        reference["features"][name] = {
            "missing": float(np.isnan(column).mean()),
            "values": [float(x) for x in np.quantile(present, QUANTILES)] if len(present) else [],
        }
    return reference
