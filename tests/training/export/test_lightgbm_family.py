"""LightGBM's objectives, modes and categorical splits: each as the library scores, predicts and explains."""

import lightgbm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.training.export.cohorts import classes, outcomes, wards, with_unseen
from tests.training.export.examples import CALIBRATION, cohort, exported, trained
from training.export import NotExportableError, prove
from training.export.parity import open_session

_AVERAGED = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7}


@pytest.mark.parametrize(
    ("setting", "explained", "served"),
    [
        pytest.param({"objective": "binary", "sigmoid": 2.0}, "logit", "probability", id="binary, sigmoid 2"),
        pytest.param({"objective": "binary", **_AVERAGED}, "logit", "probability", id="binary, averaged"),
        pytest.param({"objective": "multiclass", "num_class": 3}, "logits", "probabilities", id="softmax"),
        pytest.param(
            {"objective": "multiclassova", "num_class": 3, "sigmoid": 1.5},
            "logits",
            "probabilities",
            id="one versus rest",
        ),
        pytest.param(
            {"objective": "multiclass", "num_class": 3, **_AVERAGED}, "logits", "probabilities", id="softmax, averaged"
        ),
        *(
            pytest.param({"objective": objective}, "prediction", "prediction", id=objective)
            for objective in ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
        ),
        *(
            pytest.param({"objective": objective}, "score", "prediction", id=objective)
            for objective in ("poisson", "gamma", "tweedie")
        ),
    ],
)
def test_an_objective_is_exported_as_it_is_served(setting: dict[str, object], explained: str, served: str) -> None:
    rows, labels = cohort()
    target = outcomes(labels, scale=10) if served == "prediction" else labels
    model = trained(rows, classes(labels) if "num_class" in setting else target, **setting)
    graph = exported(model, 5)
    outputs = [output.name for output in open_session(graph).get_outputs()]
    assert outputs == [*dict.fromkeys([explained, served]), "contributions", "base_value"]
    proof = prove(graph, model, None, rows[:60])
    assert proof.largest_prediction_difference is not None
    assert proof.rows_against_shap > 0


def test_cross_entropy_of_shares_is_a_binary_form() -> None:
    rows, labels = cohort()
    model = trained(rows, (labels + 0.5) / 2, objective="cross_entropy")
    prove(exported(model, 5), model, None, rows[:60])


def test_a_line_calibrates_the_log_odds_whatever_the_raw_score_is() -> None:
    rows, labels = cohort()
    model = trained(rows, labels, sigmoid=2.0, **_AVERAGED)
    prove(exported(model, 5, CALIBRATION), model, CALIBRATION, rows[:60])


@pytest.mark.parametrize("kind", [lightgbm.LGBMClassifier, lightgbm.LGBMRegressor])
def test_the_estimators_of_scikit_learns_interface_are_exported(kind: type) -> None:
    rows, labels = cohort()
    model = kind(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1).fit(rows, classes(labels))
    prove(exported(model, 5), model, None, rows[:60])


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    classes_count=st.sampled_from([1, 3]),
    categories=st.sampled_from([2, 7, 40, 300]),
    leaves=st.sampled_from([9, 31]),
)
def test_categorical_splits_are_exact_for_any_value(
    seed: int, classes_count: int, categories: int, leaves: int
) -> None:
    """Seen and unseen categories, fractions, negative values, values beyond any integer, and NaN."""
    rows, labels = wards(categories=categories, seed=seed)
    several = {"objective": "multiclass", "num_class": 3} if classes_count > 1 else {}
    target = classes(labels) if several else labels
    data = lightgbm.Dataset(rows, target, categorical_feature=[0, 2], free_raw_data=False)
    model = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": leaves,
            "min_data_in_leaf": 3,
            "min_data_per_group": 2,
            "cat_smooth": 1,
            "max_cat_to_onehot": 2,
            "verbose": -1,
            "num_threads": 1,
            "seed": 1,
            **several,
        },
        data,
        num_boost_round=6,
    )
    assume("\ncat_threshold=" in model.model_to_string())  # rarely no category is worth a split
    prove(exported(model, 4), model, None, with_unseen(rows[:60]))


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        pytest.param({"objective": "regression", "reg_sqrt": True}, "reg_sqrt=False", id="square of the score"),
        pytest.param({"objective": "cross_entropy_lambda"}, "objective='binary'", id="another link"),
    ],
)
def test_an_objective_with_another_link_is_refused(setting: dict[str, object], advice: str) -> None:
    rows, labels = cohort()
    with pytest.raises(NotExportableError, match=advice):
        exported(trained(rows, labels, **setting), 5)


def test_several_classes_and_an_outcome_take_no_line() -> None:
    rows, labels = cohort()
    for model in (
        trained(rows, classes(labels), objective="multiclass", num_class=3),
        trained(rows, outcomes(labels), objective="regression"),
    ):
        with pytest.raises(NotExportableError, match="binary outcome"):
            exported(model, 5, CALIBRATION)


def test_classes_without_a_split_keep_their_constant() -> None:
    rows, labels = cohort()
    model = trained(rows, classes(labels), objective="multiclass", num_class=3, min_data_in_leaf=399)
    _, probabilities, contributions, _ = open_session(exported(model, 5)).run(None, {"features": rows[:4]})
    np.testing.assert_allclose(probabilities, model.predict(rows[:4]), atol=1e-7)
    assert contributions.shape == (4, 3, 5)
    assert not contributions.any()
