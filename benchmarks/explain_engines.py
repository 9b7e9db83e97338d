"""The ways to explain a row, each behind one function: rows in, whatever it gives out. A new way is one more line."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.onnx_file import read_onnx
from serving.explainer import NoLibrary, NotExplainable, explainer_of
from training.export.parity import open_session

Rows = NDArray[np.float32]
Run = Callable[[Rows], object]

COMPILED = "Bedside: score + compiled explanation"
GRAPH = "Bedside: one ONNX graph, score + explanation"
SCORE = "score alone (ONNX Runtime)"
PRED_CONTRIB = "LightGBM pred_contrib"
SHAP = "shap TreeExplainer.shap_values"


class NotAvailable(Exception):  # noqa: N818 - no error: the table says so
    """An engine cannot be used here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is explained: one model in its two forms.

    Attributes:
        graph: the exported ONNX graph.
        booster_text: LightGBM's own text form, which another process can read.
        features: F.
    """

    graph: bytes
    booster_text: str
    features: int

    @property
    def booster(self) -> Any:
        """A LightGBM booster."""
        return lightgbm.Booster(model_str=self.booster_text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way to explain.

    Attributes:
        prepare: from a subject to the function that is timed, on one thread.
        chunk_rows: how many rows of a batch it is given at once: what it does best with.
        batch_rows: how many rows of a batch are timed at most; the time is told per row.
    """

    prepare: Callable[[Subject], Run]
    chunk_rows: int = 500
    batch_rows: int = 10_000


def _compiled(subject: Subject) -> Run:
    try:
        explainer = explainer_of(read_onnx(subject.graph), subject.features)
    except (NoLibrary, NotExplainable) as reason:
        raise NotAvailable(str(reason)) from reason
    score, explain = _score(subject), explainer.explain

    def run(rows: Rows) -> object:
        return score(rows), explain(rows)

    return run


def _graph(subject: Subject) -> Run:
    session = open_session(subject.graph)
    return lambda rows: session.run(None, {"features": rows})


def _score(subject: Subject) -> Run:
    """The scoring nodes as a session of their own: a session runs all nodes whatever is asked of it."""
    session = open_session(read_onnx(subject.graph).only(("logit", "probability")))
    return lambda rows: session.run(None, {"features": rows})


def _pred_contrib(subject: Subject) -> Run:
    booster = subject.booster
    return lambda rows: booster.predict(rows, pred_contrib=True, num_threads=1)


def _shap(subject: Subject) -> Run:
    """`shap`'s own compiled code; as it comes, it hands a LightGBM model back to `pred_contrib`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap  # noqa: PLC0415 - takes a second, and warns of its own plots
    explainer = shap.TreeExplainer(subject.booster, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    return lambda rows: explainer.shap_values(rows, check_additivity=False)


ENGINES: Mapping[str, Engine] = {
    COMPILED: Engine(prepare=_compiled),
    GRAPH: Engine(prepare=_graph, chunk_rows=8),  # its intermediate arrays stay in a core's cache
    SCORE: Engine(prepare=_score),
    PRED_CONTRIB: Engine(prepare=_pred_contrib, batch_rows=2_000),
    SHAP: Engine(prepare=_shap, batch_rows=2_000),
}
