"""Reads an XGBoost model into trees, and refuses every setting that would make the graph another model.

The model's JSON form is read (XGBoost 2 and 3, `doc/model.schema`). A row is read as float32 and goes left if
`x < threshold`, which for float32 is `x <= the next float32 below`; NaN goes the learned way. Covers are the sums of
the second derivatives, as XGBoost's own TreeSHAP takes them.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from training.export.errors import NotExportableError
from training.export.family import Scale
from training.export.node_list import NodeList, summed
from training.export.trees import FloatArray, IntArray, TreeEnsemble

XGBoostModel: TypeAlias = Any  # xgboost.Booster or XGBModel: XGBoost is an optional extra
_Json: TypeAlias = dict[str, Any]

_FIRST_VERSION, _LAST_VERSION = 2, 3

_SCALES = {
    "binary:logistic": Scale.LOG_ODDS,
    "reg:logistic": Scale.LOG_ODDS,
    "multi:softprob": Scale.LOG_ODDS,
    "multi:softmax": Scale.LOG_ODDS,
    "reg:squarederror": Scale.OUTCOME,
    "reg:squaredlogerror": Scale.OUTCOME,
    "reg:absoluteerror": Scale.OUTCOME,
    "reg:pseudohubererror": Scale.OUTCOME,
    "reg:quantileerror": Scale.OUTCOME,
    "count:poisson": Scale.LOG_OUTCOME,
    "reg:gamma": Scale.LOG_OUTCOME,
    "reg:tweedie": Scale.LOG_OUTCOME,
}
# Their base score is stored as it would be served and goes through the inverse link; softmax has it as a score.
_LOGISTIC = {"binary:logistic", "reg:logistic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class XGBoostTrees:
    """What a model's JSON says: its scale, base scores [K], and the trees that `predict` uses, each with its target."""

    scale: Scale
    base_scores: FloatArray
    trees: tuple[_Json, ...]
    targets: IntArray  # [trees]
    iterations: int  # how many rounds of boosting the trees are
    feature_count: int


def booster_of(model: XGBoostModel) -> Any:
    """The booster of an estimator, or the booster itself."""
    return model.get_booster() if hasattr(model, "get_booster") else model


def parse_xgboost(model: XGBoostModel) -> XGBoostTrees:
    """The trees as `predict` uses them: an estimator those up to its best iteration, a booster all.

    Raises:
        NotExportableError: a setting has no exact graph; see the message for what to use.
    """
    document = json.loads(bytes(booster_of(model).save_raw("json")))
    learner = document["learner"]
    _refuse_settings(model, document)
    objective, settings = learner["objective"]["name"], learner["learner_model_param"]
    trees = learner["gradient_booster"]["model"]
    ends = trees["iteration_indptr"]
    iterations = _iterations(model, len(ends) - 1)
    target_count = max(1, int(settings["num_class"]))
    bases = np.array(json.loads(f"[{settings['base_score'].strip('[]')}]"), dtype=np.float32)
    return XGBoostTrees(
        scale=_SCALES[objective],
        base_scores=np.broadcast_to(_margin(objective, bases.astype(np.float64)), (target_count,)),
        trees=tuple(trees["trees"][: ends[iterations]]),
        targets=np.array(trees["tree_info"][: ends[iterations]], dtype=np.int64),
        iterations=iterations,
        feature_count=int(settings["num_feature"]),
    )


def read_xgboost(parsed: XGBoostTrees) -> TreeEnsemble:
    """The parsed trees as a sum of trees.

    Raises:
        NotExportableError: a tree has categorical splits, several values in a leaf, or a node without weight.
    """
    lists = [_node_list(tree, int(target)) for tree, target in zip(parsed.trees, parsed.targets, strict=True)]
    trees, constant = summed(lists, parsed.base_scores)
    return TreeEnsemble(feature_count=parsed.feature_count, trees=trees, constant=constant)


def _refuse_settings(model: XGBoostModel, document: _Json) -> None:
    version, learner = document["version"], document["learner"]
    if not _FIRST_VERSION <= version[0] <= _LAST_VERSION:
        raise NotExportableError(f"expected a model of XGBoost 2 or 3, got {version}; train with XGBoost 3")
    if learner["gradient_booster"]["name"] != "gbtree":
        raise NotExportableError(
            f"expected booster='gbtree', got '{learner['gradient_booster']['name']}'; train with booster='gbtree'"
        )
    if learner["objective"]["name"] not in _SCALES:
        raise NotExportableError(
            f"expected one of the objectives {', '.join(_SCALES)}, got '{learner['objective']['name']}'; train with "
            "objective='binary:logistic' for a risk"
        )
    if int(learner["learner_model_param"].get("num_target", "1")) > 1:
        raise NotExportableError("expected one outcome, got several; train one model per outcome")
    if not np.isnan(getattr(model, "missing", np.nan)):
        raise NotExportableError(
            f"expected missing=nan, got missing={model.missing}; train with NaN for missing values"
        )


def _iterations(model: XGBoostModel, trained: int) -> int:
    """How many rounds `predict` uses: an estimator that stopped early uses its best ones."""
    if not hasattr(model, "get_booster"):
        return trained
    best = model.get_booster().attributes().get("best_iteration")
    return trained if best is None else int(best) + 1


def _margin(objective: str, base: FloatArray) -> FloatArray:
    """The base score as a score."""
    if objective in _LOGISTIC:
        return np.asarray(-np.log(1 / base - 1))
    return np.log(base) if _SCALES[objective] == Scale.LOG_OUTCOME else base


def _node_list(tree: _Json, target: int) -> NodeList:
    if any(tree["split_type"]):
        raise NotExportableError(
            "a tree has a categorical split; declare one 0/1 feature per category (aggregate `present`) instead of "
            "enable_categorical"
        )
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise NotExportableError("multi_strategy='multi_output_tree' isn't exported; use 'one_output_per_tree'")
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    left = np.array(tree["left_children"], dtype=np.int64)
    return NodeList(
        is_leaf=left < 0,
        column=np.array(tree["split_indices"], dtype=np.int64),
        threshold=np.nextafter(conditions, np.float32(-np.inf)),
        nan_goes_left=np.array(tree["default_left"], dtype=np.bool_),
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        cover=np.array(tree["sum_hessian"], dtype=np.float64),
        value=conditions.astype(np.float64)[:, np.newaxis],  # where a split has its condition, a leaf has its value
        targets=(target,),
    )
