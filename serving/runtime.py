"""The bundle runtime: a graph that has shown its golden rows before it scores anyone. Imports onnxruntime."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.bundle import Bundle, BundleError
from models.onnx_file import OnnxFile, OnnxFileError, read_onnx
from serving.explainer import NoLibrary, NotExplainable, explainer_of
from serving.explanations import Exact, ExplainedBy, Explanations, Permuted, Rows

# Float32 sums differ in their last bits between CPUs; a wrong model differs by far more.
GOLDEN_TOLERANCE = 1e-4
# base + Σ contributions against the logit, relative to max(1, |logit|): beyond it the explanation is not of this score.
ADDITIVITY_TOLERANCE = 1e-4
SCORE_OUTPUTS = ("logit", "probability")
EXPLANATION_OUTPUTS = ("contributions", "base_value")
OUTPUTS = (*SCORE_OUTPUTS, *EXPLANATION_OUTPUTS)
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# Why there is no explanation: it did not add up to the logit, or the call had no time left for it.
Unexplained: TypeAlias = Literal["additivity", "deadline"]


class Scored(NamedTuple):
    """One row's result.

    `contributions` float32[F] in log-odds, or None for the reason in `unexplained`; `standard_error` float32[F] where
    they are estimates.
    """

    logit: float
    probability: float
    base_value: float
    contributions: NDArray[np.float32] | None
    unexplained: Unexplained | None = None
    standard_error: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores feature vectors with a bundle's graph, on one thread, and explains them.

    Attributes:
        base_value: the logit that an explanation starts from.
        graph_because: why not compiled code, where the graph explains itself.

    Raises:
        BundleError: the graph does not load, has other inputs or outputs, or does not reproduce the golden rows.
    """

    bundle: Bundle
    base_value: float = field(init=False)
    graph_because: str | None = field(init=False)
    _score: onnxruntime.InferenceSession = field(init=False, repr=False)
    _explanations: Explanations = field(init=False, repr=False)

    def __post_init__(self) -> None:
        graph = _read(self.bundle)
        explanations, base_value, because = _explanations(self.bundle, graph)
        prepared = {
            "_score": _session(self.bundle, graph.only(SCORE_OUTPUTS), SCORE_OUTPUTS),
            "_explanations": explanations,
            "base_value": base_value,
            "graph_because": because,
        }
        for name, value in prepared.items():
            object.__setattr__(self, name, value)
        _check_golden(self)

    @property
    def explained_by(self) -> ExplainedBy:
        """By compiled code from the graph's trees, by the graph itself, or by permutations of its scores."""
        return self._explanations.name

    @property
    def explanation_seconds(self) -> float:
        """The least that an explanation took when the bundle was loaded."""
        return self._explanations.seconds

    def probabilities(self, rows: Rows) -> Rows:
        """Probabilities float32[N] of rows float32[N, F]."""
        (found,) = self._score.run(("probability",), {"features": rows})
        return np.asarray(found, np.float32)

    def score(self, row: Rows, *, seconds: float = math.inf) -> Scored:
        """Score one row float32[1, F], NaN where a feature is missing.

        Args:
            row: the features.
            seconds: what is left for an explanation; one that takes longer is left out.

        Raises:
            ValueError: a feature is infinite, or the graph's probability is not one.
        """
        if np.isinf(row).any():
            raise ValueError("Expected finite features or NaN; one is infinite.")
        logits, probabilities = self._score.run(SCORE_OUTPUTS, {"features": row})
        logit, probability, base = float(logits[0]), float(probabilities[0]), self.base_value
        if not 0.0 <= probability <= 1.0:
            raise ValueError("Expected a probability in [0, 1] from the graph.")
        if self._explanations.seconds > seconds:
            return Scored(logit, probability, base, None, "deadline")
        contributions, standard_error = self._explanations.one(row, seconds)
        if standard_error is not None and np.isnan(standard_error).any():
            return Scored(logit, probability, base, None, "deadline")
        error = abs(base + float(contributions.sum(dtype=np.float64)) - logit)
        if error <= ADDITIVITY_TOLERANCE * max(1.0, abs(logit)):
            return Scored(logit, probability, base, contributions, None, standard_error)
        return Scored(logit, probability, base, None, "additivity")


def _read(bundle: Bundle) -> OnnxFile:
    try:
        graph = read_onnx(bundle.model)
    except OnnxFileError as error:
        raise BundleError(f"{bundle.path.name}/model.onnx: {error}") from error
    _check_contents(bundle, graph)
    expected = OUTPUTS if bundle.background is None else SCORE_OUTPUTS
    if set(graph.outputs) != set(expected):
        raise BundleError(
            f"{bundle.path.name}/model.onnx: expected the outputs {', '.join(expected)}; got "
            f"{', '.join(graph.outputs)}. A graph without contributions needs background rows in its bundle."
        )
    return graph


def _check_contents(bundle: Bundle, graph: OnnxFile) -> None:
    """Refuse, before a runtime opens it, a graph that would read other files or run what is not plain operators."""
    domains = {*graph.opsets, *(node.domain for node in graph.nodes)} - DOMAINS
    strange = [*(f"tensor {name} in another file" for name in graph.external), *graph.extras]
    strange += [f"operators of the domain {domain}" for domain in sorted(domains)]
    if strange:
        raise BundleError(
            f"{bundle.path.name}/model.onnx: expected one graph of plain operators in one file; got "
            f"{', '.join(strange)}. Export it with `training.export`."
        )


def _explanations(bundle: Bundle, graph: OnnxFile) -> tuple[Explanations, float, str | None]:
    """The way to contributions, the base value, and why it is the graph itself if it is."""
    background, settings = bundle.background, bundle.manifest.explanation
    if background is not None and not isinstance(settings, msgspec.UnsetType):
        logits = _run_of(bundle, graph.only(("logit",)), "logit")
        permuted = Permuted(lambda rows: logits(rows).astype(np.float64), background.matrix, settings)
        return permuted, float(permuted.score(background.matrix).mean()), None
    base_value = float(_run_of(bundle, graph.only(("base_value",)), "base_value")(bundle.golden.matrix[:1])[0])
    try:
        return Exact("compiled", explainer_of(graph, len(bundle.manifest.features)).explain), base_value, None
    except (NoLibrary, NotExplainable) as reason:
        contributions = _run_of(bundle, graph.only(("contributions",)), "contributions")
        return Exact("graph", contributions), base_value, str(reason)


def _run_of(bundle: Bundle, content: bytes, output: str) -> Callable[[Rows], Rows]:
    """A session of its own for one output: onnxruntime computes all of a graph's nodes whatever is asked of it."""
    session = _session(bundle, content, (output,))

    def run(rows: Rows) -> Rows:
        found: Rows = session.run((output,), {"features": rows})[0]
        return found

    return run


def _session(bundle: Bundle, content: bytes, expected: Collection[str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # onnxruntime sizes its pools to the host, not to the container, and a row is too little work to share.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # An arena keeps the largest intermediate that it ever needed; without it a row takes as long, and half the memory.
    options.enable_cpu_mem_arena = False
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public parent
        raise BundleError(f"{bundle.path.name}/model.onnx: onnxruntime {onnxruntime.__version__}: {error}") from error
    width = len(bundle.manifest.features)
    inputs = [(node.name, node.type, node.shape[1:]) for node in session.get_inputs()]
    if inputs != [("features", "tensor(float)", [width])]:
        raise BundleError(
            f"{bundle.path.name}/model.onnx: expected the input features float32[N, {width}] and the outputs "
            f"{', '.join(expected)}; got {inputs}."
        )
    return session


def _check_golden(scorer: Scorer) -> None:
    golden = scorer.bundle.golden
    rows = golden.matrix
    found = {
        **dict(zip(SCORE_OUTPUTS, scorer._score.run(SCORE_OUTPUTS, {"features": rows}), strict=True)),  # noqa: SLF001
        "contributions": scorer._explanations.golden(rows),  # noqa: SLF001 - of this file
        "base_value": np.array([scorer.base_value]),
    }
    expected = {
        "logit": golden.logit,
        "probability": golden.probability,
        "contributions": golden.contributions,
        "base_value": [golden.base_value],
    }
    for name, wanted in expected.items():
        if not _agree(np.array(wanted), found[name]):
            raise BundleError(
                f"{scorer.bundle.path.name}: on this machine (onnxruntime {onnxruntime.__version__}) the graph's "
                f"{name} differs from the golden rows. Export it again, or use the version it was proved with."
            )


def _agree(wanted: NDArray[np.float64], got: NDArray[Any]) -> bool:
    if got.shape != wanted.shape or not got.size:
        return False
    return np.allclose(got, wanted, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE)
