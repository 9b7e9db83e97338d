"""From a fitted estimator to one ONNX graph that gives the probability and its contributions."""

from training.export.calibration import BetaCalibration, Calibration, IsotonicCalibration, Of, SigmoidCalibration
from training.export.errors import ExportError, NotExportableError, ParityError
from training.export.graph import GraphMetadata, export
from training.export.parity import ParityProof, prove

__all__ = [
    "BetaCalibration",
    "Calibration",
    "ExportError",
    "GraphMetadata",
    "IsotonicCalibration",
    "NotExportableError",
    "Of",
    "ParityError",
    "ParityProof",
    "SigmoidCalibration",
    "export",
    "prove",
]
