"""Boosted trees, several times over: boosters of different seeds whose mean log-odds is one booster again.

Averaging steadies what one boosting run learned by chance. The mean of sums of trees is a sum of trees, so the
boosters are merged into a single LightGBM model, which predicts, explains and exports like any other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

TREE = re.compile(r"\nTree=\d+\n")
TREE_SIZES = re.compile(r"^tree_sizes=.*$", re.MULTILINE)
VALUES = re.compile(r"^(leaf_value|internal_value)=(.*)$", re.MULTILINE)
END = "\nend of trees\n"


@dataclass(slots=True, kw_only=True)
class BaggedTrees:
    """Binary LightGBM boosters of different seeds, averaged on the logit; scikit-learn's fit and decision_function.

    Attributes:
        bags: how many boosters.
        parameters: LightGBM's, by any of its names; among them the number of trees of each booster.
        seed: of the first booster; the others count on from it.
        booster_: the merged model, after fit.
    """

    bags: int
    parameters: Mapping[str, Any]
    seed: int
    booster_: lightgbm.Booster | None = field(default=None, init=False)

    def fit(self, rows: NDArray[np.float32], labels: NDArray[np.int32]) -> Self:
        """Fit on rows float32[N, F], NaN where missing, and labels 0 or 1."""
        shared = {"objective": "binary", "verbosity": -1, **self.parameters}
        dataset = lightgbm.Dataset(rows, label=labels, params=shared, free_raw_data=False)
        boosters = [lightgbm.train({**shared, "seed": self.seed + bag}, dataset) for bag in range(self.bags)]
        self.booster_ = merge(boosters)
        return self

    def decision_function(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, float64[N]."""
        if self.booster_ is None:
            raise ValueError("BaggedTrees: expected fit before decision_function.")
        return np.asarray(self.booster_.predict(rows, raw_score=True), np.float64)


def merge(boosters: Sequence[lightgbm.Booster]) -> lightgbm.Booster:
    """One booster whose raw score is the mean of the boosters' raw scores.

    Works on LightGBM's text format: all trees behind each other, the values of leaves and inner nodes divided by the
    number of boosters. The caller compares predictions, since the format is LightGBM's own.
    """
    texts = [booster.model_to_string() for booster in boosters]
    head, _, rest = texts[0].partition("\nTree=0\n")
    tail = rest.partition(END)[2]
    bodies = [tree for text in texts for tree in TREE.split(text.partition(END)[0])[1:]]
    trees = [f"Tree={number}\n{_divided(body, len(boosters))}\n\n" for number, body in enumerate(bodies)]
    sizes = " ".join(str(len(tree)) for tree in trees)
    return lightgbm.Booster(model_str=f"{TREE_SIZES.sub(f'tree_sizes={sizes}', head)}\n{''.join(trees)}{END}{tail}")


def _divided(tree: str, by: int) -> str:
    def divide(line: re.Match[str]) -> str:
        values = " ".join(repr(float(value) / by) for value in line[2].split(" "))
        return f"{line[1]}={values}"

    return VALUES.sub(divide, tree.strip("\n"))
