"""From a fitted estimator to one ONNX graph that gives the probability and its contributions."""

from training.export.calibration import Calibration
from training.export.errors import ExportError, NotExportableError, ParityError
from training.export.graph import GraphMetadata, export
from training.export.parity import ParityProof, prove

__all__ = [
    "Calibration",
    "ExportError",
    "GraphMetadata",
    "NotExportableError",
    "ParityError",
    "ParityProof",
    "export",
    "prove",
]
