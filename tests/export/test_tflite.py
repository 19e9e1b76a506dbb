"""The TFLite file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from cxr_edge.runtime import Device
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_export.graph import InferenceGraph
from cxr_export.tflite import SCHEMA, convert
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
