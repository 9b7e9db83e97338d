"""From events to a validated, explained and registered ONNX bundle."""

import os

# onnxruntime reports to its maker unless told not to before it is imported: as in serving/__init__.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
