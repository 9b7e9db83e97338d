"""The proof that a graph is the estimator: run before a bundle may be saved, stored in it, shown in the report."""

from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
import onnxruntime

from training.export.calibration import IDENTITY, Calibration
from training.export.errors import ParityError
from training.export.families import adapter_of
from training.export.family import Adapter, Reference
from training.export.probes import Probes, probe_rows
from training.export.trees import Float32Array, FloatArray

LOGIT_TOLERANCE = 1e-5
CONTRIBUTION_TOLERANCE = 1e-5
ADDITIVITY_TOLERANCE = 1e-5
PROBABILITY_TOLERANCE = 1e-6

# Rows at a time: the explanation's intermediate arrays stay within a core's cache.
_CHUNK_ROWS = 8
# The smallest positive normal float32: below, a probability loses digits by its format.
_SMALLEST_NORMAL = 1.2e-38
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "shap")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOutputs:
    """The graph's four outputs as doubles: [N], [N], [N, F], scalar."""

    logit: FloatArray
    probability: FloatArray
    contributions: FloatArray
    base_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityProof:
    """What was tried and how far graph and libraries were apart at most.

    The logit's difference is relative to max(1, |logit|); those of contributions and additivity to
    max(1, |base value|, largest |contribution|) of the row, as float32 holds no more; the probability's to itself.
    """

    rows_tried: int
    real_rows: int
    rows_against_shap: int
    thresholds_covered: int
    largest_logit_difference: float
    largest_base_value_difference: float
    largest_contribution_difference: float
    largest_shap_difference: float
    largest_additivity_difference: float
    largest_probability_difference: float
    library_versions: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """Plain types, for a bundle's manifest."""
        return asdict(self)


def prove(
    model_bytes: bytes,
    estimator: object,
    calibration: Calibration | None,
    rows: Float32Array,
    *,
    seed: int = 0,
    shap_rows: int = 32,
) -> ParityProof:
    """Compare a graph with its estimator on real rows, on every split threshold, and where values are missing.

    Args:
        model_bytes: what `export` gave.
        estimator: what `export` was given.
        calibration: what `export` was given.
        rows: real rows float32[N, F], finite or NaN, N >= 1.
        seed: of the choice of probe rows.
        shap_rows: how many of the rows are also compared with `shap`, spread over all kinds.

    Raises:
        ParityError: a difference is beyond its tolerance, or not a number.
        ValueError: rows have another type or shape, or hold an infinity.
    """
    _check_rows(rows)
    line = calibration or IDENTITY
    adapter = adapter_of(estimator)
    probes = probe_rows(rows, adapter.read(estimator).thresholds, np.random.default_rng(seed))
    session = open_session(model_bytes)
    outputs = run_graph(session, probes.rows)
    reference = adapter.reference(estimator, probes.rows).scaled(line)
    against_shap = probes.rows[np.unique(np.linspace(0, len(probes.rows) - 1, num=shap_rows, dtype=np.int64))]
    shap_difference = _shap_difference(session, adapter, estimator, line, against_shap)
    proof = _proof(probes, outputs, reference, shap_difference, against_shap)
    _require(proof)
    return proof


def open_session(model_bytes: bytes) -> onnxruntime.InferenceSession:
    """A session as a server opens it: one thread, so that sums are taken in one order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])


def run_graph(session: onnxruntime.InferenceSession, rows: Float32Array) -> GraphOutputs:
    """The graph's outputs for many rows, a few at a time."""
    parts = [
        session.run(["logit", "probability", "contributions", "base_value"], {"features": rows[at : at + _CHUNK_ROWS]})
        for at in range(0, len(rows), _CHUNK_ROWS)
    ]
    logit, probability, contributions, _ = (
        np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True)
    )
    return GraphOutputs(
        logit=logit, probability=probability, contributions=contributions, base_value=float(parts[0][3][0])
    )


def _check_rows(rows: Float32Array) -> None:
    if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) == 0:  # noqa: PLR2004 - [N, F]
        raise ValueError(f"expected float32 rows [N, F] with N >= 1, got {rows.dtype} {rows.shape}")
    if bool(np.isinf(rows).any()):
        raise ValueError("expected finite values or NaN; a runtime refuses infinities, so they prove nothing")


def _shap_difference(
    session: onnxruntime.InferenceSession,
    adapter: Adapter,
    estimator: object,
    calibration: Calibration,
    rows: Float32Array,
) -> float:
    if adapter.shap is None or len(rows) == 0:
        return 0.0
    explained_rows, raw = adapter.shap(estimator, rows)
    expected = raw[:, 0] * calibration.slope
    outputs = run_graph(session, explained_rows)
    return _largest(outputs.contributions - expected, _scale(outputs.base_value, expected)[:, np.newaxis])


def _proof(
    probes: Probes, outputs: GraphOutputs, reference: Reference, shap_difference: float, shap_rows: Float32Array
) -> ParityProof:
    assert reference.contributions is not None and reference.base_values is not None  # noqa: S101, PT018
    logit, contributions = reference.scores[:, 0], reference.contributions[:, 0]
    base_value = float(reference.base_values[0])
    scale = _scale(base_value, contributions)
    total = outputs.base_value + outputs.contributions.sum(axis=1)
    # The risk that belongs to the logit served; its distance from the library's is the logit's business.
    expected_risk = np.exp(np.minimum(outputs.logit, 0.0)) / (1.0 + np.exp(-np.abs(outputs.logit)))
    return ParityProof(
        rows_tried=len(probes.rows),
        real_rows=probes.real_rows,
        rows_against_shap=len(shap_rows),
        thresholds_covered=probes.thresholds_covered,
        largest_logit_difference=_largest(outputs.logit - logit, np.maximum(1.0, np.abs(logit))),
        largest_base_value_difference=abs(outputs.base_value - base_value) / max(1.0, abs(base_value)),
        largest_contribution_difference=_largest(outputs.contributions - contributions, scale[:, np.newaxis]),
        largest_shap_difference=shap_difference,
        largest_additivity_difference=_largest(total - outputs.logit, scale),
        largest_probability_difference=_largest(
            outputs.probability - expected_risk, expected_risk + _SMALLEST_NORMAL / PROBABILITY_TOLERANCE
        ),
        library_versions={library: version(library) for library in _LIBRARIES},
    )


def _scale(base_value: float, contributions: FloatArray) -> FloatArray:
    """Per row, the size of the largest number among 1, the base value and the contributions: float64[N]."""
    return np.asarray(np.maximum(max(1.0, abs(base_value)), np.abs(contributions).max(axis=1)))


def _largest(differences: FloatArray, scale: FloatArray) -> float:
    """The largest scaled difference; NaN if any is."""
    return float(np.max(np.abs(differences) / scale))


def _require(proof: ParityProof) -> None:
    """Refuse a proof with any number beyond its tolerance (or NaN, which compares as beyond)."""
    limits = {
        "logit": (proof.largest_logit_difference, LOGIT_TOLERANCE),
        "base value": (proof.largest_base_value_difference, LOGIT_TOLERANCE),
        "contributions": (proof.largest_contribution_difference, CONTRIBUTION_TOLERANCE),
        "contributions (shap)": (proof.largest_shap_difference, CONTRIBUTION_TOLERANCE),
        "additivity": (proof.largest_additivity_difference, ADDITIVITY_TOLERANCE),
        "probability": (proof.largest_probability_difference, PROBABILITY_TOLERANCE),
    }
    beyond = [f"{name} {got:.3g} > {limit:g}" for name, (got, limit) in limits.items() if not got <= limit]
    if beyond:
        raise ParityError(
            f"the graph is not its estimator on {proof.rows_tried} rows: {'; '.join(beyond)}. Don't save it; export "
            "again from this estimator and calibration, and report it if the difference stays"
        )
