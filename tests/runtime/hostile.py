"""Well-formed models that harm who loads them: made here, small, each with a right spec beside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cxr_edge.model.catalog import models_dir
from tests.runtime.broken import _onnx, constant, node
from tests.tiny import Model, file_entry, write_tiny


def endless_loop(model: Model) -> None:
    """A loop over constants alone, which a library computes as it loads."""
    onnx = _onnx()
    types = onnx.TensorProto
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Identity", ["going"], ["goes_on"]),
            onnx.helper.make_node("Mul", ["state", "state"], ["next"]),
        ],
        "body",
        [
            onnx.helper.make_tensor_value_info("turn", types.INT64, []),
            onnx.helper.make_tensor_value_info("going", types.BOOL, []),
            onnx.helper.make_tensor_value_info("state", types.FLOAT, []),
        ],
        [
            onnx.helper.make_tensor_value_info("goes_on", types.BOOL, []),
            onnx.helper.make_tensor_value_info("next", types.FLOAT, []),
        ],
    )
    constant("turns", np.array(2**62, np.int64))(model)
    constant("yes", np.array(True))(model)
    constant("one", np.array(1, np.float32))(model)
    made = onnx.helper.make_node("Loop", ["turns", "yes", "one"], ["endless"], body=body)
    _in_use(model, made)


def much_memory(model: Model) -> None:
    """A tensor of 64 GB."""
    constant("shape", np.array([2**34], np.int64))(model)
    made = _onnx().helper.make_node("ConstantOfShape", ["shape"], ["vast"])
    model.graph.node.append(made)
    node("ReduceMax", ["vast"], "endless", keepdims=0)(model)
    _use(model)


def _in_use(model: Model, made: Any) -> None:
    model.graph.node.append(made)
    _use(model)


def _use(model: Model) -> None:
    """Add `endless` to the logit, so that it is not left out as unused."""
    for each in model.graph.node:
        if each.output[0] == "bias":
            each.input[1] = "endless"


GRAPHS: dict[str, Callable[[Model], None]] = {
    "endless loop": endless_loop,
    "much memory": much_memory,
}


def write_hostile_tflite(folder: Path, change: Callable[[bytearray], None]) -> Path:
    """A bundled TFLite model with changed bytes, and its spec with their hash."""
    source = models_dir() / "cnn3_50.tflite"
    content = bytearray(source.read_bytes())
    change(content)
    values = json.loads(source.with_suffix(".json").read_text())
    entry = file_entry(bytes(content), source.name)
    values["files"] = {"tflite": {**values["files"]["tflite"], **entry}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / source.name).write_bytes(content)
    (folder / source.name).with_suffix(".json").write_text(json.dumps(values))
    return folder / source.name


def write_hostile(folder: Path, name: str) -> Path:
    """One of `GRAPHS`, with a right spec beside."""
    return write_tiny(folder, graph=GRAPHS[name])
