"""The proof that a graph is the estimator: run before a bundle may be saved, stored in it, shown in the report."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import onnxruntime

from training.export.calibrated import as_line, calibrated
from training.export.calibration import IDENTITY, Calibration, Calibrator
from training.export.differences import explanation_differences, largest, score_differences, size_of
from training.export.errors import ParityError
from training.export.families import adapter_of
from training.export.family import Adapter, Reference, Scale
from training.export.graph import DOUBLE_SCORE
from training.export.links import form_of
from training.export.outputs import Outputs, showing_doubles
from training.export.probes import probe_rows
from training.export.trees import Float32Array, FloatArray

LOGIT_TOLERANCE = 1e-5
CONTRIBUTION_TOLERANCE = 1e-5
ADDITIVITY_TOLERANCE = 1e-5
PROBABILITY_TOLERANCE = 1e-6  # relative
# Of the score that a calibrator with steps is fed with: sums of doubles in another order.
DOUBLE_SCORE_TOLERANCE = 1e-12

# Rows at a time: the explanation's intermediate arrays stay within a core's cache.
_CHUNK_ROWS = 8
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "shap")
# XGBoost's wheel without CUDA has a name of its own.
_XGBOOST = ("xgboost", "xgboost-cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOutputs:
    """The four outputs of a binary model's graph as doubles: [N], [N], [N, F], scalar."""

    logit: FloatArray
    probability: FloatArray
    contributions: FloatArray
    base_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityProof:
    """What was tried and how far graph and libraries were apart at most.

    What is explained is called the logit, whatever its scale; its difference is relative to max(1, |logit|), and the
    prediction's (what the library itself serves) to max(1, |prediction|). Those of contributions and additivity are
    relative to max(1, |base value|, largest |contribution|) of the row and target, as float32 holds no more; the
    probability's (what is served, from the logit that the graph gave) to itself. Behind another calibrator than a line,
    the probability is compared with the calibrator's for the score in double precision that it was fed with, and that
    score with the library's. None: there was nothing to compare.
    """

    rows_tried: int
    real_rows: int
    rows_against_shap: int
    thresholds_covered: int
    largest_logit_difference: float
    largest_double_score_difference: float | None
    largest_base_value_difference: float | None
    largest_contribution_difference: float | None
    largest_shap_difference: float | None
    largest_additivity_difference: float | None
    largest_probability_difference: float
    largest_prediction_difference: float | None
    library_versions: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """Plain types, for a bundle's manifest."""
        return asdict(self)


def prove(
    model_bytes: bytes,
    estimator: object,
    calibration: Calibrator | None,
    rows: Float32Array,
    *,
    background: Float32Array | None = None,
    seed: int = 0,
    shap_rows: int = 32,
) -> ParityProof:
    """Compare a graph with its estimator on real rows, on every split threshold, and where values are missing.

    Args:
        model_bytes: what `export` gave.
        estimator: what `export` was given.
        calibration: what `export` was given.
        rows: real rows float32[N, F], finite or NaN, N >= 1.
        background: what `export` was given.
        seed: of the choice of probe rows.
        shap_rows: how many of the rows are also compared with `shap`, spread over all kinds.

    Raises:
        ParityError: a difference is beyond its tolerance, or not a number.
        ValueError: rows have another type or shape, or hold an infinity.
    """
    _check_rows(rows)
    adapter = adapter_of(estimator, background)
    read = adapter.read(estimator)
    model = calibrated(read, calibration)
    line = None if calibration is None else as_line(calibration, read.scale)
    probes = probe_rows(rows, read.thresholds, np.random.default_rng(seed))
    session = open_session(model_bytes)
    outputs = run_outputs(session, probes.rows)
    doubles = None if model.calibrator is None else _run_doubles(model_bytes, probes.rows)
    with _probing():
        reference = _calibrated(adapter.reference(estimator, probes.rows), line)
    proof = ParityProof(
        rows_tried=len(probes.rows),
        real_rows=probes.real_rows,
        thresholds_covered=probes.thresholds_covered,
        library_versions=_versions(estimator),
        **score_differences(outputs, reference, model, doubles),
        **explanation_differences(outputs, reference),
        **_shap_difference(session, adapter, estimator, line, _spread(probes.rows, shap_rows)),
    )
    _require(proof)
    return proof


def open_session(model_bytes: bytes) -> onnxruntime.InferenceSession:
    """A session as a server opens it: one thread, so that sums are taken in one order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])


def run_graph(session: onnxruntime.InferenceSession, rows: Float32Array) -> GraphOutputs:
    """The outputs of a binary model's graph for many rows, a few at a time."""
    found = run_outputs(session, rows)
    if found.contributions is None or found.base_values is None or found.explained.shape[1] != 1:
        raise ValueError("expected the graph of a binary model with contributions; use run_outputs for another")
    return GraphOutputs(
        logit=found.explained[:, 0],
        probability=found.served[:, 0],
        contributions=found.contributions[:, 0],
        base_value=float(found.base_values[0]),
    )


def run_outputs(session: onnxruntime.InferenceSession, rows: Float32Array) -> Outputs:
    """Any graph's outputs for many rows, a few at a time."""
    known = {output.name: output.shape for output in session.get_outputs()}
    properties = session.get_modelmeta().custom_metadata_map
    # A file of before `explained` was stated is in the one form that there was.
    explained = properties.get("explained", "logit")
    targets = known[explained][1] if len(known[explained]) > 1 else 1
    form = form_of(Scale(properties.get("scale", Scale.LOG_ODDS)), targets)
    names = [name for name in (form.explained, form.served, "contributions", "base_value") if name in known]
    parts = [
        session.run(names, {"features": rows[at : at + _CHUNK_ROWS]}) for at in range(0, max(len(rows), 1), _CHUNK_ROWS)
    ]
    columns = dict(zip(names, zip(*parts, strict=True), strict=True))

    def joined(name: str, *shape: int) -> FloatArray:
        return np.concatenate(columns[name]).astype(np.float64).reshape(len(rows), *shape)

    return Outputs(
        explained=joined(form.explained, targets),
        served=joined(form.served, targets),
        contributions=joined("contributions", targets, rows.shape[1]) if "contributions" in known else None,
        base_values=columns["base_value"][0].astype(np.float64) if "base_value" in known else None,
    )


@contextmanager
def _probing() -> Iterator[None]:
    """Without scikit-learn's warnings of what probes are made to hold, and of features that it never observed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found unknown categories")
        warnings.filterwarnings("ignore", message="Skipping features without any observed values")
        yield


def _run_doubles(model_bytes: bytes, rows: Float32Array) -> FloatArray:
    """The scores in double precision that a calibrator is fed with, float64[N, 1]."""
    session = open_session(showing_doubles(model_bytes, DOUBLE_SCORE))
    found = [
        session.run([DOUBLE_SCORE], {"features": rows[at : at + _CHUNK_ROWS]})[0]
        for at in range(0, len(rows), _CHUNK_ROWS)
    ]
    return np.concatenate(found)


def _calibrated(reference: Reference, calibrator: Calibrator | None) -> Reference:
    """What the library says behind a line; behind another calibrator, what it serves is another thing."""
    if calibrator is None:
        return reference
    return reference.scaled(calibrator) if isinstance(calibrator, Calibration) else replace(reference, served=None)


def _check_rows(rows: Float32Array) -> None:
    if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) == 0:  # noqa: PLR2004 - [N, F]
        raise ValueError(f"expected float32 rows [N, F] with N >= 1, got {rows.dtype} {rows.shape}")
    if bool(np.isinf(rows).any()):
        raise ValueError("expected finite values or NaN; a runtime refuses infinities, so they prove nothing")


def _spread(rows: Float32Array, count: int) -> Float32Array:
    """Some of the rows, spread over all kinds."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, num=count, dtype=np.int64))]


def _shap_difference(
    session: onnxruntime.InferenceSession,
    adapter: Adapter,
    estimator: object,
    line: Calibrator | None,
    rows: Float32Array,
) -> dict[str, Any]:
    """The fields of the proof that say how many rows `shap` explained and how far it was away."""
    nothing = {"rows_against_shap": 0, "largest_shap_difference": None}
    if adapter.shap is None:
        return nothing
    with _probing():
        explained_rows, raw = adapter.shap(estimator, rows)
    found = run_outputs(session, explained_rows)
    if len(explained_rows) == 0 or found.contributions is None or found.base_values is None:
        return nothing
    expected = raw * (line if isinstance(line, Calibration) else IDENTITY).slope
    difference = largest(found.contributions - expected, size_of(found.base_values, expected)[:, :, np.newaxis])
    return {"rows_against_shap": len(explained_rows), "largest_shap_difference": difference}


def _versions(estimator: object) -> dict[str, str]:
    """The libraries that took part; XGBoost only where it made the estimator."""
    taking_part = {library: version(library) for library in _LIBRARIES}
    if type(estimator).__module__.startswith("xgboost"):
        for library in _XGBOOST:
            with suppress(PackageNotFoundError):
                taking_part[library] = version(library)
    return taking_part


def _require(proof: ParityProof) -> None:
    """Refuse a proof with any number beyond its tolerance (or NaN, which compares as beyond)."""
    limits = {
        "logit": (proof.largest_logit_difference, LOGIT_TOLERANCE),
        "score in double": (proof.largest_double_score_difference, DOUBLE_SCORE_TOLERANCE),
        "base value": (proof.largest_base_value_difference, LOGIT_TOLERANCE),
        "contributions": (proof.largest_contribution_difference, CONTRIBUTION_TOLERANCE),
        "contributions (shap)": (proof.largest_shap_difference, CONTRIBUTION_TOLERANCE),
        "additivity": (proof.largest_additivity_difference, ADDITIVITY_TOLERANCE),
        "probability": (proof.largest_probability_difference, PROBABILITY_TOLERANCE),
        "prediction": (proof.largest_prediction_difference, LOGIT_TOLERANCE),
    }
    beyond = [
        f"{name} {got:.3g} > {limit:g}" for name, (got, limit) in limits.items() if got is not None and not got <= limit
    ]
    if beyond:
        raise ParityError(
            f"the graph is not its estimator on {proof.rows_tried} rows: {'; '.join(beyond)}. Don't save it; export "
            "again from this estimator and calibration, and report it if the difference stays"
        )
