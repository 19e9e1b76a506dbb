"""The ONNX file: `tf2onnx.convert.from_function`, with the spec inside."""

from __future__ import annotations

import onnx
import tf2onnx

from cxr_edge.spec import METADATA_KEY, ModelSpec
from cxr_export.graph import InferenceGraph

OPSET = 17


def convert(graph: InferenceGraph) -> onnx.ModelProto:
    """Convert to ONNX with standard operators only."""
    model, _ = tf2onnx.convert.from_function(
        graph.__call__, input_signature=[graph.signature()], opset=OPSET
    )
    # tf2onnx declares the ml domain whether or not a node uses it.
    used = {node.domain for node in model.graph.node}
    declared = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(declared)
    model.producer_name, model.producer_version, model.doc_string = "cxr-edge", "", ""
    _name_batch_dimension(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _name_batch_dimension(model: onnx.ModelProto) -> None:
    """`N` instead of generated names, which differ from run to run."""
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"


def with_spec(model: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """The file's bytes, with the spec (without `files`) in its metadata."""
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.embedded_json()})
    content: bytes = model.SerializeToString(deterministic=True)
    return content
