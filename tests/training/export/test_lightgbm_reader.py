"""LightGBM models: what is read, what is refused."""

import lightgbm
import numpy as np
import pandas as pd
import pytest

from tests.training.export.examples import CALIBRATION, cohort, exported, trained
from training.export import NotExportableError, prove
from training.export.lightgbm_reader import nan_features, read_lightgbm


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        pytest.param({"zero_as_missing": True}, "NaN for missing values", id="zero_as_missing"),
        pytest.param({"linear_tree": True}, "linear_tree=False", id="linear_tree"),
        pytest.param({"objective": "none"}, "objective='binary'", id="custom objective"),
    ],
)
def test_a_setting_without_an_exact_graph_is_refused_with_advice(settings: dict[str, object], advice: str) -> None:
    rows, labels = cohort()
    if settings.get("objective") == "none":
        model = _with_custom_objective(rows, labels)
    else:
        model = trained(rows, labels, **settings)
    with pytest.raises(NotExportableError, match=advice):
        exported(model, 5)


def test_a_pandas_category_is_refused() -> None:
    rows, labels = cohort()
    frame = pd.DataFrame(rows[:, :2], columns=["a", "b"])
    frame["ward"] = pd.Categorical(np.where(labels == 1, "north", "south"))
    model = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=5, verbose=-1, n_jobs=1).fit(frame, labels)
    with pytest.raises(NotExportableError, match="one 0/1 feature per category"):
        exported(model, 3)


def test_a_leaf_without_training_rows_is_refused() -> None:
    rows, labels = cohort()
    text = trained(rows, labels, rounds=1).model_to_string()
    line = next(line for line in text.splitlines() if line.startswith("leaf_count="))
    emptied = "leaf_count=0 " + line.split(" ", 1)[1]
    model = lightgbm.Booster(model_str=text.replace(line, emptied))
    with pytest.raises(NotExportableError, match="min_data_in_leaf >= 1"):
        exported(model, 5)


def test_a_feature_never_missing_in_training_reads_nan_as_zero() -> None:
    rows, labels = cohort(missing=0.0)
    model = trained(rows, labels)
    assert not nan_features(model).any()
    for tree in read_lightgbm(model).trees:
        assert tree.nan_goes_left.tolist() == (tree.threshold >= 0).tolist()
    proof = prove(exported(model, 5), model, None, rows[:50])
    assert proof.thresholds_covered > 20


def test_values_that_lightgbm_reads_as_zero_are_read_as_zero() -> None:
    """Half the values are 0: LightGBM then splits at +-1e-35, and reads magnitudes up to it as 0.0."""
    rows, labels = cohort(rows=600)
    rows[::2, 0] = 0.0
    model = trained(rows, np.where(rows[:, 0] > 0, 1 - labels, labels))
    thresholds = np.concatenate([tree.threshold for tree in read_lightgbm(model).trees])
    assert (np.abs(thresholds) <= np.float32(1.0001e-35)).any()
    tiny = rows[:6].copy()
    tiny[:, 0] = [1e-35, -1e-35, 1e-40, -1e-40, 1.1e-35, -1.1e-35]
    prove(exported(model, 5), model, None, np.concatenate([rows[:50], tiny]))


def test_one_leaf_trees_become_the_constant() -> None:
    rows, labels = cohort()
    model = trained(rows, labels, min_data_in_leaf=399)
    ensemble = read_lightgbm(model)
    assert ensemble.trees == ()
    assert ensemble.constant[0] == pytest.approx(np.log(labels.mean() / (1 - labels.mean())), abs=1e-6)
    proof = prove(exported(model, 5, CALIBRATION), model, CALIBRATION, rows[:20])
    assert proof.thresholds_covered == 0


def test_the_best_iteration_is_exported() -> None:
    rows, labels = cohort()
    model = trained(rows, labels, rounds=20)
    model.best_iteration = 7
    assert len(read_lightgbm(model).trees) == 7
    prove(exported(model, 5), model, None, rows[:20])


def _with_custom_objective(rows: np.ndarray, labels: np.ndarray) -> lightgbm.Booster:
    def gradient(scores: np.ndarray, _: lightgbm.Dataset) -> tuple[np.ndarray, np.ndarray]:
        risk = 1 / (1 + np.exp(-scores))
        return risk - labels, risk * (1 - risk)

    return lightgbm.train(
        {"objective": gradient, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(rows, labels), num_boost_round=2
    )
