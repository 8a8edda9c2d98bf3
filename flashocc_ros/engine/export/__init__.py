"""Weights to ONNX graphs, in any precision."""
