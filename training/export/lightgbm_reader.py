"""Reads a LightGBM model into trees, and refuses every setting that would make the graph another model.

The model's text form is read, not its JSON dump: it gives the same doubles in 17 digits, covers as exact counts, and
names the settings (LightGBM 4, `src/io/tree.cpp` and `gbdt_model_text.cpp`, format `version=v4`).
"""

import lightgbm
import numpy as np

from training.export.errors import NotExportableError
from training.export.trees import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Tree,
    TreeEnsemble,
    round_down_to_float32,
)

_TEXT_VERSION = "v4"

# `decision_type` of a node, as bits.
_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_SHIFT, _MISSING_MASK = 2, 3
_MISSING_ZERO, _MISSING_NAN = 1, 2

# LightGBM's kZeroThreshold: `predict` drops values of at most this magnitude as zeros when it reads a dense row.
ZERO_THRESHOLD = np.float32(1e-35)


def read_lightgbm(booster: lightgbm.Booster) -> TreeEnsemble:
    """The booster's trees up to its best iteration, as `predict` uses them.

    Raises:
        NotExportableError: a setting has no exact graph; see the message for what to use.
    """
    header, *blocks = booster.model_to_string().split("end of trees")[0].split("\nTree=")
    _refuse_unknown_models(_fields(header))
    trees: list[Tree] = []
    constant = 0.0
    for block in blocks:
        fields = _fields(block)
        _refuse_unknown_trees(fields)
        if int(fields["num_leaves"]) == 1:
            constant += float(fields["leaf_value"])
        else:
            trees.append(_tree(fields))
    return TreeEnsemble(feature_count=booster.num_feature(), trees=tuple(trees), constant=constant)


def nan_features(booster: lightgbm.Booster) -> BoolArray:
    """Per feature, whether every split on it sends NaN by a learned direction (never to where 0.0 goes): bool[F]."""
    knows_nan = np.ones(booster.num_feature(), dtype=np.bool_)
    for block in booster.model_to_string().split("end of trees")[0].split("\nTree=")[1:]:
        fields = _fields(block)
        if int(fields["num_leaves"]) > 1:
            missing = (_integers(fields["decision_type"]) >> _MISSING_SHIFT) & _MISSING_MASK
            knows_nan[_integers(fields["split_feature"])[missing != _MISSING_NAN]] = False
    return knows_nan


def _fields(block: str) -> dict[str, str]:
    """The `key=value` lines of a block; a flag such as `average_output` stands alone and gets an empty value."""
    return {key: value for key, _, value in (line.partition("=") for line in block.splitlines()) if key}


def _refuse_unknown_models(header: dict[str, str]) -> None:
    objective = header.get("objective", "a custom function")
    if header.get("version") != _TEXT_VERSION:
        raise NotExportableError(
            f"expected LightGBM's text format {_TEXT_VERSION}, got {header.get('version')}; train with LightGBM 4"
        )
    if "average_output" in header:
        raise NotExportableError(
            "boosting='rf' averages its trees and isn't exported; use boosting='gbdt', 'goss' or 'dart'"
        )
    if int(header["num_class"]) != 1 or int(header["num_tree_per_iteration"]) != 1:
        raise NotExportableError(
            f"expected a binary model, got {header['num_class']} classes; train one binary model per class"
        )
    kind, _, settings = objective.partition(" ")
    if kind != "binary":
        raise NotExportableError(f"expected objective 'binary', got '{objective}'; train with objective='binary'")
    sigmoid = dict(setting.split(":") for setting in settings.split() if ":" in setting).get("sigmoid", "1")
    if float(sigmoid) != 1.0:
        raise NotExportableError(
            f"expected sigmoid=1, got sigmoid={sigmoid}; leave `sigmoid` at 1 and calibrate with a Calibration"
        )


def _refuse_unknown_trees(fields: dict[str, str]) -> None:
    if int(fields.get("num_cat", "0")) > 0:
        raise NotExportableError(
            "a tree has a categorical split; declare one 0/1 feature per category (aggregate `present`) instead of "
            "categorical_feature or a pandas category"
        )
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


def _tree(fields: dict[str, str]) -> Tree:
    exact = _doubles(fields["threshold"])
    decision = _integers(fields["decision_type"])
    learned = ((decision >> _MISSING_SHIFT) & _MISSING_MASK) == _MISSING_NAN
    # A feature that was never missing in training has no learned direction: LightGBM reads NaN as 0.0 there.
    nan_goes_left = np.where(learned, (decision & _DEFAULT_LEFT) != 0, exact >= 0.0)
    return Tree(
        feature=_integers(fields["split_feature"]),
        threshold=_threshold(exact),
        nan_goes_left=nan_goes_left,
        left=_integers(fields["left_child"]),
        right=_integers(fields["right_child"]),
        node_cover=_doubles(fields["internal_count"]),
        leaf_value=_doubles(fields["leaf_value"]),
        leaf_cover=_doubles(fields["leaf_count"]),
    )


def _threshold(exact: FloatArray) -> Float32Array:
    """The float32 thresholds that decide as LightGBM does for every float32 value, tiny ones read as 0.0 included."""
    rounded = round_down_to_float32(exact)
    tiny = np.abs(exact) <= ZERO_THRESHOLD
    below_zero = np.nextafter(-ZERO_THRESHOLD, np.float32(-np.inf))
    return np.where(tiny, np.where(exact >= 0.0, ZERO_THRESHOLD, below_zero), rounded)


def _integers(text: str) -> IntArray:
    return np.array(text.split(), dtype=np.int64)


def _doubles(text: str) -> FloatArray:
    return np.array(text.split(), dtype=np.float64)
