"""A sum of trees as an `Exportable`: scores by the trees, contributions by the games of their leaves."""

from dataclasses import dataclass, replace

import numpy as np

from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.explanation import add_tree_contributions
from training.export.family import Explained, Nodes, Scale
from training.export.games import base_values, leaf_games
from training.export.scoring import add_tree_score
from training.export.trees import Float32Array, TreeEnsemble


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSum:
    """What the tree families are read into."""

    ensemble: TreeEnsemble
    scale: Scale

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return self.ensemble.feature_count

    @property
    def target_count(self) -> int:
        """The number of targets K."""
        return self.ensemble.target_count

    @property
    def thresholds(self) -> list[Float32Array]:
        """The distinct finite float32 thresholds of each feature; a categorical one's categories and what isn't one."""
        trees, count = self.ensemble.trees, self.feature_count
        columns = np.concatenate([np.array([], dtype=np.int64), *(tree.column for tree in trees)])
        values = np.concatenate([np.array([], dtype=np.float32), *(tree.threshold for tree in trees)])
        found = [np.unique(values[(columns == feature) & np.isfinite(values)]) for feature in range(count)]
        for feature, vocabulary in self.ensemble.categories.vocabularies:
            known = np.array(vocabulary.values, dtype=np.float32)
            beside = [known.max(initial=0) + 1, -1, 0.5]
            found[feature] = np.unique(np.concatenate([known, np.array(beside, dtype=np.float32)]))
        return [np.asarray(thresholds) for thresholds in found]

    def scaled(self, line: Calibration) -> "TreeSum":
        """The sum whose scores are slope * score + intercept."""
        return replace(self, ensemble=self.ensemble.calibrated(line))

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add the trees, which score, and the games of their leaves, which explain."""
        games = leaf_games(self.ensemble)
        return Nodes(
            scores=add_tree_score(graph, features, self.ensemble),
            explained=Explained(
                contributions=add_tree_contributions(graph, features, games, self.ensemble),
                base_values=base_values(self.ensemble),
            ),
        )
