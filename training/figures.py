"""The figures of a run, drawn from its results for the ledger."""

from pathlib import Path

import numpy as np

from models.bundle import Manifest
from training import plots
from training.cross_validation import OutOfFold
from training.export.parity import open_session, run_graph
from training.model_card import Results
from training.report import UTILITY_THRESHOLDS
from training.rows import Rows

BEESWARM_ROWS = 2_000
CHUNK_ROWS = 50


def draw(
    folder: Path, rows: Rows, found: OutOfFold, results: Results, model: bytes, manifest: Manifest
) -> tuple[Path, ...]:
    """Draw ROC, precision and recall, calibration, decision curve, utility, and what moved the estimates."""
    measured = next(iter(results.main.values()))
    scores = {"boosted trees": found.probabilities}
    figures = {
        "roc": plots.roc(rows.labels, scores),
        "precision_recall": plots.precision_recall(rows.labels, scores),
        "calibration": plots.calibration(rows.labels, scores),
        "decision": plots.decision(measured.performance.decision_curve),
    }
    if measured.utility_curve is not None:
        chosen = manifest.bands[1].lower_probability
        figures["utility"] = plots.utility(UTILITY_THRESHOLDS, measured.utility_curve, chosen=chosen)
    some = rows.matrix[np.random.default_rng(0).permutation(len(rows.matrix))[:BEESWARM_ROWS]]
    session = open_session(model)
    parts = np.array_split(some, max(1, len(some) // CHUNK_ROWS))
    contributions = np.concatenate([run_graph(session, part).contributions for part in parts])
    values = some.astype(np.float64)
    figures["beeswarm"] = plots.beeswarm(contributions, values, manifest.features)
    figures["dependence"] = plots.dependence(contributions, values, manifest.features)
    return plots.save_all(figures, folder)
