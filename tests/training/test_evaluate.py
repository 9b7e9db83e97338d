"""Measures of performance, by hand, against scikit-learn, and in their statistical behaviour."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training import evaluate as e
from training import tally as measures
from training.performance import Performance
from training.resample import Estimate
from training.tally import SUMMARIES, Ranking, rates, summarise

Labels = NDArray[np.bool_]
Probabilities = NDArray[np.float64]

# Ten patients, worked by hand. Of the 4 x 6 pairs of a positive and a negative, the positive is higher in 21 and equal
# in 1 (the two 0.4): AUROC = 21.5 / 24. Going down, the PPV at the positives is 1/1, 2/2, 3/5 (0.4 is shared by one
# of each) and 4/7: AUPRC = (1 + 1 + 0.6 + 4/7) / 4.
#   probability  0.9  0.8  0.7  0.4  0.4  0.3  0.3  0.2  0.1  0.1
#   outcome       +    +    -    +    -    +    -    -    -    -
PROBABILITIES = np.array([0.9, 0.8, 0.7, 0.4, 0.4, 0.3, 0.3, 0.2, 0.1, 0.1])
LABELS = np.array([True, True, False, True, False, True, False, False, False, False])


@st.composite
def scored_rows(draw: st.DrawFn) -> tuple[Labels, Probabilities]:
    """Return 4 to 60 rows with both outcomes and many ties."""
    count = draw(st.integers(4, 60))
    labels = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    labels[:2] = [True, False]
    tenths = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count))
    return labels, np.array(tenths) / 10


def simulated(rows: int, seed: int, *, slope: float = 1.0, shift: float = 0.0) -> tuple[Labels, Probabilities]:
    """Return outcomes, and probabilities that are calibrated but for a distorted logit `slope * logit + shift`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2.5, 1.2, size=rows)
    labels = rng.random(rows) < 1 / (1 + np.exp(-logits))
    return labels, 1 / (1 + np.exp(-(slope * logits + shift)))


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        pytest.param(e.auroc, (4 * 6 - 2 - 1 + 0.0) / 24, id="auroc"),
    ],
)
def test_ten_patients_by_hand(measure: Callable[[Labels, Probabilities], float], expected: float) -> None:
    assert measure(LABELS, PROBABILITIES) == pytest.approx(expected)
