"""Ways in which a model can be wrong: changes to the network, and one table of what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cxr_edge.preprocess import PREPROCESSING_VERSION
from tests.factories import drop, set_value
from tests.tiny import Model

GraphChange = Callable[[Model], None]


def _onnx() -> Any:
    return pytest.importorskip("onnx")


def rename(old: str, new: str) -> GraphChange:
    """Another name for a tensor, everywhere."""

    def change(model: Model) -> None:
        graph = model.graph
        for tensor in (*graph.input, *graph.output, *graph.initializer):
            tensor.name = new if tensor.name == old else tensor.name
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]

    return change


def declare(
    name: str, dtype: str | None = None, shape: list[int | str] | None = None
) -> GraphChange:
    """Another type or shape in the signature."""

    def change(model: Model) -> None:
        onnx = _onnx()
        for value in (*model.graph.input, *model.graph.output):
            if value.name == name:
                tensor = value.type.tensor_type
                kind = getattr(onnx.TensorProto, dtype) if dtype else tensor.elem_type
                dims = shape or [d.dim_param or d.dim_value for d in tensor.shape.dim]
                value.CopyFrom(onnx.helper.make_tensor_value_info(name, kind, dims))

    return change


def value(name: str, array: Any) -> GraphChange:
    """Other numbers in an initializer."""

    def change(model: Model) -> None:
        onnx = _onnx()
        for tensor in model.graph.initializer:
            if tensor.name == name:
                dtype = onnx.numpy_helper.to_array(tensor).dtype
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(array, dtype), name))

    return change


def constant(name: str, array: Any) -> GraphChange:
    """One more initializer."""

    def change(model: Model) -> None:
        tensor = _onnx().numpy_helper.from_array(np.asarray(array), name)
        model.graph.initializer.append(tensor)

    return change


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> GraphChange:
    """One more node at the end."""
    return lambda model: model.graph.node.append(
        _onnx().helper.make_node(op, inputs, [output], **attributes)
    )


def together(*changes: GraphChange) -> GraphChange:
    """Several changes, in order."""

    def change(model: Model) -> None:
        for one in changes:
            one(model)

    return change


def extra_output(model: Model) -> None:
    """The logit as a fourth output."""
    onnx = _onnx()
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("logit", onnx.TensorProto.FLOAT, ["N", 1])
    )


def extra_input(model: Model) -> None:
    """An input that the runtime knows nothing of."""
    onnx = _onnx()
    model.graph.input.append(onnx.helper.make_tensor_value_info("age", onnx.TensorProto.FLOAT, [1]))
    node("Identity", ["age"], "ignored")(model)


def less_output(model: Model) -> None:
    """No bias."""
    del model.graph.output[2]


def replaced_output(name: str, op: str, *operands: str) -> GraphChange:
    """An output that goes through one more operation."""
    return together(rename(name, f"{name}_before"), _reexport(name, op, operands))


def _reexport(name: str, op: str, operands: tuple[str, ...]) -> GraphChange:
    def change(model: Model) -> None:
        node(op, [f"{name}_before", *operands], name)(model)
        for output in model.graph.output:
            output.name = name if output.name == f"{name}_before" else output.name

    return change


def external_data(model: Model) -> None:
    """Weights in another file."""
    onnx = _onnx()
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "../../etc/hostname")
    tensor.ClearField("raw_data")


def foreign_opset(model: Model) -> None:
    """A domain that is imported and not used."""
    model.opset_import.append(_onnx().helper.make_opsetid("com.evil", 1))


def foreign_node(model: Model) -> None:
    """An operator of another domain."""
    foreign_opset(model)
    node("Steal", ["grey"], "stolen", domain="com.evil")(model)


def in_a_branch(*nodes: Any, initializers: Any = ()) -> GraphChange:
    """An `If` whose two bodies hold these nodes."""

    def change(model: Model) -> None:
        onnx = _onnx()
        output = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
        body = onnx.helper.make_graph(list(nodes), "body", [], [output], list(initializers))
        node("Greater", ["zero", "offset"], "condition")(model)
        node("If", ["condition"], "chosen", then_branch=body, else_branch=body)(model)

    return change


# What is wrong -> (arguments of `write_tiny`, what the refusal says).
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    # the file
    "another hash": ({"beside": set_value("files.onnx.sha256", "0" * 64)}, "sha256 differs"),
    "empty": ({"content": lambda content: b""}, "not a pinned file"),
    "cut": ({"content": lambda content: content[:-100]}, "refuses|not an ONNX"),
    # what lies outside of it
    "external data": ({"graph": external_data}, "external data"),
    "foreign operator": ({"graph": foreign_node}, r"domain 'com\.evil'"),
    "unknown operator": ({"graph": node("Steal", ["grey"], "stolen")}, "onnxruntime refuses"),
    # names, types, shapes
    "output of another name": ({"graph": rename("bias", "rest")}, "tensor bias is None"),
    "output of another type": (
        {
            "graph": together(
                constant("wide", np.zeros(1)),
                replaced_output("probability", "CastLike", "wide"),
                declare("probability", "DOUBLE"),
            )
        },
        r"tensor probability is .'tensor\(double\)",
    ),
    "input of another size": (
        {"graph": declare("image", shape=["N", 9, 9, 1])},
        "tensor image is .*9, 9",
    ),
    "input of a fixed batch": ({"graph": declare("image", shape=[1, 8, 8, 1])}, "tensor image"),
    "evidence of another shape": (
        {"spec": set_value("network_data_format.outputs.evidence.spatial_shape", [1, 4])},
        "tensor evidence",
    ),
    "spec of another type": (
        {"spec": set_value("network_data_format.inputs.image.dtype", "float32")},
        "tensor image of float32, not uint8",
    ),
    "missing output": ({"graph": less_output}, "tensor bias is None"),
    "more outputs": ({"graph": extra_output}, "unexpected tensors {'logit'}"),
    "more inputs": ({"graph": extra_input}, "unexpected tensors {'age'}"),
    # what they say about each other
    "embedded spec of another version": (
        {"embedded": set_value("version", "2.0.0")},
        "the spec and what the ONNX file says differ",
    ),
    "threshold changed beside the file": (
        {"beside": set_value("operating_points.screening.threshold", 0.9)},
        "the spec and what the ONNX file says differ",
    ),
    "no embedded spec": (
        {"content": lambda content: content.replace(b"cxr_edge_spec", b"somebody_else")},
        "the spec and what the ONNX file says differ",
    ),
    "another preprocessing": (
        {"spec": set_value("preprocessing.version", 99)},
        f"needs preprocessing version 99 .*, this is {PREPROCESSING_VERSION} ",
    ),
    # the self-test
    "other weights": ({"graph": value("weights", np.ones((2, 2)))}, "fails its self-test"),
    "another golden figure": (
        {"spec": set_value("golden.cases.2.probability", 0.5)},
        "fails its self-test",
    ),
    "unknown golden rule": ({"spec": set_value("golden.cases.0.rule", "face")}, "unknown rule"),
    "breaks when it runs": (
        {"graph": value("blocks", [-1, 2, 4, 2, 7])},
        "fails its self-test: .*ONNXRuntimeError",
    ),
    "maps of another size than declared": (
        {"graph": value("map_axes", [1, 1])},
        "onnxruntime refuses|fails its self-test",
    ),
    "probability is NaN": ({"graph": value("offset", np.nan)}, "fails its self-test"),
    "evidence alone is NaN": (
        {"graph": replaced_output("evidence", "Log")},
        "fails its self-test",
    ),
    "evidence alone is off": (
        {"graph": replaced_output("evidence", "Add", "offset")},
        "fails its self-test",
    ),
    "bias alone is off": ({"graph": replaced_output("bias", "Neg")}, "fails its self-test"),
    # the spec
    "spec with a hole": ({"beside": drop("use")}, r"tiny\.json: spec cannot be used"),
}
