"""The bundle runtime: an ONNX session that has shown its golden rows before it scores anyone. Imports onnxruntime."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.bundle import Bundle, BundleError

# Float32 sums differ in their last bits between CPUs; a wrong model differs by far more.
GOLDEN_TOLERANCE = 1e-4
# base + Σ contributions against the logit, relative to max(1, |logit|): beyond it the explanation is not of this score.
ADDITIVITY_TOLERANCE = 1e-4
OUTPUTS = ("logit", "probability", "contributions", "base_value")


class Scored(NamedTuple):
    """One row's result.

    `contributions` float32[F] in log-odds, or None where they did not add up to the logit and were dropped.
    """

    logit: float
    probability: float
    base_value: float
    contributions: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores feature vectors with a bundle's graph, on one thread.

    Raises:
        BundleError: the graph does not load, has other inputs or outputs, or does not reproduce the golden rows.
    """

    bundle: Bundle
    _session: onnxruntime.InferenceSession = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_session", _session(self.bundle))
        _check_golden(self)

    def run(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Logit [N], probability [N], contributions [N, F] and base value [1] of rows float32[N, F]."""
        outputs: list[NDArray[np.float32]] = self._session.run(OUTPUTS, {"features": rows})
        return tuple(outputs)

    def score(self, row: NDArray[np.float32]) -> Scored:
        """Score one row float32[1, F], NaN where a feature is missing.

        Raises:
            ValueError: a feature is infinite, or the graph's probability is not one.
        """
        if np.isinf(row).any():
            raise ValueError("Expected finite features or NaN; one is infinite.")
        logits, probabilities, contributions, base_values = self.run(row)
        logit, probability, base = float(logits[0]), float(probabilities[0]), float(base_values[0])
        if not 0.0 <= probability <= 1.0:
            raise ValueError("Expected a probability in [0, 1] from the graph.")
        error = abs(base + float(contributions[0].sum(dtype=np.float64)) - logit)
        adds_up = error <= ADDITIVITY_TOLERANCE * max(1.0, abs(logit))
        return Scored(logit, probability, base, contributions[0] if adds_up else None)


def _session(bundle: Bundle) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # onnxruntime sizes its pools to the host, not to the container, and a row is too little work to share.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no public parent
        raise BundleError(f"{bundle.path.name}/model.onnx: onnxruntime {onnxruntime.__version__}: {error}") from error
    width = len(bundle.manifest.features)
    inputs = [(node.name, node.type, node.shape[1:]) for node in session.get_inputs()]
    outputs = {node.name for node in session.get_outputs()}
    if inputs != [("features", "tensor(float)", [width])] or outputs != set(OUTPUTS):
        raise BundleError(
            f"{bundle.path.name}/model.onnx: expected the input features float32[N, {width}] and the outputs "
            f"{', '.join(OUTPUTS)}; got {inputs} and {', '.join(sorted(outputs))}."
        )
    return session


def _check_golden(scorer: Scorer) -> None:
    golden = scorer.bundle.golden
    found = scorer.run(golden.matrix)
    base_value = np.full(found[-1].shape, golden.base_value)  # once, or once per row
    expected = (np.array(golden.logit), np.array(golden.probability), np.array(golden.contributions), base_value)
    for name, wanted, got in zip(OUTPUTS, expected, found, strict=True):
        if not _agree(wanted, got):
            raise BundleError(
                f"{scorer.bundle.path.name}: on this machine (onnxruntime {onnxruntime.__version__}) the graph's "
                f"{name} differs from the golden rows. Export it again, or use the version it was proved with."
            )


def _agree(wanted: NDArray[np.float64], got: NDArray[np.float32]) -> bool:
    if got.shape != wanted.shape or not got.size:
        return False
    return np.allclose(got, wanted, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE)
