"""Golden rows and the reference distribution: what a bundle keeps of the rows it was made from, as summaries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import Background, Golden, plain_rows
from models.permutation import golden_contributions
from training.export.parity import open_session, run_graph, run_outputs

GOLDEN_ROWS = 16
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# Golden rows are made, not patients' own: every value is drawn from another row, and so belongs to nobody.
CANDIDATE_ROWS = 4_000
# Against so many made rows a graph without contributions is explained; time grows with them, chance shrinks.
BACKGROUND_ROWS = 32
# Made rows keep within these quantiles of each feature: a rarer value could be known to be someone's.
COMMON = (0.01, 0.99)


def golden_rows(model: bytes, matrix: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """Rows that span the range of risk, float32[N, F]: each value from another patient; and one all-missing row."""
    rng = np.random.default_rng(seed)
    mixed = _mixed(matrix, CANDIDATE_ROWS, rng)
    session = open_session(model)
    risk = np.concatenate([run_graph(session, part).logit for part in np.array_split(mixed, CANDIDATE_ROWS // 50)])
    spread = np.argsort(risk, kind="stable")[np.linspace(0, CANDIDATE_ROWS - 1, GOLDEN_ROWS - 1).astype(int)]
    missing = np.full((1, matrix.shape[1]), np.nan, np.float32)
    return np.concatenate((mixed[spread], missing))


def background_of(matrix: NDArray[np.float32], *, seed: int) -> Background:
    """Rows to explain others against: each value from another patient, and within `COMMON` quantiles.

    Features are drawn one by one, so that rows may be of nobody who could exist (a minimum above a maximum), and the
    base value of such an explanation is the mean over made rows, not over patients.
    """
    mixed = _mixed(matrix, BACKGROUND_ROWS, np.random.default_rng(seed))
    with np.errstate(invalid="ignore"):
        low, high = (np.nanquantile(matrix, quantile, axis=0, method="nearest") for quantile in COMMON)
        return Background(rows=plain_rows(np.clip(mixed, low, high).astype(np.float32)))


def golden_by_permutation(model: bytes, rows: NDArray[np.float32], background: Background, *, seed: int) -> Golden:
    """What a graph without contributions gives for the rows, and how a few permutations explain it."""
    session = open_session(model)

    def logits(some: NDArray[np.float32]) -> NDArray[np.float64]:
        return run_outputs(session, some).explained[:, 0]

    found = run_outputs(session, rows)
    return Golden.of(
        rows=rows,
        logit=found.explained[:, 0].astype(np.float32),
        probability=found.served[:, 0].astype(np.float32),
        contributions=golden_contributions(logits, rows, background.matrix, seed=seed),
        base_value=float(logits(background.matrix).mean()),
    )


def _mixed(matrix: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows of which each value was drawn from another row, float32[count, F]."""
    columns = [column[rng.integers(0, len(column), count)] for column in matrix.T]
    return np.stack(columns, axis=1).astype(np.float32)


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
