"""Soft votes: the weighted mean of several estimators' probabilities, `VotingClassifier(voting="soft")`.

Where every member is a sum of trees whose score is a probability, as a forest's is, the vote is one sum of trees too,
with exact contributions. Any other vote mixes probabilities that are not additive in the features: its SHAP values have
no closed form, and a runtime explains it by permutation SHAP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from onnx import TensorProto
from sklearn.ensemble import StackingClassifier, VotingClassifier

from training.export.builder import GraphBuilder
from training.export.calibrated import Calibrated, add_probability, calibrated
from training.export.calibration import IDENTITY, Calibration
from training.export.categories import NO_TESTS
from training.export.errors import NotExportableError
from training.export.family import Adapter, Exportable, Nodes, Reference, Scale
from training.export.pipelines import behind, split
from training.export.tree_sum import TreeSum
from training.export.trees import Float32Array, FloatArray, TreeEnsemble

_Estimator: TypeAlias = Any  # scikit-learn publishes no types
Find: TypeAlias = Callable[..., Adapter]  # of an estimator, `explained` or not: `families.adapter_of`


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """score = slope * Σ weight * probability / Σ weight + intercept, of binary members."""

    members: tuple[tuple[float, Calibrated], ...]
    line: Calibration = IDENTITY

    @property
    def feature_count(self) -> int:
        """The number of features F."""
        return self.members[0][1].feature_count

    @property
    def target_count(self) -> int:
        """One."""
        return 1

    @property
    def scale(self) -> Scale:
        """A mean of probabilities is one."""
        return Scale.PROBABILITY

    @property
    def thresholds(self) -> list[Float32Array]:
        """Those of all members."""
        by_feature = zip(*(member.thresholds for _, member in self.members), strict=True)
        return [np.unique(np.concatenate(values)) for values in by_feature]

    def scaled(self, line: Calibration) -> "Vote":
        """The vote whose score is slope * score + intercept."""
        slope = self.line.slope * line.slope
        return replace(self, line=Calibration(slope=slope, intercept=self.line.intercept * line.slope + line.intercept))

    def add_nodes(self, graph: GraphBuilder, features: str) -> Nodes:
        """Add every member under a name of its own, in double precision, and the mean."""
        parts = [
            _add_part(graph.scope(f"member{number}", double_scores=True), member, weight, features)
            for number, (weight, member) in enumerate(self.members, start=1)
        ]
        vote = graph.scope("vote")
        total = vote.node("sum", "Sum", *parts)
        weight = vote.constant("weight", sum(weight for weight, _ in self.members), np.float64)
        mean = vote.node("mean", "Div", total, weight, doc="The weighted mean of the members' probabilities.")
        if self.line == IDENTITY:
            return Nodes(scores=mean, explained=None)
        raised = vote.node("by_slope", "Mul", mean, vote.constant("slope", self.line.slope, np.float64))
        intercept = vote.constant("intercept", self.line.intercept, np.float64)
        return Nodes(scores=vote.node("score", "Add", raised, intercept), explained=None)


def read_vote(members: Sequence[tuple[float, Exportable]]) -> Exportable:
    """Binary members, each with its weight, as one sum of trees where they are that, else as a `Vote`.

    Raises:
        NotExportableError: a member isn't binary or gives no probability, or a weight is negative.
    """
    weights = [weight for weight, _ in members]
    if min(weights) < 0 or sum(weights) <= 0:
        raise NotExportableError(f"expected weights of 0 or more with a positive sum in a vote, got {weights}")
    voting = tuple((weight, calibrated(member, None)) for weight, member in members if weight > 0)
    for _, member in voting:
        _require_probability(member)
    return _one_sum(voting) or Vote(members=voting)


def voting_adapter(find: Find) -> Adapter:
    """What the export knows of soft votes; `find` gives the adapter of a member."""
    return Adapter(
        supported="VotingClassifier(voting='soft') of these, for a binary outcome",
        accepts=lambda estimator: isinstance(split(estimator)[1], VotingClassifier | StackingClassifier),
        read=partial(_read, find=find),
        reference=partial(_reference, find=find),
        shap=partial(_shap, find=find),
    )


def _require_probability(member: Calibrated) -> None:
    if member.target_count != 1 or (
        member.calibrator is None and member.scale not in {Scale.LOG_ODDS, Scale.PROBABILITY}
    ):
        raise NotExportableError(
            f"expected members with the probability of a binary outcome in a vote, got {member.target_count} target(s) "
            f"on the scale {member.scale}"
        )


def _one_sum(voting: tuple[tuple[float, Calibrated], ...]) -> TreeSum | None:
    """The vote as one sum of trees, if every member is one with a probability for its score."""
    total = sum(weight for weight, _ in voting)
    parts: list[TreeEnsemble] = []
    for weight, member in voting:
        model = member.model
        is_share = member.scale is Scale.PROBABILITY and member.calibrator is None
        if not (is_share and isinstance(model, TreeSum) and model.ensemble.categories == NO_TESTS):
            return None
        parts.append(model.ensemble.calibrated(Calibration(slope=weight / total, intercept=0.0)))
    return TreeSum(
        ensemble=TreeEnsemble(
            feature_count=parts[0].feature_count,
            trees=tuple(tree for part in parts for tree in part.trees),
            constant=np.sum([part.constant for part in parts], axis=0),
        ),
        scale=Scale.PROBABILITY,
    )


def _add_part(graph: GraphBuilder, member: Calibrated, weight: float, features: str) -> str:
    """Add one member's weighted probability, double[N, 1]."""
    scores = member.add_nodes(graph, features).scores
    double = graph.cast("score/double", scores, TensorProto.DOUBLE)
    probability = add_probability(graph.scope("link"), member, double)
    return graph.node("weighted", "Mul", probability, graph.constant("weight", weight, np.float64))


def _members(estimator: _Estimator) -> list[tuple[float, _Estimator]]:
    """The fitted members that take part, with their weights, each behind the steps that stand in front of the vote.

    Raises:
        NotExportableError: votes are counted, or stacked, or there are more than two classes.
    """
    steps, last = split(estimator)
    if isinstance(last, StackingClassifier):
        raise NotExportableError(
            "StackingClassifier has no exact explanation; use VotingClassifier(voting='soft') with weights, and hand a "
            "calibrator over"
        )
    if last.voting != "soft":
        raise NotExportableError("VotingClassifier(voting='hard') has no probability; use voting='soft'")
    if len(last.classes_) != 2:  # noqa: PLR2004 - binary has two classes
        raise NotExportableError(f"expected a vote on a binary outcome, got {len(last.classes_)} classes")
    weights = [1.0] * len(last.estimators) if last.weights is None else last.weights
    taking_part = [
        float(weight)
        for (_, member), weight in zip(last.estimators, weights, strict=True)
        if not isinstance(member, str)  # "drop"
    ]
    return list(zip(taking_part, [behind(steps, member) for member in last.estimators_], strict=True))


def _read(estimator: _Estimator, *, find: Find) -> Exportable:
    return read_vote([(weight, find(member, explained=False).read(member)) for weight, member in _members(estimator)])


def _reference(estimator: _Estimator, rows: Float32Array, *, find: Find) -> Reference:
    """scikit-learn's own `predict_proba`; the members' contributions, weighted, where the vote has a closed form."""
    scores = np.asarray(estimator.predict_proba(rows.astype(np.float64)), dtype=np.float64)[:, 1:]
    plain = Reference(scores=scores, contributions=None, base_values=None)
    if not isinstance(_read(estimator, find=find), TreeSum):
        return plain
    members = [member for member in _members(estimator) if member[0] > 0]
    total = sum(weight for weight, _ in members)
    parts = [
        find(member, explained=False).reference(member, rows).scaled(Calibration(slope=weight / total, intercept=0.0))
        for weight, member in members
    ]
    contributions = [part.contributions for part in parts if part.contributions is not None]
    bases = [part.base_values for part in parts if part.base_values is not None]
    if len(contributions) < len(parts) or len(bases) < len(parts):
        return plain
    return replace(plain, contributions=np.sum(contributions, axis=0), base_values=np.sum(bases, axis=0))


def _shap(estimator: _Estimator, rows: Float32Array, *, find: Find) -> tuple[Float32Array, FloatArray]:
    """The members' contributions by `shap`, weighted; no row where there is no closed form."""
    nothing = rows[:0], np.zeros((0, 1, rows.shape[1]))
    if not isinstance(_read(estimator, find=find), TreeSum):
        return nothing
    members = [member for member in _members(estimator) if member[0] > 0]
    total = sum(weight for weight, _ in members)
    values = np.zeros((len(rows), 1, rows.shape[1]))
    for weight, member in members:
        shap = find(member, explained=False).shap
        explained, found = nothing if shap is None else shap(member, rows)
        if not np.array_equal(explained, rows, equal_nan=True):
            return nothing  # a member's rows can't be explained as they are
        values += found * (weight / total)
    return rows, values
