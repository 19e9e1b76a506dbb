"""Turns trained networks into ONNX and TFLite files that the runtime can trust."""
