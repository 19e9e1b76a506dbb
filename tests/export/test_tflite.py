"""The TFLite file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from cxr_edge.errors import ModelRefusedError
from cxr_edge.runtime import Device, start
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_export.graph import InferenceGraph
from cxr_export.tflite import SCHEMA, convert, with_spec
from tests.export.films import films
from tests.export.networks import (
    CELLS,
    EACH,
    SMALL_NAMES,
    Converted,
    logits,
    probability,
    reads_keras_variables,
)
from tests.tiny import tiny_spec

pytestmark = reads_keras_variables


@pytest.fixture(params=EACH)
def conversion(request: pytest.FixtureRequest, converted: Callable[[str], Converted]) -> Converted:
    """All networks."""
    return converted(request.param)


def test_built_in_operators_only(conversion: Converted) -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(conversion.tflite, 0))
    assert conversion.tflite[4:8] == b"TFL3"
    assert model.version == SCHEMA
    codes = {max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes}
    assert schema.BuiltinOperator.CUSTOM not in codes
    assert [code.customCode for code in model.operatorCodes if code.customCode] == []


def test_one_signature_with_the_names_of_the_contract(conversion: Converted) -> None:
    interpreter = Interpreter(model_content=conversion.tflite)
    (signature,) = interpreter.get_signature_list().values()
    assert signature["inputs"] == ["image"]
    assert sorted(signature["outputs"]) == ["bias", "evidence", "probability"]


def test_shapes_and_types(conversion: Converted) -> None:
    size = conversion.graph.size
    assert TfliteRunner(conversion.tflite, Device("cpu")).signature() == {
        "image": ("uint8", (None, size, size, 1)),
        "probability": ("float32", (None, 1)),
        "evidence": ("float32", (None, *CELLS[conversion.model.name])),
        "bias": ("float32", (None, 1)),
    }


def test_no_weight_is_lost_or_stored_twice(conversion: Converted) -> None:
    """The converter's own freezing once lost variables: a small file that gives NaN."""
    assert len(conversion.tflite) == pytest.approx(4 * conversion.model.count_params(), rel=0.02)


@pytest.mark.parametrize("count", [1, 5, 2])
def test_it_computes_what_keras_computes(conversion: Converted, count: int) -> None:
    images = films(count, conversion.graph.size, 6)
    predicted = TfliteRunner(conversion.tflite, Device("cpu")).predict(images)
    np.testing.assert_allclose(
        predicted.probability, probability(conversion.model, images), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(predicted.logit(), logits(conversion.model, images), atol=1e-4)


@pytest.mark.parametrize("name", SMALL_NAMES)
def test_the_same_weights_give_the_same_bytes(
    name: str, converted: Callable[[str], Converted]
) -> None:
    """Converted again later in the same process; test_command does it in others."""
    network = converted(name)
    assert convert(InferenceGraph(network.model)) == network.tflite


def test_the_file_carries_its_spec_and_computes_the_same(
    converted: Callable[[str], Converted],
) -> None:
    plain = converted("cnn3_50").tflite
    content = with_spec(plain, tiny_spec())
    runner, before = (TfliteRunner(each, Device("cpu")) for each in (content, plain))
    assert runner.embedded_spec() == tiny_spec().embedded_json()
    assert before.embedded_spec() == ""
    images = films(3, 50, 6)
    predicted, expected = runner.predict(images), before.predict(images)
    np.testing.assert_array_equal(predicted.probability, expected.probability)
    np.testing.assert_array_equal(predicted.evidence, expected.evidence)


def test_another_spec_takes_the_place_of_the_first(
    converted: Callable[[str], Converted],
) -> None:
    plain, other = converted("cnn3_50").tflite, replace(tiny_spec(), version="2.0.0")
    twice = with_spec(with_spec(plain, tiny_spec()), other)
    assert twice == with_spec(plain, other)
    assert TfliteRunner(twice, Device("cpu")).embedded_spec() == other.embedded_json()


def test_a_file_that_says_something_else_is_refused(
    converted: Callable[[str], Converted],
) -> None:
    content = with_spec(converted("cnn3_50").tflite, replace(tiny_spec(), version="2.0.0"))
    with pytest.raises(ModelRefusedError, match="the spec and what the TFLite file says differ"):
        start(content, "tflite", tiny_spec(), Device("cpu"))


def test_metadata_that_point_nowhere_are_refused(
    converted: Callable[[str], Converted],
) -> None:
    content = with_spec(converted("cnn3_50").tflite, tiny_spec())
    runner = TfliteRunner(content, Device("cpu"))
    text = tiny_spec().embedded_json().encode()
    assert content.count(text) == 1
    runner._content = content.replace(text, b"\xff" * len(text))
    with pytest.raises(ModelRefusedError, match="the metadata of the TFLite file cannot be read"):
        runner.embedded_spec()


def test_buffers_lie_where_the_schema_wants_them(converted: Callable[[str], Converted]) -> None:
    content = with_spec(converted("cnn3_50").tflite, tiny_spec())
    first = np.frombuffer(content, np.uint8).ctypes.data
    model = schema.Model.GetRootAs(content, 0)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    at = [each.DataAsNumpy().ctypes.data - first for each in buffers if each.DataLength()]
    assert len(at) > 5
    assert {place % 16 for place in at} == {0}
