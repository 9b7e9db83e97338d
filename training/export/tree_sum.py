"""A sum of trees as an `Exportable`: scores by the trees, contributions by the games of their leaves."""

from dataclasses import dataclass, replace

import numpy as np

from training.export.builder import GraphBuilder
from training.export.calibration import Calibration
from training.export.explanation import add_tree_contributions
from training.export.family import Explained, Nodes, Scale
from training.export.scoring import add_tree_score
from training.export.trees import Float32Array, TreeEnsemble, base_value, leaf_games


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
        """One."""
        return 1

    @property
    def thresholds(self) -> list[Float32Array]:
        """The distinct float32 thresholds of each feature."""
        trees = self.ensemble.trees
        if not trees:
            return [np.array([], dtype=np.float32)] * self.feature_count
        features = np.concatenate([tree.feature for tree in trees])
        values = np.concatenate([tree.threshold for tree in trees])
        return [np.asarray(np.unique(values[features == feature])) for feature in range(self.feature_count)]

    def scaled(self, line: Calibration) -> "TreeSum":
        """The sum whose score is slope * score + intercept."""
        return replace(self, ensemble=self.ensemble.calibrated(line))

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add the trees, which score, and the games of their leaves, which explain."""
        games = leaf_games(self.ensemble)
        return Nodes(
            scores=add_tree_score(graph, features, self.ensemble),
            explained=Explained(
                contributions=add_tree_contributions(graph, features, games, self.feature_count),
                base_values=np.array([base_value(self.ensemble, games)]),
            ),
        )
