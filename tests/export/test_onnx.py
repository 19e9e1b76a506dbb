"""The ONNX file before it has a spec, and with it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from cxr_edge.model.spec import METADATA_KEY
from cxr_edge.runtime.onnx_guard import check_self_contained
from cxr_export.graph import InferenceGraph
from cxr_export.onnx import OPSET, convert, with_spec
from tests.export.films import films
from tests.export.networks import (
    CELLS,
    EACH,
    SMALL_NAMES,
    Converted,
    probability,
    reads_keras_variables,
)
from tests.tiny import tiny_spec

pytestmark = reads_keras_variables

LARGE = 1000  # elements: below this a repeated constant costs nothing


@pytest.fixture(params=EACH)
def conversion(request: pytest.FixtureRequest, converted: Callable[[str], Converted]) -> Converted:
    """All networks."""
    return converted(request.param)


def shape(tensor: onnx.ValueInfoProto) -> tuple[int, list[int | str]]:
    """Element type, and dimensions by number or name."""
    kind = tensor.type.tensor_type
    return kind.elem_type, [d.dim_param or d.dim_value for d in kind.shape.dim]


def content(model: onnx.ModelProto) -> bytes:
    """The same bytes for the same message."""
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def test_inputs_and_outputs(conversion: Converted) -> None:
    graph, size = conversion.onnx.graph, conversion.graph.size
    assert {t.name: shape(t) for t in graph.input} == {
        "image": (TensorProto.UINT8, ["N", size, size, 1])
    }
    assert {t.name: shape(t) for t in graph.output} == {
        "probability": (TensorProto.FLOAT, ["N", 1]),
        "evidence": (TensorProto.FLOAT, ["N", *CELLS[conversion.model.name]]),
        "bias": (TensorProto.FLOAT, ["N", 1]),
    }


def test_standard_operators_only(conversion: Converted) -> None:
    model = conversion.onnx
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    onnx.checker.check_model(model, full_check=True)
    check_self_contained(content(model))


def test_everything_inside_and_nothing_twice(conversion: Converted) -> None:
    weights = conversion.onnx.graph.initializer
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in weights)
    assert not any(tensor.external_data for tensor in weights)
    arrays = [numpy_helper.to_array(tensor) for tensor in weights]
    # A transposed copy has the same values in another order.
    large = Counter(
        hashlib.sha256(np.sort(values, axis=None).tobytes()).hexdigest()
        for values in arrays
        if values.size > LARGE
    )
    assert large
    assert set(large.values()) == {1}
    assert len(content(conversion.onnx)) == pytest.approx(
        4 * conversion.model.count_params(), rel=0.02
    )


def test_names_are_unique_and_used(conversion: Converted) -> None:
    graph = conversion.onnx.graph
    made = [t.name for t in (*graph.input, *graph.initializer)]
    made += [name for node in graph.node for name in node.output]
    used = {name for node in graph.node for name in node.input} | {t.name for t in graph.output}
    assert len(made) == len(set(made))
    assert len({node.name for node in graph.node}) == len(graph.node)
    assert set(made) == used - {""}


def test_it_computes_what_keras_computes(conversion: Converted) -> None:
    images = films(5, conversion.graph.size, 6)
    session = onnxruntime.InferenceSession(content(conversion.onnx))
    (answers,) = session.run(["probability"], {"image": images})
    np.testing.assert_allclose(
        answers[:, 0], probability(conversion.model, images), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("name", SMALL_NAMES)
def test_the_same_weights_give_the_same_bytes(
    name: str, converted: Callable[[str], Converted]
) -> None:
    """Converted again later in the same process; test_command does it in others."""
    network = converted(name)
    again = convert(InferenceGraph(network.model))
    assert content(again) == content(network.onnx)


def test_other_weights_give_other_bytes(converted: Callable[[str], Converted]) -> None:
    network = converted("cnn3_50")
    graph = InferenceGraph(network.model)
    graph.head.bias[0] += np.float32(1e-3)
    assert content(convert(graph)) != content(network.onnx)


def test_with_spec_embeds_exactly_the_spec_without_files(
    converted: Callable[[str], Converted],
) -> None:
    spec = tiny_spec()
    model = onnx.ModelProto()
    model.CopyFrom(converted("cnn3_50").onnx)
    model.metadata_props.add(key="left", value="over")
    written = with_spec(model, spec)
    loaded = onnx.load_from_string(written)
    assert {p.key: p.value for p in loaded.metadata_props} == {METADATA_KEY: spec.embedded_json()}
    assert set(spec.to_dict()) - set(json.loads(spec.embedded_json())) == {"files"}
    session = onnxruntime.InferenceSession(written)
    assert session.get_modelmeta().custom_metadata_map == {METADATA_KEY: spec.embedded_json()}
    assert content(loaded.graph) == content(converted("cnn3_50").onnx.graph)
    assert with_spec(model, spec) == written
