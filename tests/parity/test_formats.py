"""ONNX and TFLite of one model say the same about the same film."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.catalog import ModelChoice
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input
from cxr_edge.runtime import Runner
from cxr_edge.types import PROBABILITY_DECIMALS
from tests.export.films import xray_classes

Pair = tuple[ModelChoice, ModelChoice]
RunnerOf = Callable[[ModelChoice], Runner]

# Of the larger of 1 and the largest value. Integers round apart: each file within 2e-2 of Keras.
WITHIN = {"float32": 1e-4, "int8-weights": 1e-4, "int8": 4e-2}


@pytest.fixture(scope="module")
def xrays() -> list[NDArray[np.uint8]]:
    """The readable films of tests/data/incoming, decoded."""
    paths = list(xray_classes())
    if not paths:
        pytest.skip("the checkout has no x-rays in tests/data/incoming")
    return [decode(path.read_bytes(), path.name).pixels for path in paths]


@pytest.mark.parametrize("batch_size", [1, 32])
def test_both_formats_agree_on_real_xrays(
    pair: Pair, runner_of: RunnerOf, xrays: list[NDArray[np.uint8]], batch_size: int
) -> None:
    spec = pair[0].spec
    images = np.stack([to_network_input(film, spec.size) for film in xrays])
    within = WITHIN[pair[0].file.precision]
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    onnx, tflite = ([runner_of(choice).predict(batch) for batch in batches] for choice in pair)
    for name in ("probability", "evidence", "bias"):
        ours, theirs = (
            np.concatenate([getattr(p, name) for p in predicted]) for predicted in (onnx, tflite)
        )
        scale = max(1.0, float(np.abs(ours).max()))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=within * scale, err_msg=name)
    scores = [
        np.concatenate([p.probability for p in predicted]).round(PROBABILITY_DECIMALS)
        for predicted in (onnx, tflite)
    ]
    for name, point in spec.operating_points.items():
        clear = np.abs(scores[0] - point.threshold) > (within if within > 1e-4 else 0)
        decisions = [(score >= point.threshold)[clear] for score in scores]
        np.testing.assert_array_equal(*decisions, err_msg=name)


def test_the_films_are_decided_both_ways(
    pair: Pair, runner_of: RunnerOf, xrays: list[NDArray[np.uint8]]
) -> None:
    """Agreement on films that are all flagged, or none, would prove little."""
    spec = pair[0].spec
    images = np.stack([to_network_input(film, spec.size) for film in xrays])
    probability = runner_of(pair[0]).predict(images).probability
    for point in spec.operating_points.values():
        assert 0 < (probability >= point.threshold).sum() < len(images)
