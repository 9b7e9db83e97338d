"""From a fitted estimator to one ONNX graph that gives the probability and its contributions."""
