"""Networks in the precision of the files that they become, and runners of such files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx as onnx_library
from numpy.typing import NDArray

from cxr_edge.runtime.device import Device
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.runtime.protocol import Runner
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_export import half_weights, onnx, quantise, tflite, weight_quantisation
from cxr_export.graph import InferenceGraph
from cxr_export.spec_draft import Score

_BATCH_SIZE = 32


@dataclass(frozen=True)
class Networks:
    """The networks that become files; float16 is for GPUs, and TFLite runs on none here."""

    onnx: onnx_library.ModelProto
    tflite: bytes | None


def convert(graph: InferenceGraph, precision: str, pixels: NDArray[np.uint8]) -> Networks:
    """Convert to both formats, still without spec.

    Args:
        graph: the network, already on its int8 grid for `int8-weights`.
        precision: a value of `cxr_edge.model.files.PRECISIONS`.
        pixels: uint8 [N, S, S, 1], x-rays for the ranges of int8 activations.
    """
    model = onnx.convert(graph)
    if precision == "float16":
        return Networks(quantise.to_float16(model), None)
    if precision == "int8":
        return Networks(quantise.to_int8(model, pixels), tflite.convert_int8(graph, pixels))
    flat = tflite.convert(graph)
    if precision == "int8-weights":
        weight_quantisation.pack_onnx(model)
        flat = weight_quantisation.pack_tflite(flat)
    if precision == "float16-weights":
        half_weights.store_onnx(model)
        flat = half_weights.store_tflite(flat)
    return Networks(model, flat)


def float32_runner(graph: InferenceGraph, kind: str) -> Runner:
    """The same network in float32, to measure beside."""
    if kind == "onnx":
        return runner_of(onnx.convert(graph).SerializeToString(), kind)
    return runner_of(tflite.convert(graph), kind)


def runner_of(content: bytes, kind: str) -> Runner:
    """Runs bytes that were made here, on the CPU; no spec is asked."""
    device = Device("cpu")
    return OnnxRunner(content, device) if kind == "onnx" else TfliteRunner(content, device)


def score_with(runner: Runner) -> Score:
    """A file's probabilities, float64 [N]."""
    return lambda pixels: _in_batches(lambda batch: runner.predict(batch).probability, pixels)


def logits_with(runner: Runner) -> Score:
    """A file's logits, float64 [N]."""
    return lambda pixels: _in_batches(lambda batch: runner.predict(batch).logit(), pixels)


def _in_batches(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating]], pixels: NDArray[np.uint8]
) -> NDArray[np.float64]:
    starts = range(0, len(pixels), _BATCH_SIZE)
    batches = [predict(pixels[start : start + _BATCH_SIZE]) for start in starts]
    return np.concatenate(batches).astype(np.float64)
