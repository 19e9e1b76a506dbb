"""A network of 8x8 pixels, made with the onnx helpers: small, exact and easy to break.

    logit = sum over four cells of weight * mean grey level of the cell, plus a bias

Weights and bias are sums of few powers of two, so that evidence + bias is the logit to the last
bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.model.self_test import RULES, golden_image
from cxr_edge.model.spec import METADATA_KEY, ModelSpec
from cxr_edge.preprocess import PREPROCESSING_VERSION

SIZE = 8
WEIGHTS = np.array([[1.5, -1.0], [2.0, -1.75]]) / 64
BIAS = -0.25
OPSET = 17

Model = Any  # an onnx.ModelProto; the package brings no types


def tiny_logit(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the network must say, in float64."""
    cells = images.astype(np.float64).reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4))
    logit: NDArray[np.float64] = (cells * WEIGHTS).sum(axis=(1, 2)) + BIAS
    return logit


def sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logit to probability."""
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-logit))
    return probability


def _tensor(kind: str, dtype: str, shape: list[int], value_range: list[float] | None) -> Any:
    return {
        "type": kind,
        "dtype": dtype,
        "num_channels": 1,
        "spatial_shape": shape,
        "value_range": value_range,
        "description": kind,
    }


def _proportion(value: float) -> dict[str, float | int]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 100}


def _operating_point(threshold: float) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "chosen_by": "made up",
        "sensitivity": _proportion(0.9),
        "specificity": _proportion(0.8),
        "data": "nothing real",
    }


def _golden_case(rule: str) -> dict[str, Any]:
    logit = tiny_logit(golden_image(rule, SIZE)[np.newaxis])
    return {"rule": rule, "probability": float(sigmoid(logit)[0]), "logit": float(logit[0])}


def tiny_values() -> dict[str, Any]:
    """The spec as `json.loads` gives it, without files."""
    return {
        "schema_version": 2,
        "name": "tiny",
        "version": "1.0.0",
        "created": "2026-11-22T00:00:00Z",
        "task": "Testing",
        "architecture": {"name": "tiny", "parameters": 5, "trainable_parameters": 5},
        "network_data_format": {
            "inputs": {"image": _tensor("image", "uint8", [SIZE, SIZE], [0.0, 255.0])},
            "outputs": {
                "probability": _tensor("probability", "float32", [], [0.0, 1.0]),
                "evidence": _tensor("attribution", "float32", [2, 2], None),
                "bias": _tensor("attribution", "float32", [], None),
            },
        },
        "preprocessing": {
            "version": PREPROCESSING_VERSION,
            "resize_filter": "bilinear_antialiased",
        },
        "receptive_field": {"first_centre": 2.0, "stride": 4.0, "size": 4},
        "operating_points": {
            "screening": _operating_point(0.25),
            "balanced": _operating_point(0.5),
        },
        "validation_scores": {
            "data": "nothing real",
            "counts": {"NORMAL": [60, *[2] * 19], "PNEUMONIA": [*[1] * 19, 81]},
        },
        "golden": {"tolerance": 1e-5, "cases": [_golden_case(rule) for rule in RULES]},
        "training": None,
        "evaluations": [],
        "use": {
            "intended_use": "testing",
            "population": "nobody",
            "age_years": [1.0, 5.0],
            "views": ["anterior-posterior"],
            "exclusions": ["patients"],
            "known_failure_modes": ["all of them"],
        },
        "license": "Apache-2.0",
        "data_source": "made up",
        "files": {},
    }


def _estimate(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.011, "high": value + 0.007, "patients": 527} | {
        "replicates": 1999
    }


def _film_change(name: str, value: float, turned: tuple[int, int, int], warned: int) -> Any:
    films, missed, alarms = turned
    return {
        "change": name,
        "auc": _estimate(value),
        "turned": {
            "screening": {"films": films, "missed": missed, "alarms": alarms},
            "balanced": {"films": 2 * films, "missed": 2 * missed, "alarms": 2 * alarms},
        },
        "mean": films / 1000,
        "largest": films / 100,
        "warned": warned,
    }


def _calibration(data: str, films: int, error: float) -> dict[str, Any]:
    figures = {"mean_probability": 0.712, "share": 0.743, "log_loss": 0.1234, "brier": 0.0345}
    return {"data": data, "films": films, **figures, "calibration_error": error}


def reliability_values() -> dict[str, Any]:
    """What a spec may say about how far its scores can be trusted, as `json.loads` gives it."""
    return {
        "data": "some films",
        "counts": {"NORMAL": 269, "PNEUMONIA": 775, "patients": 527},
        "film_size": [223, 225],
        "changes": [
            _film_change("none", 0.981, (0, 0, 0), 1),
            _film_change("too much light", 0.912, (47, 31, 13), 26),
        ],
        "shortcuts": {
            "metadata": {"figures": ["width", "bytes"], "fitted_on": "these", "auc": None},
            "style": {"figures": ["top"], "fitted_on": "those", "auc": _estimate(0.876)},
        },
        "calibration": [
            _calibration("some films", 1044, 0.0567),
            _calibration("their changed copies (version 1, 6 draws)", 6264, 0.0432),
            _calibration("test_x", 312, 0.0321),
        ],
    }


def tiny_spec() -> ModelSpec:
    """The spec without files."""
    return ModelSpec.from_dict(tiny_values())


def file_entry(content: bytes, name: str = "tiny.onnx") -> dict[str, Any]:
    """What a spec says about one of its files."""
    return {
        "name": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "weights": "float32",
        "opset": OPSET,
        "parity": {
            "reference": "numpy",
            "samples": 5,
            "batch_sizes": [1, 5],
            "max_abs_difference": 0.0,
            "tolerance": 1e-5,
            "decision_flips": 0,
            "max_identity_error": 0.0,
        },
    }


def tiny_graph() -> Model:
    """The network: nodes A to H, each named after its output."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto

    def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return helper.make_node(op, inputs, [output], output, **attributes)

    def floats(name: str, values: Any) -> Any:
        return onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)

    def integers(name: str, values: list[int]) -> Any:
        return onnx.numpy_helper.from_array(np.asarray(values, np.int64), name)

    graph = helper.make_graph(
        [
            node("Cast", ["image"], "grey", to=types.FLOAT),
            node("Reshape", ["grey", "blocks"], "blocked"),
            node("ReduceMean", ["blocked"], "cells", axes=[2, 4], keepdims=0),
            node("Mul", ["cells", "weights"], "evidence"),
            node("ReduceSum", ["evidence", "map_axes"], "shares", keepdims=0),
            node("Reshape", ["shares", "column"], "total"),
            node("Mul", ["total", "zero"], "nothing"),
            node("Add", ["nothing", "offset"], "bias"),
            node("Add", ["total", "bias"], "logit"),
            node("Sigmoid", ["logit"], "probability"),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", types.UINT8, ["N", SIZE, SIZE, 1])],
        [
            helper.make_tensor_value_info("probability", types.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("evidence", types.FLOAT, ["N", 2, 2]),
            helper.make_tensor_value_info("bias", types.FLOAT, ["N", 1]),
        ],
        [
            floats("weights", WEIGHTS),
            floats("offset", BIAS),
            floats("zero", 0),
            integers("blocks", [-1, 2, 4, 2, 4]),
            integers("map_axes", [1, 2]),
            integers("column", [-1, 1]),
        ],
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def _nothing(_: Any) -> None:
    """Change nothing."""


def tiny_content(
    graph: Callable[[Model], None] = _nothing, embedded: dict[str, Any] | None = None
) -> bytes:
    """The bytes of the network with its spec inside, after a change to the network."""
    model = tiny_graph()
    graph(model)
    values = dict(embedded or tiny_values())
    values.pop("files", None)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(values)
    content: bytes = model.SerializeToString()
    return content


def write_tiny(
    folder: Path,
    *,
    graph: Callable[[Model], None] = _nothing,
    spec: Callable[[dict[str, Any]], None] = _nothing,
    embedded: Callable[[dict[str, Any]], None] = _nothing,
    content: Callable[[bytes], bytes] = lambda content: content,
    beside: Callable[[dict[str, Any]], None] = _nothing,
) -> Path:
    """Write `tiny.onnx` and `tiny.json`; without changes they are right.

    Args:
        folder: where.
        graph: change to the network before it is serialised.
        spec: change to what both the file and the JSON say.
        embedded: change to what the file alone says.
        content: change to the serialised bytes; the JSON pins the outcome.
        beside: change to what the JSON alone says, file entry and hash included.

    Returns:
        The path of the model file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = tiny_values()
    spec(values)
    inside: dict[str, Any] = json.loads(json.dumps(values))
    embedded(inside)
    data = content(tiny_content(graph, inside))
    values["files"] = {"onnx": file_entry(data)}
    beside(values)
    path = folder / "tiny.onnx"
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(values), encoding="utf-8")
    return path
