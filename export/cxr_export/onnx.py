"""The ONNX file: `tf2onnx.convert.from_function`, with the spec inside."""

from __future__ import annotations

import onnx
import tf2onnx

from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.spec import METADATA_KEY, ModelSpec
from cxr_export.graph import InferenceGraph
from cxr_export.scope_graph import ScopeGraph

OPSET = 17


def convert(graph: InferenceGraph | ScopeGraph) -> onnx.ModelProto:
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
    make_canonical(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def _name_batch_dimension(model: onnx.ModelProto) -> None:
    """`N` instead of generated names, which differ from run to run."""
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"


def make_canonical(graph: onnx.GraphProto) -> None:
    """Order and names that follow from the network alone, in place.

    tf2onnx orders by hash and numbers its names over the whole process; the same weights have to
    give the same bytes. What no output needs is dropped.
    """
    graph.doc_string = ""
    nodes = _in_order_of_need(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    names = {tensor.name: tensor.name for tensor in (*graph.input, *graph.output)}
    for index, node in enumerate(nodes):
        node.name = f"{node.op_type}_{index}"
        for kind, tensors in (("in", node.input), ("out", node.output)):
            for position, name in enumerate(tensors):
                names.setdefault(name, f"{node.name}_{kind}{position}" if name else "")
            tensors[:] = [names[name] for name in tensors]
    used = [weights[name] for name in names if name in weights]
    for tensor in used:
        tensor.name = names[tensor.name]
    for field, content in (("node", nodes), ("initializer", used), ("value_info", [])):
        graph.ClearField(field)
        getattr(graph, field).extend(content)


def _in_order_of_need(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Each node behind those whose outputs it reads, outputs of the graph one after the other."""
    producers = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, onnx.NodeProto] = {}

    def need(name: str) -> None:
        node = producers.get(name)
        if node is None or node.output[0] in ordered:
            return
        for source in node.input:
            need(source)
        ordered[node.output[0]] = node

    for output in graph.output:
        need(output.name)
    return list(ordered.values())


def with_spec(model: onnx.ModelProto, spec: ModelSpec | ScopeSpec) -> bytes:
    """The file's bytes, with the spec (without `files`) in its metadata."""
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.embedded_json()})
    content: bytes = model.SerializeToString(deterministic=True)
    return content
