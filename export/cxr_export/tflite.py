"""The TFLite file: built-in operators only, no Flex."""

from __future__ import annotations

import tempfile
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cxr_export.graph import InferenceGraph

SCHEMA = 3


def convert(graph: InferenceGraph) -> bytes:
    """Convert to TFLite; the signature keeps the tensor names of the model contract."""
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        tf.saved_model.save(module, folder, signatures=_frozen(graph))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content: bytes = converter.convert()
    return content


def _frozen(graph: InferenceGraph) -> Any:
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
