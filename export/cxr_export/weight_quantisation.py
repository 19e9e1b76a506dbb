"""Weights stored as int8 per output channel, computed with as float32.

A quarter of the size for a large network. The activations stay float32, so nothing needs
calibration; onnxruntime and LiteRT expand the weights once, when they load the file. `snap` moves
a network onto the int8 grid first, so that both formats hold the same numbers and agree with each
other as closely as float32 files do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import numpy_helper

from cxr_export.graph import affine
from cxr_export.tflite import packed
from cxr_training.nets.blocks import HEAD_BATCHNORM_LAYER, HEAD_DENSE_LAYER

LEVELS = 127
MIN_ELEMENTS = 10_000  # smaller tensors have nothing to win and precision to lose


@dataclass(frozen=True)
class Packed:
    """values = levels * scale, with one scale per slice along `axis`."""

    levels: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int

    def broadcast_scale(self) -> NDArray[np.float32]:
        """The scales in a shape that multiplies `levels`."""
        return _along(self.scale, self.axis, self.levels.ndim)

    def unpacked(self) -> NDArray[np.float32]:
        """The float32 values that the levels stand for."""
        return self.levels.astype(np.float32) * self.broadcast_scale()


def pack(values: NDArray[np.float32], axis: int) -> Packed:
    """Symmetric int8 with one scale per output channel.

    Packing what was unpacked gives the same levels again, because the largest level of each
    channel is 127 by construction.
    """
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others)
    scale = np.where(largest > 0, largest / LEVELS, 1.0).astype(np.float32)
    levels = np.rint(values / _along(scale, axis, values.ndim)).astype(np.int8)
    return Packed(levels, scale, axis)


def _along(scale: NDArray[np.float32], axis: int, ndim: int) -> NDArray[np.float32]:
    return scale.reshape([-1 if i == axis else 1 for i in range(ndim)])


def snap(model: keras.Model) -> None:
    """Move every large kernel of a network onto the int8 grid of its folded form, in place."""
    for weight in model.weights:
        values = np.asarray(weight)
        if is_kernel(values):
            scale = _input_scale(model, weight)
            weight.assign(pack(values * scale, _keras_axis(values)).unpacked() / scale)


def _input_scale(model: keras.Model, weight: keras.Variable) -> Any:
    """Factors that folding will multiply each row of a kernel with.

    A factor per output channel keeps a kernel on its grid. Only the batch normalisation in front
    of the first dense layer brings one per input channel.
    """
    layers = {layer.name: layer for layer in model.layers}
    batchnorm = layers.get(HEAD_BATCHNORM_LAYER)
    if batchnorm is None or weight is not layers[HEAD_DENSE_LAYER].kernel:
        return np.float32(1.0)
    scale, _ = affine(batchnorm)
    rows = np.tile(scale, weight.shape[0] // len(scale))[:, np.newaxis]
    return np.where(rows == 0, np.float32(1.0), rows)


def is_kernel(values: NDArray[np.generic]) -> bool:
    """Whether a tensor is one of those that are stored in fewer bits."""
    return values.dtype == np.float32 and values.ndim >= 2 and values.size >= MIN_ELEMENTS


def _keras_axis(values: NDArray[np.generic]) -> int:
    """Output channels are last; of a depthwise kernel [height, width, channels, 1] last but one."""
    return values.ndim - (2 if values.ndim == 4 and values.shape[3] == 1 else 1)


def _onnx_axis(values: NDArray[np.float32]) -> int:
    """Output channels are a convolution's first axis, and a matrix's last."""
    return 0 if values.ndim == 4 else values.ndim - 1


def _tflite_axis(values: NDArray[np.float32]) -> int:
    """The same, but for a depthwise kernel [1, height, width, channels]."""
    return 3 if values.ndim == 4 and values.shape[0] == 1 else _onnx_axis(values)


def pack_onnx(model: onnx.ModelProto) -> None:
    """Replace large initialisers by int8 ones that a Cast and a Mul expand, in place.

    Cast and Mul rather than DequantizeLinear: onnxruntime folds them into constants at load time.
    """
    expanding: list[onnx.NodeProto] = []
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if not is_kernel(values):
            continue
        packed = pack(values, _onnx_axis(values))
        levels, wide, scale = (f"{tensor.name}_{part}" for part in ("levels", "wide", "scale"))
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(numpy_helper.from_array(packed.levels, levels))
        model.graph.initializer.append(numpy_helper.from_array(packed.broadcast_scale(), scale))
        expanding += [
            onnx.helper.make_node("Cast", [levels], [wide], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [wide, scale], [tensor.name]),
        ]
    for node in reversed(expanding):
        model.graph.node.insert(0, node)


def pack_tflite(content: bytes) -> bytes:
    """Replace large float32 constants by int8 ones behind a DEQUANTIZE each."""
    return with_stored(content, _stored, version=5)  # which reads one scale per channel


Store = Callable[[schema.ModelT, schema.TensorT, NDArray[np.float32]], schema.TensorT]


def with_stored(content: bytes, store: Store, version: int) -> bytes:
    """A TFLite file whose large float32 constants are expanded from smaller ones.

    Args:
        content: the file.
        store: makes the smaller twin of a tensor, which takes over its buffer.
        version: of the operator DEQUANTIZE that reads such a twin.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    dequantize = _add_dequantize(model, version)
    expanding = []
    for index, tensor in enumerate(list(graph.tensors)):
        values = _constant(model, tensor)
        if values is None or not is_kernel(values):
            continue
        graph.tensors.append(store(model, tensor, values))
        tensor.buffer = 0  # by convention the empty buffer: now computed, no longer stored
        expand = schema.OperatorT()
        expand.opcodeIndex = dequantize
        expand.inputs, expand.outputs = [len(graph.tensors) - 1], [index]
        expanding.append(expand)
    if not expanding:
        return content
    graph.operators = [*expanding, *graph.operators]
    return packed(model)


def _add_dequantize(model: schema.ModelT, version: int) -> int:
    """Index of the DEQUANTIZE operator."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _constant(model: schema.ModelT, tensor: schema.TensorT) -> NDArray[np.float32] | None:
    """A tensor's stored float32 values, or None where it has none."""
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) == 0:
        return None
    return np.frombuffer(np.asarray(data, np.uint8), np.float32).reshape(tensor.shape)


def _stored(
    model: schema.ModelT, tensor: schema.TensorT, values: NDArray[np.float32]
) -> schema.TensorT:
    """The int8 twin of a float32 tensor; takes over its buffer."""
    packed = pack(values, _tflite_axis(values))
    twin = twin_of(model, tensor, packed.levels)
    twin.name, twin.type = bytes(tensor.name) + b"_levels", schema.TensorType.INT8
    twin.quantization = schema.QuantizationParametersT()
    twin.quantization.scale = packed.scale
    twin.quantization.zeroPoint = np.zeros(len(packed.scale), np.int64)
    twin.quantization.quantizedDimension = packed.axis
    return twin


def twin_of(
    model: schema.ModelT, tensor: schema.TensorT, stored: NDArray[np.generic]
) -> schema.TensorT:
    """A tensor of the same shape, still without name and type; takes over the other's buffer."""
    twin = schema.TensorT()
    twin.shape, twin.hasRank, twin.buffer = tensor.shape, True, tensor.buffer
    model.buffers[tensor.buffer].data = stored.reshape(-1).view(np.uint8)
    return twin
