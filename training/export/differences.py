"""How far a graph's outputs are from what the library says, in the units of the proof."""

from typing import Any

import numpy as np

from training.export.calibrated import Calibrated, probabilities
from training.export.family import Reference, Scale
from training.export.links import served_of
from training.export.outputs import Outputs
from training.export.trees import FloatArray

# Far below any risk that is told apart, and far enough above the smallest positive normal float32, 1.2e-38, below which
# a probability loses digits by its format.
_SMALL = 1.2e-32


def score_differences(
    outputs: Outputs, reference: Reference, model: Calibrated, doubles: FloatArray | None
) -> dict[str, Any]:
    """The differences of what is explained and of what is served, as fields of the proof.

    `doubles` are the scores float64[N, 1] that a calibrator behind them was fed with in the graph.
    """
    scores = reference.scores
    # What belongs to the score that the graph gave; its distance from the library's is the score's business.
    expected = served_of(model.scale, outputs.explained) if doubles is None else probabilities(model, doubles)
    if doubles is None and model.scale is Scale.PROBABILITY:
        expected = scores  # they are what is served, and a tiny risk must not hide behind a tolerance for scores
    served = reference.served
    return {
        "largest_double_score_difference": None
        if doubles is None
        else largest(doubles - scores, np.maximum(1.0, np.abs(scores))),
        "largest_logit_difference": largest(outputs.explained - scores, np.maximum(1.0, np.abs(scores))),
        "largest_probability_difference": largest(outputs.served - expected, np.abs(expected) + _SMALL),
        "largest_prediction_difference": None
        if served is None
        else largest(outputs.served - served, np.maximum(1.0, np.abs(served))),
    }


def explanation_differences(outputs: Outputs, reference: Reference) -> dict[str, Any]:
    """The differences of contributions and base values, and of their sum from what is explained."""
    found, base = outputs.contributions, outputs.base_values
    if found is None or base is None:
        nothing = ("largest_base_value_difference", "largest_contribution_difference", "largest_additivity_difference")
        return dict.fromkeys(nothing)
    known, known_base = reference.contributions, reference.base_values
    scale = size_of(base if known_base is None else known_base, found if known is None else known)
    total = base + found.sum(axis=2)
    return {
        "largest_base_value_difference": None
        if known_base is None
        else largest(base - known_base, np.maximum(1.0, np.abs(known_base))),
        "largest_contribution_difference": None if known is None else largest(found - known, scale[:, :, np.newaxis]),
        "largest_additivity_difference": largest(total - outputs.explained, scale),
    }


def size_of(base_values: FloatArray, contributions: FloatArray) -> FloatArray:
    """Per row and target, the size of the largest of 1, the base value and the contributions: float64[N, K]."""
    return np.asarray(np.maximum(np.maximum(1.0, np.abs(base_values)), np.abs(contributions).max(axis=2)))


def largest(differences: FloatArray, scale: FloatArray) -> float:
    """The largest scaled difference; NaN if any is."""
    return float(np.max(np.abs(differences) / scale))
