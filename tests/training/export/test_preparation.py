"""Steps in front of an estimator: their columns are scikit-learn's own, on doubles, for every float32 value."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from tests.training.export.cohorts import wards, with_unseen
from tests.training.export.columns import prepared
from tests.training.export.examples import cohort
from training.export import NotExportableError
from training.export.linear import transformed
from training.export.pipelines import read_steps
from training.export.preparation import NO_SOURCE, Preparation, float32_thresholds
from training.export.probes import probe_rows
from training.export.trees import Float32Array


def _read(step: BaseEstimator, width: int) -> Preparation:
    return read_steps([("step", step)], width)


def _require_same(step: BaseEstimator, rows: Float32Array, *, tolerance: float = 0.0) -> None:
    """The graph's columns against scikit-learn's, on the rows and on what they were read to decide at."""
    read = _read(step, rows.shape[1])
    probes = probe_rows(rows, float32_thresholds(read), np.random.default_rng(0)).rows
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found unknown categories")
        warnings.filterwarnings("ignore", message="Skipping features without any observed values")
        expected = transformed([("step", step)], probes)
    found = prepared(read, probes)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert found.shape[1] == len(read.sources)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(SimpleImputer(strategy="mean"), id="mean"),
        pytest.param(SimpleImputer(strategy="median", add_indicator=True), id="median and indicators"),
        pytest.param(SimpleImputer(strategy="most_frequent"), id="most frequent"),
        pytest.param(SimpleImputer(strategy="constant", fill_value=-7.5, add_indicator=True), id="a constant"),
        pytest.param(MissingIndicator(features="all"), id="indicators of all"),
        pytest.param(MissingIndicator(error_on_new=False), id="indicators of those that were missing"),
        pytest.param(StandardScaler(), id="standard scores"),
        pytest.param(StandardScaler(with_mean=False), id="not centred"),
        pytest.param(StandardScaler(with_std=False), id="centred only"),
        pytest.param(MinMaxScaler(feature_range=(-1, 3)), id="to a range"),
        pytest.param(MinMaxScaler(clip=True), id="clipped to a range"),
        pytest.param(RobustScaler(), id="by quartiles"),
        pytest.param(RobustScaler(with_centering=False, with_scaling=False), id="by quartiles, neither of both"),
        pytest.param(MaxAbsScaler(), id="by the largest"),
        pytest.param(FunctionTransformer(), id="a function that does nothing"),
        pytest.param(PolynomialFeatures(degree=1), id="a constant and the values"),
        pytest.param(PolynomialFeatures(degree=1, include_bias=False), id="the values"),
        pytest.param(make_pipeline(StandardScaler(), SimpleImputer(), MinMaxScaler()), id="three in a row"),
        pytest.param(FeatureUnion([("a", SimpleImputer()), ("b", MissingIndicator(features="all"))]), id="a union"),
    ],
)
def test_a_step_gives_the_very_doubles_of_scikit_learn(step: BaseEstimator) -> None:
    """Also for 1e30, NaN in every place, and beside the limits of a clip."""
    rows, _ = cohort(missing=0.3)
    if isinstance(step, PolynomialFeatures):
        rows = np.nan_to_num(rows)
        expected = transformed([("step", step.fit(rows))], rows)
        np.testing.assert_array_equal(prepared(_read(step, 5), rows), expected)
        return
    _require_same(step.fit(rows), rows)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("keep_empty_features", [True, False])
def test_a_column_never_observed_is_kept_or_dropped_as_the_imputer_does(*, keep_empty_features: bool) -> None:
    rows, _ = cohort()
    rows[:, 1] = np.nan
    imputer = SimpleImputer(add_indicator=True, keep_empty_features=keep_empty_features).fit(rows)
    _require_same(imputer, rows)
    assert (1 in _read(imputer, 5).sources[:5]) == keep_empty_features


@pytest.mark.parametrize(
    "settings_of_it",
    [
        pytest.param({"handle_unknown": "ignore"}, id="unknown ignored"),
        pytest.param({"handle_unknown": "ignore", "drop": "first"}, id="first dropped"),
        pytest.param({"handle_unknown": "ignore", "drop": "if_binary"}, id="first of two dropped"),
        pytest.param({"handle_unknown": "infrequent_if_exist", "min_frequency": 40}, id="rare ones together"),
        pytest.param({"handle_unknown": "infrequent_if_exist", "max_categories": 3}, id="three at most"),
        pytest.param(
            {"handle_unknown": "infrequent_if_exist", "min_frequency": 40, "drop": "first"}, id="rare, first dropped"
        ),
        pytest.param({"handle_unknown": "warn", "min_frequency": 0.1}, id="unknown warned of"),
        pytest.param({"handle_unknown": "ignore", "sparse_output": False}, id="not sparse"),
    ],
)
def test_categories_are_spread_as_the_encoder_does_unseen_and_missing_ones_too(
    settings_of_it: dict[str, object],
) -> None:
    rows, _ = wards()
    encoder = make_column_transformer((OneHotEncoder(**settings_of_it), [0, 2]), (SimpleImputer(), [1, 3])).fit(rows)
    _require_same(encoder, with_unseen(rows))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    degree=st.integers(1, 5),
    knots=st.integers(2, 7),
    placed=st.sampled_from(["uniform", "quantile"]),
    extrapolation=st.sampled_from(["constant", "linear"]),
    include_bias=st.booleans(),
    missing=st.sampled_from([0.0, 0.3]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_random_splines_are_those_of_scikit_learn(
    seed: int,
    degree: int,
    knots: int,
    placed: str,
    extrapolation: str,
    include_bias: bool,  # noqa: FBT001 - Hypothesis gives it by name
    missing: float,
    scale: float,
) -> None:
    """On every knot, one float32 step beside it, and far beyond the last."""
    features = 1 if degree == 1 and extrapolation == "linear" else 3  # see the refusals
    rows, _ = cohort(seed=seed, rows=60, features=features, missing=missing, scale=scale)
    splines = SplineTransformer(
        degree=degree,
        n_knots=knots,
        knots=placed,
        extrapolation=extrapolation,
        include_bias=include_bias,
        handle_missing="zeros",
    ).fit(rows.astype(np.float64))
    _require_same(splines, rows, tolerance=1e-11)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_periodic_splines_repeat_as_those_of_scikit_learn(degree: int) -> None:
    """An hour of the day, before midnight and after it."""
    hours = np.linspace(0, 24, 97, dtype=np.float32)[:, np.newaxis]
    splines = SplineTransformer(degree=degree, n_knots=6, extrapolation="periodic").fit(hours)
    asked = np.concatenate([hours, hours + 24, hours - 72, hours + 0.1]).astype(np.float32)
    found = prepared(_read(splines, 1), asked)
    np.testing.assert_allclose(found, transformed([("step", splines)], asked), rtol=0, atol=1e-13)


def test_columns_know_the_feature_that_they_are_made_of() -> None:
    rows, _ = wards()
    columns = ColumnTransformer(
        [
            ("wards", OneHotEncoder(handle_unknown="ignore", categories=[[0, 1, 2]]), [2]),
            ("values", make_pipeline(SimpleImputer(add_indicator=True), PolynomialFeatures(degree=1)), slice(0, 2)),
            ("again", SimpleImputer(), np.array([False, True, False, False])),
            ("nothing", "drop", [3]),
        ]
    ).fit(rows)
    assert _read(columns, 4).sources.tolist() == [2, 2, 2, NO_SOURCE, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        pytest.param(SimpleImputer(missing_values=-1), "missing_values=nan", id="another missing value"),
        pytest.param(MissingIndicator(), "error_on_new=False", id="a value missing for the first time fails"),
        pytest.param(KNNImputer(), "SimpleImputer", id="nearest neighbours"),
        pytest.param(PCA(2), "no exact graph in front of an estimator", id="mixed features"),
        pytest.param(FunctionTransformer(np.log1p), "compute the value as a feature", id="a Python function"),
        pytest.param(PolynomialFeatures(degree=2), "products belong to no feature", id="products"),
        pytest.param(OneHotEncoder(), "handle_unknown='ignore'", id="a value never seen fails"),
        pytest.param(SplineTransformer(degree=0), "degree=1", id="steps"),
        pytest.param(
            SplineTransformer(degree=1, extrapolation="linear"),
            "from the second column on",
            id="a fault of the library",
        ),
        pytest.param(SplineTransformer(extrapolation="error"), "constant, linear, periodic", id="beyond fails"),
        pytest.param(SplineTransformer(extrapolation="continue"), "constant, linear, periodic", id="a polynomial on"),
        pytest.param(
            ColumnTransformer([("a", StandardScaler(), [0])], transformer_weights={"a": 2}), "weights", id="weighted"
        ),
        pytest.param(FeatureUnion([("a", StandardScaler())], transformer_weights={"a": 2}), "weights", id="weights"),
        pytest.param(ColumnTransformer([("a", "drop", [0])]), "all are dropped", id="nothing left"),
    ],
)
def test_a_step_without_an_exact_graph_is_refused_with_what_to_use(step: BaseEstimator, advice: str) -> None:
    rows, _ = cohort(missing=0.0)
    with pytest.raises(NotExportableError, match=advice):
        _read(step.fit(rows), 5)


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        pytest.param(StandardScaler(), "data frame", id="fitted on a data frame"),
        pytest.param(ColumnTransformer([("a", StandardScaler(), ["b"])]), "data frame|by position", id="by name"),
    ],
)
def test_names_of_columns_are_refused(step: BaseEstimator, advice: str) -> None:
    frame = pd.DataFrame(cohort(missing=0.0)[0], columns=list("abcde"))
    with pytest.raises(NotExportableError, match=advice):
        _read(step.fit(frame), 5)


def test_a_column_that_was_constant_has_no_splines() -> None:
    rows = np.ones((20, 1), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        splines = SplineTransformer().fit(rows)
    with pytest.raises(NotExportableError, match="constant in training"):
        _read(splines, 1)
