"""Networks in fewer bits: what is in integers or halves, what stays float32, the same bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, numpy_helper

from cxr_edge.runtime.onnx_guard import check_self_contained
from cxr_export import tflite
from cxr_export.onnx import OPSET
from cxr_export.quantise import to_float16, to_int8
from tests.export.films import films
from tests.export.networks import Converted, reads_keras_variables

pytestmark = reads_keras_variables

NAME = "cnn3_50"
CONVOLUTIONS = 3
MAKE = {"int8": lambda model: to_int8(model, films(40, 50)), "float16": to_float16}


@pytest.fixture(scope="module", params=MAKE)
def made(
    request: pytest.FixtureRequest, converted: Callable[[str], Converted]
) -> tuple[Converted, onnx.ModelProto]:
    """One network, and the same in fewer bits."""
    network = converted(NAME)
    return network, MAKE[request.param](network.onnx)


def test_standard_operators_only(made: tuple[Converted, onnx.ModelProto]) -> None:
    model = made[1]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.metadata_props
    onnx.checker.check_model(model, full_check=True)
    check_self_contained(model.SerializeToString())


def test_evidence_and_bias_are_the_logit(made: tuple[Converted, onnx.ModelProto]) -> None:
    session = onnxruntime.InferenceSession(made[1].SerializeToString())
    names = ["probability", "evidence", "bias"]
    probability, evidence, bias = session.run(names, {"image": films(9, 50, 4)})
    logit = evidence.sum(axis=(1, 2), dtype=np.float64) + bias[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), probability[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", MAKE)
def test_the_same_weights_give_the_same_bytes(
    kind: str, converted: Callable[[str], Converted]
) -> None:
    model = converted(NAME).onnx
    before = model.SerializeToString(deterministic=True)
    first, second = (MAKE[kind](model).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert model.SerializeToString(deterministic=True) == before


def test_int8_scales_are_per_channel_and_safe_without_vnni(
    converted: Callable[[str], Converted],
) -> None:
    """Two products of uint8 and seven bits fit into 16; two of eight bits do not."""
    graph = MAKE["int8"](converted(NAME).onnx).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producers = {node.output[0]: node for node in graph.node}
    kernels = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    assert len(kernels) == CONVOLUTIONS
    assert arrays[kernels[0]].dtype == np.float32
    for name in kernels[1:]:
        levels, scale = (arrays[part] for part in producers[name].input[:2])
        assert (levels.dtype, scale.shape) == (np.int8, levels.shape[:1])
        assert np.abs(levels.astype(int)).max() == 64
        assert 2 * 255 * 64 < 2**15
    (product,) = (node for node in graph.node if node.op_type == "MatMul")
    assert arrays[product.input[1]].dtype == np.float32


def test_float16_is_in_the_convolutions_alone(converted: Callable[[str], Converted]) -> None:
    graph = MAKE["float16"](converted(NAME).onnx).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kernels = [kinds[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    assert kernels == [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.FLOAT16]
    (product,) = (node for node in graph.node if node.op_type == "MatMul")
    assert kinds[product.input[1]] == TensorProto.FLOAT
    casts = [node for node in graph.node if node.op_type == "Cast"]
    halved = {node.output[0] for node in casts if node.attribute[0].i == TensorProto.FLOAT16}
    assert halved
    assert not [node.name for node in casts if node.input[0] in halved]  # straight back


def test_tflite_has_int8_convolutions_per_channel_but_the_first(
    converted: Callable[[str], Converted],
) -> None:
    graph = converted(NAME).graph
    content = tflite.convert_int8(graph, films(40, 50))
    assert content == tflite.convert_int8(graph, films(40, 50))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    codes = [code.builtinCode for code in model.operatorCodes]
    assert schema.BuiltinOperator.CUSTOM not in codes
    tensors = model.subgraphs[0].tensors
    kernels = [
        tensors[operator.inputs[1]]
        for operator in model.subgraphs[0].operators
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.CONV_2D
    ]
    assert [kernel.type for kernel in kernels] == [
        schema.TensorType.FLOAT32,
        schema.TensorType.INT8,
        schema.TensorType.INT8,
    ]
    for kernel in kernels[1:]:
        assert len(kernel.quantization.scale) == kernel.shape[0]
