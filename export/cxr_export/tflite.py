"""The TFLite file: built-in operators only, no Flex."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.spec import METADATA_KEY, ModelSpec
from cxr_export.graph import InferenceGraph
from cxr_export.scope_graph import ScopeGraph

SCHEMA = 3
_IN_INT8 = {"CONV_2D", "MAX_POOL_2D"}
_CALIBRATION_BATCH = 32


def convert(graph: InferenceGraph | ScopeGraph) -> bytes:
    """Convert to TFLite; the signature keeps the tensor names of the model contract."""
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        tf.saved_model.save(module, folder, signatures=_frozen(graph))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content: bytes = converter.convert()
    return content


def convert_int8(graph: InferenceGraph, pixels: NDArray[np.uint8]) -> bytes:
    """Convert with all convolutions but the first, and the pooling, in int8.

    `QuantizationDebugger` is the public way to the same pass; it converts three times.

    Args:
        graph: the network.
        pixels: uint8 [N, S, S, 1], x-rays that the ranges of the activations are taken from.
    """
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=_frozen(graph))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _batches(pixels)
        converter._experimental_calibrate_only = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # calibration runs on an interpreter on its way out
            calibrated = converter.convert()
    operators, first = _operators(calibrated)
    content: bytes = mlir_quantize(
        calibrated, denylisted_ops=sorted(operators - _IN_INT8), denylisted_nodes=[first]
    )
    return content


def _batches(pixels: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.uint8]]]:
    for start in range(0, len(pixels), _CALIBRATION_BATCH):
        yield {"image": pixels[start : start + _CALIBRATION_BATCH]}


def _operators(content: bytes) -> tuple[set[str], str]:
    """Names of the operators in use, and of what the first convolution writes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    graph = model.subgraphs[0]
    kinds = [
        names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in (model.operatorCodes[operator.opcodeIndex] for operator in graph.operators)
    ]
    convolution = graph.operators[kinds.index("CONV_2D")]
    return set(kinds), graph.tensors[convolution.outputs[0]].name.decode()


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers is untyped here
    """The Python of the schema forgets that it asks for buffers on 16 bytes."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:
        return super().StartVector(size, count, 16 if size == 1 else alignment)


def packed(model: schema.ModelT) -> bytes:
    """The file of an unpacked model."""
    builder = _Aligned(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_spec(content: bytes, spec: ModelSpec | ScopeSpec) -> bytes:
    """The file with the spec (without `files`) in a metadata buffer, in place of one there was."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    entries = list(model.metadata or ())
    entry = next((each for each in entries if each.name == METADATA_KEY.encode()), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = METADATA_KEY, len(model.buffers)
        model.metadata = [*entries, entry]
        model.buffers = [*model.buffers, schema.BufferT()]
    model.buffers[entry.buffer].data = np.frombuffer(spec.embedded_json().encode(), np.uint8)
    return packed(model)


def _frozen(graph: InferenceGraph | ScopeGraph) -> Any:
    """The graph with every variable turned into a constant.

    The converter's own freezing loses variables that Keras layers hold (TensorFlow 2.21, Keras
    3.15): it writes a small file that gives NaN.
    """
    traced = graph.__call__.get_concrete_function(graph.signature())
    constant = convert_variables_to_constants_v2(traced)
    names = sorted(traced.structured_outputs)

    @tf.function(input_signature=[graph.signature()], autograph=False)  # type: ignore[untyped-decorator]
    def serve(image: Any) -> dict[str, Any]:
        return dict(zip(names, constant(image), strict=True))

    return serve
