"""The only import of `shap` in the export: it takes a second, and warns of a matplotlib deprecation of its own."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def import_shap() -> Any:
    """Import `shap` when it is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap  # noqa: PLC0415 - see the module's docstring
    return shap


def tree_shap(trees: Sequence[tuple[Any, dict[str, Any]]], rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Path-dependent TreeSHAP by `shap`'s compiled code, float64[N, values of a leaf, F].

    Args:
        trees: each as `shap` reads one (scikit-learn's own or arrays by name), with the settings of its reader.
        rows: float32[N, F].
    """
    shap = import_shap()
    single_tree = shap.explainers._tree.SingleTree  # noqa: SLF001 - its list of trees has no public name
    read = [single_tree(tree, **settings) for tree, settings in trees]
    return explained_by(read, rows)


def explained_by(trees: Sequence[Any], rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """As `tree_shap`, of trees that `shap` has read."""
    count = trees[0].values.shape[1]
    split = [tree for tree in trees if len(tree.children_left) > 1]
    if not split:  # `shap` refuses a model without any split, whose contributions are all 0
        return np.zeros((len(rows), count, rows.shape[1]))
    explainer = import_shap().TreeExplainer(split, feature_perturbation="tree_path_dependent")
    found = np.asarray(explainer.shap_values(rows.astype(np.float64), check_additivity=False), dtype=np.float64)
    return found[:, np.newaxis, :] if found.ndim == 2 else np.moveaxis(found, 2, 1)  # noqa: PLR2004 - [N, F]
