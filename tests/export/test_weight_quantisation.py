"""Weights as int8 per output channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from cxr_edge.runtime import Device
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_edge.types import Predictions
from cxr_export.graph import InferenceGraph
from cxr_export.source import load_source
from cxr_export.weight_quantisation import LEVELS, MIN_ELEMENTS, pack, pack_onnx, pack_tflite, snap
from tests.export.films import films
from tests.export.networks import (
    EACH,
    LARGE,
    RESNET,
    Converted,
    logits,
    probability,
    reads_keras_variables,
    saved_normalization,
)

pytestmark = reads_keras_variables

SHAPES = [((5, 5, 3, 4), 3), ((5, 5, 3, 4), 0), ((6, 8), 1), ((6, 8), 0), ((2, 6, 8), 2)]


def values(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Values whose channels differ in size by orders of magnitude."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, shape) * 10 ** rng.uniform(-3, 3, shape[-1])).astype(np.float32)


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_rounding_stays_within_half_a_step_of_its_channel(
    shape: tuple[int, ...], axis: int
) -> None:
    original = values(shape)
    packed = pack(original, axis)
    assert packed.scale.shape == (shape[axis],)
    error = np.abs(packed.unpacked() - original)
    assert (error <= packed.broadcast_scale() * 0.5 * (1 + 1e-5)).all()
    others = tuple(i for i in range(len(shape)) if i != axis)
    assert (np.abs(packed.levels).max(axis=others) == LEVELS).all()


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_what_was_packed_packs_to_the_same_levels(shape: tuple[int, ...], axis: int) -> None:
    packed = pack(values(shape, 1), axis)
    again = pack(packed.unpacked(), axis)
    np.testing.assert_array_equal(again.levels, packed.levels)
    np.testing.assert_allclose(again.unpacked(), packed.unpacked(), rtol=3e-7)


@given(
    st_numpy.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6),
    )
)
def test_packing_holds_for_any_matrix(original: NDArray[np.float32]) -> None:
    packed = pack(original, 1)
    assert packed.levels.dtype == np.int8
    assert np.abs(packed.levels.astype(int)).max() <= LEVELS
    step = packed.broadcast_scale()
    assert (np.abs(packed.unpacked() - original) <= step * 0.5 * (1 + 1e-4)).all()
    np.testing.assert_array_equal(pack(packed.unpacked(), 1).levels, packed.levels)


def test_a_channel_of_zeros_stays_zero() -> None:
    original = values((4, 3))
    original[:, 1] = 0
    packed = pack(original, 1)
    assert (packed.unpacked()[:, 1] == 0).all()
    assert np.isfinite(packed.unpacked()).all()
    assert (packed.scale > 0).all()


@pytest.fixture(params=EACH)
def snapped(
    request: pytest.FixtureRequest,
    saved: Callable[[str], Path],
    converted: Callable[[str], Converted],
) -> keras.Model:
    """A saved network moved onto its grid."""
    if request.param in LARGE:
        return converted(request.param).model
    model = load_source(saved(request.param)).model
    snap(model)
    return model


def test_snap_moves_large_kernels_only(
    snapped: keras.Model, network: Callable[[str, str], keras.Model]
) -> None:
    source = network(snapped.name, saved_normalization(snapped.name))
    moved = 0
    for original, weight in zip(source.weights, snapped.weights, strict=True):
        old = np.asarray(original)
        if old.ndim >= 2 and old.size >= MIN_ELEMENTS:
            assert not np.array_equal(old, weight), weight.path
            assert np.abs(old - np.asarray(weight)).max() <= np.abs(old).max() / 50, weight.path
            moved += 1
        else:
            np.testing.assert_array_equal(old, weight, err_msg=weight.path)
    assert moved


@dataclass(frozen=True)
class Packed:
    """A network on its int8 grid, and both files packed."""

    network: Converted
    onnx: bytes
    tflite: bytes

    def predict(self, images: NDArray[np.uint8]) -> tuple[Predictions, Predictions]:
        """What ONNX and TFLite say."""
        runners = OnnxRunner(self.onnx, Device("cpu")), TfliteRunner(self.tflite, Device("cpu"))
        first, second = (runner.predict(images) for runner in runners)
        return first, second


@pytest.fixture(scope="module", params=LARGE)
def packed(request: pytest.FixtureRequest, converted: Callable[[str], Converted]) -> Packed:
    """The large ones: they take longer to convert than everything else here together."""
    network = converted(request.param)
    model = onnx.ModelProto()
    model.CopyFrom(network.onnx)
    pack_onnx(model)
    return Packed(network, model.SerializeToString(), pack_tflite(network.tflite))


@pytest.mark.slow
def test_packed_files_are_a_quarter_of_the_size(packed: Packed) -> None:
    floats = 4 * packed.network.model.count_params()
    # The other has more kernels that are too small to pack.
    tolerance = 0.03 if packed.network.model.name == RESNET else 0.15
    assert len(packed.onnx) == pytest.approx(floats / 4, rel=tolerance)
    assert len(packed.tflite) == pytest.approx(floats / 4, rel=tolerance)


@pytest.mark.slow
def test_packed_files_compute_what_the_snapped_network_computes(packed: Packed) -> None:
    images = films(6, packed.network.graph.size, 6)
    expected = probability(packed.network.model, images)
    for predicted in packed.predict(images):
        np.testing.assert_allclose(predicted.probability, expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            predicted.logit(), logits(packed.network.model, images), atol=1e-4
        )


@pytest.mark.slow
def test_packed_files_agree_with_each_other(packed: Packed) -> None:
    first, second = packed.predict(films(6, packed.network.graph.size, 7))
    np.testing.assert_allclose(first.probability, second.probability, rtol=0, atol=1e-5)
    np.testing.assert_allclose(first.evidence, second.evidence, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_packing_leaves_no_large_float_behind(packed: Packed) -> None:
    weights = onnx.load_from_string(packed.onnx).graph.initializer
    sizes: Counter[int] = Counter()
    for tensor in weights:
        sizes[tensor.data_type] += int(np.prod(tensor.dims))
    assert sizes[TensorProto.INT8] > 20 * sizes[TensorProto.FLOAT]
    onnx.checker.check_model(onnx.load_from_string(packed.onnx), full_check=True)
    assert onnx.load_from_string(packed.onnx).opset_import[0].domain == ""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(packed.tflite, 0))
    assert [code.customCode for code in model.operatorCodes if code.customCode] == []


@pytest.mark.slow
def test_packing_is_repeatable(packed: Packed) -> None:
    assert pack_tflite(packed.network.tflite) == packed.tflite


def small_onnx() -> onnx.ModelProto:
    """One small matrix product; nothing here reaches MIN_ELEMENTS."""
    weights = numpy_helper.from_array(values((4, 4)), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    tensors = [
        onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy"
    ]
    graph = onnx.helper.make_graph([node], "small", tensors[:1], tensors[1:], [weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def test_onnx_without_large_weights_is_left_as_it_is() -> None:
    model = small_onnx()
    before = model.SerializeToString(deterministic=True)
    pack_onnx(model)
    assert model.SerializeToString(deterministic=True) == before


def large_onnx(shape: tuple[int, ...], node: Any) -> onnx.ModelProto:
    """One node with one large weight `w`."""
    weights = numpy_helper.from_array(values(shape), "w")
    tensors = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    graph = onnx.helper.make_graph([node], "large", tensors[:1], tensors[1:], [weights])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)


@pytest.mark.parametrize(
    ("operator", "weights", "data", "axis"),
    [
        ("Conv", (128, 16, 3, 3), (1, 16, 8, 8), 0),
        ("Conv", (480, 1, 5, 5), (1, 480, 8, 8), 0),
        ("MatMul", (128, 96), (2, 128), 1),
        ("MatMul", (2, 128, 96), (2, 1, 128), 2),
    ],
    ids=["convolution", "depthwise", "matrix", "matrix per cell"],
)
def test_onnx_scales_run_along_the_output_channels(
    operator: str, weights: tuple[int, ...], data: tuple[int, ...], axis: int
) -> None:
    groups = {"group": weights[0]} if weights[1] == 1 else {}
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], **groups)
    model = large_onnx(weights, node)
    original = numpy_helper.to_array(model.graph.initializer[0])
    pack_onnx(model)
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert stored["w_levels"].dtype == np.int8
    assert stored["w_scale"].size == weights[axis]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.random.default_rng(0).normal(0, 1, data).astype(np.float32)
    (got,) = session.run(["y"], {"x": x})
    rounded = pack(original, axis).unpacked()
    reference = large_onnx(weights, node)
    reference.graph.initializer[0].CopyFrom(numpy_helper.from_array(rounded, "w"))
    (expected,) = onnxruntime.InferenceSession(reference.SerializeToString()).run(["y"], {"x": x})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_tflite_without_large_weights_is_left_as_it_is(
    converted: Callable[[str], Converted], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = converted("cnn4_50")
    monkeypatch.setattr("cxr_export.weight_quantisation.MIN_ELEMENTS", 10**9)
    assert pack_tflite(network.tflite) == network.tflite


def test_the_head_batch_normalisation_does_not_leave_the_grid(
    saved: Callable[[str], Path], converted: Callable[[str], Converted]
) -> None:
    """It scales input channels, so `snap` has to look through it."""
    model = load_source(saved("cnn3_50")).model
    snap(model)
    kernel = InferenceGraph(model).head.kernel
    np.testing.assert_allclose(pack(kernel, 2).unpacked(), kernel, rtol=0, atol=1e-6)
    plain = converted("cnn3_50").graph.head.kernel
    assert np.abs(pack(plain, 2).unpacked() - plain).max() > 1e-4
