"""Weights as float16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from cxr_edge.runtime import Device
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_export.half_weights import store_onnx, store_tflite
from tests.export.films import films
from tests.export.networks import Converted, probability, reads_keras_variables

pytestmark = reads_keras_variables

Files = tuple[onnx.ModelProto, bytes]


@pytest.fixture(scope="module")
def original(converted: Callable[[str], Converted]) -> Converted:
    return converted("cnn3_128")


@pytest.fixture(scope="module")
def stored(original: Converted) -> Files:
    model = onnx.ModelProto()
    model.CopyFrom(original.onnx)
    store_onnx(model)
    return model, store_tflite(original.tflite)


def test_files_are_half_as_large(original: Converted, stored: Files) -> None:
    model, flat = stored
    assert model.ByteSize() == pytest.approx(original.onnx.ByteSize() / 2, rel=0.05)
    assert len(flat) == pytest.approx(len(original.tflite) / 2, rel=0.05)


def test_large_kernels_are_what_float16_makes_of_them(original: Converted, stored: Files) -> None:
    before = {t.name: numpy_helper.to_array(t) for t in original.onnx.graph.initializer}
    half = [t for t in stored[0].graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert half
    for tensor in half:
        kernel = before[tensor.name.removesuffix("_half")]
        np.testing.assert_array_equal(
            numpy_helper.to_array(tensor), kernel.astype(np.float16), err_msg=tensor.name
        )
    onnx.checker.check_model(stored[0], full_check=True)


def test_both_files_compute_nearly_what_the_network_computes_and_the_same(
    original: Converted, stored: Files
) -> None:
    images = films(6, original.graph.size, 6)
    model, flat = stored
    runners = (
        OnnxRunner(model.SerializeToString(), Device("cpu")),
        TfliteRunner(flat, Device("cpu")),
    )
    first, second = (runner.predict(images) for runner in runners)
    expected = probability(original.model, images)
    assert 1e-7 < np.abs(first.probability - expected).max() < 2e-3
    np.testing.assert_allclose(first.probability, second.probability, rtol=0, atol=2e-5)
    np.testing.assert_allclose(first.evidence, second.evidence, rtol=0, atol=2e-4)


def test_a_network_without_large_kernels_is_left_as_it_is(
    original: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxr_export.weight_quantisation.MIN_ELEMENTS", 10**9)
    assert store_tflite(original.tflite) == original.tflite
