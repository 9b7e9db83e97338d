"""The recipe: how a model is trained, read from the training.toml in its folder."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from features.feature import Aggregate, Aggregation, FeatureSet

# What US rule HTI-1 (45 CFR 170.315(b)(11)(iv)(B)) and the EU AI Act (Art. 11 to 15) want told in words; the numbers
# come from the run. Each must be there; "none", with the reason, is an answer.
CARD_FIELDS = (
    "developer",
    "contact",
    "funding",
    "intended_users",
    "decision_role",
    "risks_and_limits",
    "inputs",
    "fairness",
    "relevance",
    "validation_process",
    "monitoring",
    "updates",
    "references",
)


class RecipeError(ValueError):
    """A training.toml lacks something or says something unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Another choice of features, measured beside the model and never released.

    Attributes:
        add: features behind the model's own.
        drop: patterns of the ids of features to leave out, such as "*_hours_covered_168h".
    """

    add: tuple[Aggregate, ...] = ()
    drop: tuple[str, ...] = ()

    def apply(self, features: FeatureSet) -> FeatureSet:
        """The features of the comparison.

        Raises:
            RecipeError: a pattern drops nothing.
        """
        for pattern in self.drop:
            if not any(fnmatchcase(name, pattern) for name in features.ids):
                raise RecipeError(f"[comparisons]: no feature has an id like {pattern!r}.")
        kept = [one for one in features if not any(fnmatchcase(one.id, pattern) for pattern in self.drop)]
        return FeatureSet((*kept, *self.add))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        version: of the model that comes out.
        seed: of every random choice.
        folds: of the cross-validation, by patient.
        resamples: of patients, for the intervals.
        boosted_trees: LightGBM's parameters, by the names of its scikit-learn interface.
        comparisons: by name.
        card: the words of the model card, all of `CARD_FIELDS`.
    """

    version: str
    seed: int
    folds: int
    resamples: int
    boosted_trees: Mapping[str, Any]
    card: Mapping[str, str]
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lacking = [name for name in CARD_FIELDS if not str(self.card.get(name, "")).strip()]
        unknown = sorted(set(self.card) - set(CARD_FIELDS))
        if lacking or unknown:
            raise RecipeError(
                f"[card]: expected {', '.join(CARD_FIELDS)}; empty or missing: {lacking}, unknown: {unknown}. "
                "Where there is nothing to say, say so and why."
            )


def load_recipe(folder: Path) -> Recipe:
    """Read a model folder's training.toml.

    Raises:
        RecipeError: it is not there, or is no recipe.
    """
    try:
        table = tomllib.loads((folder / "training.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{folder.name}/training.toml: {error}.") from error
    comparisons = {name: _comparison(name, one) for name, one in table.pop("comparisons", {}).items()}
    try:
        return Recipe(**table, comparisons=comparisons)
    except TypeError as error:  # a field that is not there, or one too many
        raise RecipeError(f"{folder.name}/training.toml: {error}.") from error


def _comparison(name: str, table: Mapping[str, Any]) -> Comparison:
    unknown = sorted(set(table) - {"add", "drop"})
    if unknown:
        raise RecipeError(f"[comparisons.{name}]: expected add and drop, got {', '.join(unknown)}.")
    try:
        added = [Aggregate(**one | {"aggregation": Aggregation(one["aggregation"])}) for one in table.get("add", ())]
    except (KeyError, TypeError, ValueError) as error:
        raise RecipeError(f"[comparisons.{name}]: a feature to add is none: {error}.") from error
    return Comparison(add=tuple(added), drop=tuple(table.get("drop", ())))
