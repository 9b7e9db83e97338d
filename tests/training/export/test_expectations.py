"""A tree's mean: taken off its leaves where float32 would otherwise hold little of what differs."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from tests.training.export.examples import cohort, exported
from training.export.expectations import centred_values, expected_values
from training.export.families import adapter_of
from training.export.parity import open_session, run_outputs
from training.export.trees import FloatArray, Tree


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([[1000.0], [1001.0], [1004.0]], [[-1.5], [-0.5], [2.5]], id="a large mean"),
        pytest.param([[1.0], [3.0], [-2.0]], [[1.0], [3.0], [-2.0]], id="no mean to speak of"),
        pytest.param([[0.0], [0.0], [1.0]], [[0.0], [0.0], [1.0]], id="shares, whose zeros cost nothing"),
    ],
)
def test_a_mean_that_is_large_beside_what_differs_is_taken_off(
    values: list[list[float]], expected: list[list[float]]
) -> None:
    tree = _tree(np.array(values), node_cover=[8.0, 4.0])
    assert centred_values(tree).tolist() == expected


def test_the_expectation_weighs_leaves_by_their_covers() -> None:
    tree = _tree(np.array([[1000.0], [1001.0], [1004.0]]), node_cover=[8.0, 4.0])
    assert expected_values(tree).tolist() == [(2 * 1000 + 4 * 1001 + 2 * 1004) / 8]


def test_leaves_keep_their_values_where_covers_do_not_add_up() -> None:
    tree = _tree(np.array([[1000.0], [1001.0], [1004.0]]), node_cover=[8.0, 4.1])
    assert centred_values(tree).tolist() == tree.leaf_value.tolist()


def test_small_contributions_to_a_large_outcome_are_exact() -> None:
    """Platelets of 250,000 that differ by 1: no more than 1e-5 of the contribution is lost."""
    rows, labels = cohort()
    outcome = 250_000 + labels + 0.1 * np.random.default_rng(0).normal(size=len(labels))
    forest = RandomForestRegressor(n_estimators=20, max_depth=8, random_state=0).fit(rows, outcome)
    found = run_outputs(open_session(exported(forest, 5)), rows[:40]).contributions
    explain = adapter_of(forest).shap
    assert found is not None
    assert explain is not None
    np.testing.assert_allclose(found, explain(forest, rows[:40])[1], atol=1e-5)


def _tree(values: FloatArray, *, node_cover: list[float]) -> Tree:
    """A split at 2, and one at 1 on its left: leaves 0 and 2 of two training rows below the second, leaf 1 of four."""
    return Tree(
        column=np.array([0, 0]),
        threshold=np.array([2, 1], dtype=np.float32),
        nan_goes_left=np.array([True, False]),
        left=np.array([1, -1]),
        right=np.array([-2, -3]),
        node_cover=np.array(node_cover),
        leaf_cover=np.array([2.0, 4.0, 2.0]),
        leaf_value=values,
    )
