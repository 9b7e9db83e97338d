"""Reads a LightGBM model into trees, and refuses every setting that would make the graph another model.

The model's text form is read, not its JSON dump: it gives the same doubles in 17 digits, covers as exact counts, and
names the settings (LightGBM 4, `src/io/tree.cpp` and `gbdt_model_text.cpp`, format `version=v4`).
"""

from collections.abc import Sequence

import lightgbm
import numpy as np

from training.export.calibration import Calibration
from training.export.categories import CategoryTest, CategoryTests, Vocabulary, grouped
from training.export.errors import NotExportableError
from training.export.lightgbm_objective import Objective, read_objective
from training.export.trees import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Tree,
    TreeEnsemble,
    round_down_to_float32,
)

# `decision_type` of a node, as bits.
_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_SHIFT, _MISSING_MASK = 2, 3
_MISSING_ZERO, _MISSING_NAN = 1, 2

# LightGBM's kZeroThreshold: `predict` drops values of at most this magnitude as zeros when it reads a dense row.
ZERO_THRESHOLD = np.float32(1e-35)
_WORD_BITS = 32

_Fields = dict[str, str]


def read_lightgbm(booster: lightgbm.Booster) -> TreeEnsemble:
    """The booster's trees up to its best iteration, as `predict` uses them, on the scale of its objective.

    Raises:
        NotExportableError: a setting has no exact graph; see the message for what to use.
    """
    header, blocks = _text_of(booster)
    objective = read_objective(header, len(blocks))
    if booster.pandas_categorical:
        raise NotExportableError(
            "the model was trained on pandas categories, whose codes only the data frame knows; train on a float32 "
            "matrix, with categorical_feature for codes, or declare one 0/1 feature per category (aggregate `present`)"
        )
    for fields in blocks:
        _refuse_unknown_trees(fields)
    constant = np.zeros(objective.target_count)
    split: list[tuple[_Fields, int]] = []
    for at, fields in enumerate(blocks):
        target = at % objective.target_count
        if int(fields["num_leaves"]) == 1:
            constant[target] += float(fields["leaf_value"])
        else:
            split.append((fields, target))
    count = booster.num_feature()
    categories, columns = _categories(split, count)
    trees = tuple(_tree(fields, target, column) for (fields, target), column in zip(split, columns, strict=True))
    ensemble = TreeEnsemble(feature_count=count, trees=trees, constant=constant, categories=categories)
    return ensemble.calibrated(Calibration(slope=objective.factor, intercept=0.0))


def objective_of(booster: lightgbm.Booster) -> Objective:
    """What the booster's raw scores mean.

    Raises:
        NotExportableError: there is no exact graph for the objective.
    """
    header, blocks = _text_of(booster)
    return read_objective(header, len(blocks))


def nan_features(booster: lightgbm.Booster) -> BoolArray:
    """Per feature, whether every split on it sends NaN by a learned direction (never to where 0.0 goes): bool[F]."""
    knows_nan = np.ones(booster.num_feature(), dtype=np.bool_)
    for fields in _text_of(booster)[1]:
        if int(fields["num_leaves"]) > 1:
            missing = (_integers(fields["decision_type"]) >> _MISSING_SHIFT) & _MISSING_MASK
            knows_nan[_integers(fields["split_feature"])[missing != _MISSING_NAN]] = False
    return knows_nan


def _text_of(booster: lightgbm.Booster) -> tuple[_Fields, list[_Fields]]:
    """The fields of the model's header and of each tree."""
    header, *blocks = booster.model_to_string().split("end of trees")[0].split("\nTree=")
    return _fields(header), [_fields(block) for block in blocks]


def _fields(block: str) -> _Fields:
    """The `key=value` lines of a block; a flag such as `average_output` stands alone and gets an empty value."""
    return {key: value for key, _, value in (line.partition("=") for line in block.splitlines()) if key}


def _refuse_unknown_trees(fields: _Fields) -> None:
    if int(fields.get("is_linear", "0")) != 0:
        raise NotExportableError("linear_tree=True has linear leaves; train with linear_tree=False")
    if int(fields["num_leaves"]) == 1:
        return
    missing = (_integers(fields["decision_type"]) >> _MISSING_SHIFT) & _MISSING_MASK
    if bool(np.any(missing == _MISSING_ZERO)):
        raise NotExportableError(
            "zero_as_missing=True treats 0.0 as missing; train with NaN for missing values instead"
        )
    covers = np.concatenate([_doubles(fields["internal_count"]), _doubles(fields["leaf_count"])])
    if bool(np.any(covers <= 0)):
        raise NotExportableError(
            "a leaf holds no training row, so it has no cover to explain with; train with min_data_in_leaf >= 1"
        )


def _tree(fields: _Fields, target: int, column: IntArray) -> Tree:
    exact = _doubles(fields["threshold"])
    decision = _integers(fields["decision_type"])
    categorical = (decision & _CATEGORICAL) != 0
    learned = ((decision >> _MISSING_SHIFT) & _MISSING_MASK) == _MISSING_NAN
    # A feature that was never missing in training has no learned direction: LightGBM reads NaN as 0.0 there.
    nan_goes_left = np.where(learned, (decision & _DEFAULT_LEFT) != 0, exact >= 0.0)
    return Tree(
        column=column,
        threshold=np.where(categorical, np.float32(0.5), _threshold(exact)),
        nan_goes_left=nan_goes_left & ~categorical,
        left=_integers(fields["left_child"]),
        right=_integers(fields["right_child"]),
        node_cover=_doubles(fields["internal_count"]),
        leaf_cover=_doubles(fields["leaf_count"]),
        leaf_value=_doubles(fields["leaf_value"])[:, np.newaxis],
        targets=(target,),
    )


def _threshold(exact: FloatArray) -> Float32Array:
    """The float32 thresholds that decide as LightGBM does for every float32 value, tiny ones read as 0.0 included."""
    rounded = round_down_to_float32(exact)
    tiny = np.abs(exact) <= ZERO_THRESHOLD
    below_zero = np.nextafter(-ZERO_THRESHOLD, np.float32(-np.inf))
    return np.where(tiny, np.where(exact >= 0.0, ZERO_THRESHOLD, below_zero), rounded)


def _categories(trees: Sequence[tuple[_Fields, int]], feature_count: int) -> tuple[CategoryTests, list[IntArray]]:
    """The categorical tests of all trees, and the column that each split of each tree reads.

    A value is cut to its whole part and goes left if it is one of a split's categories; NaN and any other value go
    right (`CategoricalDecision` in `include/LightGBM/tree.h`).
    """
    splits = [_category_splits(fields) for fields, _ in trees]
    named: dict[int, set[int]] = {}
    for feature, categories in (split for tree in splits for split in tree.values()):
        named.setdefault(feature, set()).update(categories)
    vocabularies = {
        feature: Vocabulary(values=tuple(float(category) for category in sorted(categories)), whole=True)
        for feature, categories in sorted(named.items())
    }
    tests = [
        CategoryTest(feature=feature, left=vocabularies[feature].set_of([float(c) for c in categories]))
        for tree in splits
        for feature, categories in tree.values()
    ]
    distinct, places = grouped(tests)
    columns, place = [], iter(places.tolist())
    for (fields, _), tree in zip(trees, splits, strict=True):
        column = _integers(fields["split_feature"])
        column[list(tree)] = [feature_count + next(place) for _ in tree]
        columns.append(column)
    return CategoryTests(tests=distinct, vocabularies=tuple(vocabularies.items())), columns


def _category_splits(fields: _Fields) -> dict[int, tuple[int, list[int]]]:
    """Per categorical node of a tree its feature, and the categories that go left and that a float32 can hold."""
    if int(fields.get("num_cat", "0")) == 0:
        return {}
    bounds, words = _integers(fields["cat_boundaries"]), _integers(fields["cat_threshold"])
    features = _integers(fields["split_feature"])
    found = {}
    for node in np.flatnonzero(_integers(fields["decision_type"]) & _CATEGORICAL).tolist():
        which = int(float(fields["threshold"].split()[node]))
        bits = words[bounds[which] : bounds[which + 1]]
        member = (bits[:, np.newaxis] >> np.arange(_WORD_BITS)) & 1
        categories = np.flatnonzero(member.ravel())
        found[node] = (int(features[node]), categories[categories.astype(np.float32) == categories].tolist())
    return found


def _integers(text: str) -> IntArray:
    return np.array(text.split(), dtype=np.int64)


def _doubles(text: str) -> FloatArray:
    return np.array(text.split(), dtype=np.float64)
