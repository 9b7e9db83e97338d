"""From events to a validated, explained and registered ONNX bundle."""
