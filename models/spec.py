"""ModelSpec: what a clinical model is, declared once; training and serving both read it."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from features.feature import FeatureSet, declaration

Indicator: TypeAlias = Literal["info", "warning", "critical"]
ID_PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ORDER_HOOKS = frozenset({"order-select", "order-sign"})
"""Hooks that send draft orders (HL7 CDS Hooks, hook library)."""


class SpecError(ValueError):
    """A ModelSpec contradicts itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRule:
    """How training finds a band's lower probability.

    `best_utility`: where the challenge's normalised utility is highest (Reyna 2020). `alert_rate`: where at most
    that share of index times lies at or above it. `times_base_rate`: that multiple of the base rate.
    """

    kind: Literal["best_utility", "alert_rate", "times_base_rate"]
    value: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.kind == "best_utility"):
            raise SpecError(f"ThresholdRule {self.kind}: expected a value, except for best_utility; got {self.value}.")
        if self.value is not None and not (math.isfinite(self.value) and self.value > 0):
            raise SpecError(f"ThresholdRule {self.kind}: expected a value above 0, got {self.value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskBand:
    """A range of risk with its indicator; the first band of a model starts at 0 and has no rule."""

    id: str
    indicator: Indicator
    rule: ThresholdRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumData:
    """Without this there is no risk, only a card that says what is needed.

    At least `at_least` of the concepts must have a value within the last `within_hours`.
    """

    concepts: tuple[str, ...]
    at_least: int
    within_hours: float

    def __post_init__(self) -> None:
        if not 1 <= self.at_least <= len(self.concepts):
            raise SpecError(f"MinimumData: expected at_least in 1..{len(self.concepts)}, got {self.at_least}.")
        if not (math.isfinite(self.within_hours) and self.within_hours > 0):
            raise SpecError(f"MinimumData: expected within_hours above 0, got {self.within_hours}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One clinical model.

    Attributes:
        id: the model's and the CDS service's id, in kebab case.
        title: human-friendly, English; the card's words in each language are in the model's words.toml.
        description: what the service does, for the discovery document.
        version: of the specification; raise it whenever what a bundle must be trained for changes.
        hooks: the CDS hooks it answers.
        target: what it predicts, as a sentence without a full stop.
        horizon_hours: within how long.
        population: for whom it was built and may be used.
        features: what it reads, in the order of the matrix.
        minimum_data: what must be there before a risk is shown.
        bands: ascending ranges of risk.
        families: concepts that say much the same, such as the three blood pressures: a card adds up their
            contributions and shows the first of them that has a value.
        triggers: concepts of draft orders that ask for this model's guidance. On an order hook it speaks only where
            one of them is about to be ordered; on other hooks always. None: it speaks whatever is ordered.
        intended_use, out_of_scope: for the model card and the facts page.
        licence: of the released bundle, as an SPDX expression.
    """

    id: str
    title: str
    description: str
    version: str
    hooks: tuple[str, ...]
    target: str
    horizon_hours: float
    population: str
    features: FeatureSet
    minimum_data: tuple[MinimumData, ...]
    bands: tuple[RiskBand, ...]
    families: tuple[tuple[str, ...], ...] = ()
    triggers: tuple[str, ...] = ()
    intended_use: str
    out_of_scope: str
    licence: str

    def __post_init__(self) -> None:
        if not ID_PATTERN.fullmatch(self.id):
            raise SpecError(f"ModelSpec: expected an id in kebab case such as 'sepsis', got {self.id!r}.")
        if not self.hooks:
            raise SpecError(f"ModelSpec {self.id}: expected one or more hooks.")
        if not (math.isfinite(self.horizon_hours) and self.horizon_hours > 0):
            raise SpecError(f"ModelSpec {self.id}: expected horizon_hours above 0, got {self.horizon_hours}.")
        if not self.bands or [band.rule is None for band in self.bands] != [True] + [False] * (len(self.bands) - 1):
            raise SpecError(f"ModelSpec {self.id}: expected bands of which the first alone has no threshold rule.")
        if len({band.id for band in self.bands}) < len(self.bands):
            raise SpecError(f"ModelSpec {self.id}: expected bands of different ids.")
        self._check_concepts("minimum data", [name for rule in self.minimum_data for name in rule.concepts])
        related = [name for family in self.families for name in family]
        self._check_concepts("families", related)
        if len(set(related)) < len(related):
            raise SpecError(f"ModelSpec {self.id}: expected each concept in one family at most.")
        if self.triggers and not ORDER_HOOKS.intersection(self.hooks):
            raise SpecError(
                f"ModelSpec {self.id}: triggers are draft orders; expected one of the hooks {sorted(ORDER_HOOKS)}."
            )

    def _check_concepts(self, where: str, names: list[str]) -> None:
        unread = set(names) - set(self.features.concepts)
        if unread:
            raise SpecError(f"ModelSpec {self.id}: {where}: no feature reads the concepts {sorted(unread)}.")

    def family_of(self, concept: str) -> tuple[str, ...]:
        """The concepts whose contributions a card adds to this one's, itself among them."""
        return next((family for family in self.families if concept in family), (concept,))

    @property
    def package(self) -> str:
        """The name of the model's folder under models/."""
        return self.id.replace("-", "_")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what a bundle and a server must agree on: features, hooks, triggers, bands and the like."""
        agreed = {
            "id": self.id,
            "version": self.version,
            "hooks": self.hooks,
            "target": self.target,
            "horizon_hours": self.horizon_hours,
            "features": [[type(feature).__name__, declaration(feature)] for feature in self.features],
            "minimum_data": [asdict(rule) for rule in self.minimum_data],
            "bands": [asdict(band) for band in self.bands],
        }
        if self.triggers:  # came after the first models were released
            agreed["triggers"] = self.triggers
        return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()
