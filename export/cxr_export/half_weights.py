"""Weights stored as float16, computed with as float32.

Half the size. For a network whose kernels int8 is too coarse for: where no activation follows a
convolution, nothing cuts its rounding off. Both formats round the kernels with their batch
normalisation folded in, so no grid has to be met before; what the values become is widened again
once, when a file is loaded.
"""

from __future__ import annotations

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import numpy_helper

from cxr_export.weight_quantisation import is_kernel, twin_of, with_stored

_DEQUANTIZE = 3  # the version that reads float16


def store_onnx(model: onnx.ModelProto) -> None:
    """Replace large initialisers by float16 ones that a Cast expands, in place."""
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if not is_kernel(values):
            continue
        half = f"{tensor.name}_half"
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
        cast = onnx.helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(0, cast)


def store_tflite(content: bytes) -> bytes:
    """Replace large float32 constants by float16 ones behind a DEQUANTIZE each."""
    return with_stored(content, _stored, _DEQUANTIZE)


def _stored(
    model: schema.ModelT, tensor: schema.TensorT, values: NDArray[np.float32]
) -> schema.TensorT:
    """The float16 twin of a float32 tensor; takes over its buffer."""
    twin = twin_of(model, tensor, values.astype(np.float16))
    twin.name, twin.type = bytes(tensor.name) + b"_half", schema.TensorType.FLOAT16
    return twin
