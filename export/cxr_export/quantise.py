"""An ONNX network with its convolutions in integers or in float16; the head stays in float32.

The head turns features into evidence and bias, whose sum has to be the logit to 1e-5, and takes a
twentieth of the time. The first convolution stays in float32 as well: it reads the film itself,
where eight bits cost most (measured: half the error), and has one channel to multiply.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.transformers.float16 import convert_float_to_float16

from cxr_export.onnx import make_canonical

_TRUNK = ("Conv", "Relu", "MaxPool")
_CALIBRATION_BATCH = 32


class _Films(quantization.CalibrationDataReader):  # type: ignore[misc]  # untyped
    """X-rays in batches, as onnxruntime's calibration asks for them."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """uint8 [N, S, S, 1]."""
        starts = range(0, len(pixels), _CALIBRATION_BATCH)
        self._batches = iter([pixels[i : i + _CALIBRATION_BATCH] for i in starts])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, or None."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def to_int8(model: onnx.ModelProto, pixels: NDArray[np.uint8]) -> onnx.ModelProto:
    """QDQ with uint8 activations and int8 weights per output channel.

    Weights take seven bits (`reduce_range`): on x86 without VNNI two products of eight bits each
    overflow the 16 that they are added in, and the same file would score otherwise there.

    Args:
        model: a float32 network of `cxr_export.onnx.convert`.
        pixels: uint8 [N, S, S, 1], x-rays that the ranges of the activations are taken from.
    """
    first = next(node.name for node in model.graph.node if node.op_type == "Conv")
    with tempfile.TemporaryDirectory() as folder, _silent_root_logger():
        before, after = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, before)
        quantization.quantize_static(
            before,
            after,
            _Films(pixels),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(_TRUNK),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=[first],
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return _finished(onnx.load(after), model)


@contextlib.contextmanager
def _silent_root_logger() -> Iterator[None]:
    """The quantiser advises preprocessing; tf2onnx and the fold have done it."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """All convolutions but the first, and what lies between them, in float16, for GPUs.

    Args:
        model: a float32 network of `cxr_export.onnx.convert`.
    """
    nodes = list(model.graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    head = next(i for i, node in enumerate(nodes) if node.op_type == "MatMul")
    outside = [*nodes[: convolutions[1]], *nodes[head:]]
    half = onnx.ModelProto()
    half.CopyFrom(model)
    half = convert_float_to_float16(
        half, keep_io_types=True, op_block_list=[], node_block_list=[node.name for node in outside]
    )
    _drop_round_trips(half.graph)
    return _finished(half, model)


def _drop_round_trips(graph: onnx.GraphProto) -> None:
    """Drop casts from float32 to float16 and straight back, in place, so that digits are kept.

    The converter sends every output that way; evidence and bias would miss the logit by 4e-4.
    """
    float16, float32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    half = {node.output[0]: node.input[0] for node in graph.node if _is_cast(node, float16)}
    whole = {
        node.output[0]: half[node.input[0]]
        for node in graph.node
        if _is_cast(node, float32) and node.input[0] in half
    }

    def origin(name: str) -> str:
        return origin(whole[name]) if name in whole else name

    for node in graph.node:
        if node.output[0] in whole:
            node.input[0] = origin(node.output[0])
            node.op_type = "Identity"  # stays only where it names an output of the graph
            del node.attribute[:]
        else:
            node.input[:] = [origin(name) for name in node.input]


def _is_cast(node: onnx.NodeProto, to: int) -> bool:
    return bool(node.op_type == "Cast" and node.attribute[0].i == to)


def _finished(made: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """Without the tools' marks, and named and ordered by the network alone."""
    del made.metadata_props[:]
    del made.opset_import[:]
    made.opset_import.extend(source.opset_import)
    made.producer_name, made.producer_version = source.producer_name, ""
    make_canonical(made.graph)
    onnx.checker.check_model(made, full_check=True)
    return made
