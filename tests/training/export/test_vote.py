"""Soft votes: the weighted mean of members' probabilities, explained where all of them are forests."""

import lightgbm
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.training.export.cohorts import classes
from tests.training.export.examples import CALIBRATION, cohort, exported
from training.export import NotExportableError, ParityError, prove
from training.export.calibrated import Calibrated
from training.export.families import read_estimator
from training.export.family import Scale
from training.export.parity import open_session, run_outputs
from training.export.vote import Vote, read_vote

# Whether a small network has converged is not what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*lbfgs failed to converge")


def _forest(seed: int = 0) -> RandomForestClassifier:
    return RandomForestClassifier(8, min_samples_leaf=4, random_state=seed)


def _extra(seed: int = 0) -> ExtraTreesClassifier:
    return ExtraTreesClassifier(6, max_depth=4, random_state=seed)


def _boosted() -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=12, num_leaves=7, verbose=-1, n_jobs=1, random_state=0)


def _logistic() -> Pipeline:
    """Without a scaler at its end: in a vote no contributions are asked for, and so no means."""
    return make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression(solver="newton-cholesky"))


def _network() -> Pipeline:
    return make_pipeline(
        SimpleImputer(), StandardScaler(), MLPClassifier((5,), alpha=1.0, solver="lbfgs", random_state=0)
    )


def _vote(*members: BaseEstimator, weights: list[float] | None = None, voting: str = "soft") -> VotingClassifier:
    return VotingClassifier([(f"m{at}", member) for at, member in enumerate(members)], voting=voting, weights=weights)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    weights=st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=3, max_size=3).filter(any),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_a_vote_of_forests_is_one_sum_of_trees_with_contributions(
    seed: int, weights: list[float], missing: float
) -> None:
    rows, labels = cohort(seed=seed, rows=150, missing=missing)
    estimator = _vote(_forest(seed), _extra(seed), _forest(seed + 1), weights=weights).fit(rows, labels)
    graph = exported(estimator, 5)
    proof = prove(graph, estimator, None, rows[:40], seed=seed, shap_rows=8)
    assert proof.rows_against_shap > 0
    nodes = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    assert nodes.count("TreeEnsembleRegressor") == 1


@pytest.mark.parametrize(
    ("members", "weights"),
    [
        pytest.param([_forest(), _logistic()], None, id="a forest and a logistic pipeline"),
        pytest.param([_boosted(), _boosted(), _network()], [1, 2, 0.5], id="boosting twice and a network"),
        pytest.param([_forest(), "drop", _boosted()], [1, 5, 2], id="one dropped"),
        pytest.param(
            [CalibratedClassifierCV(_forest(), method="isotonic", ensemble=False), _logistic()],
            None,
            id="one calibrated",
        ),
        pytest.param([_vote(_forest(), _logistic()), _boosted()], [2, 1], id="a vote in a vote"),
    ],
)
def test_any_other_vote_is_exact_without_contributions(
    members: list[BaseEstimator], weights: list[float] | None
) -> None:
    rows, labels = cohort()
    estimator = _vote(*members, weights=weights).fit(rows.astype(np.float64), labels)
    graph = exported(estimator, 5)
    prove(graph, estimator, None, rows[:80])
    session = open_session(graph)
    assert [output.name for output in session.get_outputs()] == ["score", "probability"]
    found = run_outputs(session, rows)
    expected = estimator.predict_proba(rows.astype(np.float64))[:, 1]
    np.testing.assert_allclose(found.served[:, 0], expected, rtol=2e-7)


def test_a_line_on_a_vote_is_its_log_odds() -> None:
    rows, labels = cohort()
    for members in ([_forest(), _extra()], [_forest(), _logistic()]):
        estimator = _vote(*members).fit(rows.astype(np.float64), labels)
        graph = exported(estimator, 5, CALIBRATION)
        prove(graph, estimator, CALIBRATION, rows[:60])
        assert [output.name for output in open_session(graph).get_outputs()][:2] == ["logit", "probability"]


def test_a_calibrated_vote_gives_scikit_learn_s_probability() -> None:
    rows, labels = cohort()
    for method in ("sigmoid", "isotonic"):
        estimator = CalibratedClassifierCV(_vote(_forest(), _logistic()), method=method, ensemble=False)
        estimator.fit(rows.astype(np.float64), labels)
        graph = exported(estimator, 5)
        prove(graph, estimator, None, rows[:60])
        found = run_outputs(open_session(graph), rows)
        expected = estimator.predict_proba(rows.astype(np.float64))[:, 1]
        np.testing.assert_allclose(found.served[:, 0], expected, rtol=1e-6, atol=1e-12)


def test_steps_in_front_of_a_vote_stand_in_front_of_each_member() -> None:
    rows, labels = cohort()
    vote = _vote(_forest(), LogisticRegression(solver="newton-cholesky"), weights=[1, 2])
    estimator = make_pipeline(SimpleImputer(add_indicator=True), vote).fit(rows, labels)
    graph = exported(estimator, 5)
    prove(graph, estimator, None, rows[:60])
    found = run_outputs(open_session(graph), rows)
    np.testing.assert_allclose(found.served[:, 0], estimator.predict_proba(rows.astype(np.float64))[:, 1], rtol=1e-6)


def test_members_swapped_in_the_graph_fail() -> None:
    rows, labels = cohort()
    estimator = _vote(_forest(), _logistic(), weights=[1, 3]).fit(rows.astype(np.float64), labels)
    graph = onnx.load_from_string(exported(estimator, 5))
    weights = [
        tensor for tensor in graph.graph.initializer if tensor.name.endswith("/weight") and "member" in tensor.name
    ]
    weights[0].raw_data, weights[1].raw_data = weights[1].raw_data, weights[0].raw_data
    with pytest.raises(ParityError, match="logit"):
        prove(graph.SerializeToString(), estimator, None, rows[:40])


@pytest.mark.parametrize(
    ("estimator", "advice"),
    [
        pytest.param(_vote(_forest(), _extra(), voting="hard"), "voting='soft'", id="counted votes"),
        pytest.param(StackingClassifier([("a", _forest()), ("b", _extra())], cv=2), "voting='soft'", id="stacked"),
    ],
)
def test_a_vote_without_a_mean_probability_is_refused(estimator: BaseEstimator, advice: str) -> None:
    rows, labels = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match=advice):
        exported(estimator.fit(rows, labels), 5)


def test_a_vote_on_several_classes_is_refused() -> None:
    rows, labels = cohort()
    with pytest.raises(NotExportableError, match="binary outcome, got 3 classes"):
        exported(_vote(_forest(), _extra()).fit(rows, classes(labels)), 5)


def test_a_negative_weight_is_refused() -> None:
    rows, labels = cohort()
    with pytest.raises(NotExportableError, match="weights of 0 or more"):
        exported(_vote(_forest(), _extra(), weights=[2, -1]).fit(rows, labels), 5)


def test_a_member_without_a_probability_is_refused() -> None:
    rows, labels = cohort()
    regression = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(rows, labels)
    with pytest.raises(NotExportableError, match="probability of a binary outcome"):
        read_vote([(1.0, read_estimator(regression))])


def test_votes_are_read_with_all_thresholds_of_their_members() -> None:
    """So that the proof stands on every split of every member."""
    rows, labels = cohort()
    members = [_forest().fit(rows, labels), _logistic().fit(rows, labels)]
    model = read_estimator(_vote(*members).fit(rows.astype(np.float64), labels))
    assert isinstance(model, Vote)
    forest = model.members[0][1]
    assert isinstance(forest, Calibrated)
    assert forest.scale is Scale.PROBABILITY
    assert [len(values) for values in model.thresholds] == [len(values) for values in forest.thresholds]
