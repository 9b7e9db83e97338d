"""The file: outputs, metadata, probability, and refusals that belong to no family."""

import lightgbm
import numpy as np
import onnx
import pytest
from sklearn.ensemble import AdaBoostClassifier

from tests.training.export.examples import METADATA, cohort, exported, names, trained
from training.export import Calibration, ExportError, NotExportableError, export
from training.export.parity import open_session


def test_the_file_states_its_interface_and_where_it_comes_from() -> None:
    rows, labels = cohort()
    model = onnx.load_from_string(exported(trained(rows, labels), 5))
    assert {prop.key: prop.value for prop in model.metadata_props} == {
        "model_id": "example",
        "version": "1.2.3",
        "licence": "Apache-2.0",
        "feature_names": "\n".join(names(5)),
        "explained": "logit",
        "scale": "log-odds",
    }
    assert [output.name for output in model.graph.output] == ["logit", "probability", "contributions", "base_value"]
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18, "ai.onnx.ml": 3}
    assert model.ir_version == 9
    assert all(node.name for node in model.graph.node)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_the_same_estimator_gives_the_same_bytes() -> None:
    rows, labels = cohort()
    model = trained(rows, labels)
    assert exported(model, 5) == exported(model, 5)


@pytest.mark.parametrize("logit", [-60.0, -20.723, -18.5, -1e-3, 0.0, 3.0, 18.5, 200.0])
def test_tiny_risks_and_huge_logits_keep_their_probability(logit: float) -> None:
    """A runtime's own sigmoid flattens risks below 1e-8; -20.723 is a risk of one in a billion."""
    rows, labels = cohort()
    constant = trained(rows, labels, min_data_in_leaf=399)
    shift = logit - float(constant.predict(rows[:1], raw_score=True)[0])
    session = open_session(exported(constant, 5, Calibration(slope=1.0, intercept=shift)))
    served, probability, *_ = session.run(None, {"features": rows[:1]})
    expected = np.exp(min(float(served[0]), 0.0)) / (1 + np.exp(-abs(float(served[0]))))
    assert probability[0] == pytest.approx(expected, rel=5e-7)


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(AdaBoostClassifier(), id="another family"),
        pytest.param("model.txt", id="a path"),
    ],
)
def test_an_unknown_estimator_is_refused_and_the_known_ones_named(estimator: object) -> None:
    with pytest.raises(NotExportableError, match=r"LGBMClassifier.*RandomForest.*HistGradientBoosting.*XGB.*Pipeline"):
        exported(estimator, 5)


def test_an_estimator_that_was_not_fitted_is_refused() -> None:
    with pytest.raises(NotExportableError, match="isn't fitted"):
        exported(lightgbm.LGBMClassifier(), 5)


@pytest.mark.parametrize(
    "feature_names",
    [
        pytest.param(names(4), id="too few"),
        pytest.param(["a", "a", "b", "c", "d"], id="one twice"),
    ],
)
def test_names_that_do_not_fit_the_columns_are_refused(feature_names: list[str]) -> None:
    rows, labels = cohort()
    with pytest.raises(ExportError, match="expected 5 distinct feature names"):
        export(trained(rows, labels), feature_names=feature_names, calibration=None, metadata=METADATA)


def test_a_calibration_that_turns_the_ranking_round_is_refused() -> None:
    rows, labels = cohort()
    with pytest.raises(NotExportableError, match="ranking"):
        exported(trained(rows, labels), 5, Calibration(slope=-0.1, intercept=0.0))


def test_a_large_model_stays_below_three_megabytes() -> None:
    rows, labels = cohort(features=30, rows=4000)
    model = trained(rows, labels, rounds=400, num_leaves=31, learning_rate=0.05)
    assert len(exported(model, 30)) < 3_000_000
