"""ONNX and TFLite of one model say the same about the same film."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.images import decode
from cxr_edge.model.catalog import ModelChoice
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.runtime import Runner
from cxr_edge.types import PROBABILITY_DECIMALS, Predictions
from tests.export.films import xray_classes
from tests.factories import files_apart
from tests.parity.kermany import TEST_A

Pair = tuple[ModelChoice, ModelChoice]
RunnerOf = Callable[[ModelChoice], Runner]

OUTPUTS = ("probability", "evidence", "bias")
WITHIN = 1e-4  # of the larger of 1 and the largest value
ROUNDED_EVIDENCE = 4e-2  # a cell of the map, while the head works alike


@pytest.fixture(scope="module", params=["incoming", pytest.param("test_a", marks=pytest.mark.slow)])
def xrays(request: pytest.FixtureRequest) -> list[NDArray[np.uint8]]:
    """The readable films of tests/data/incoming, or the official test films, decoded."""
    of_test_a = sorted(TEST_A.glob("*/*.jpeg"))
    paths = list(xray_classes()) if request.param == "incoming" else of_test_a
    if not paths:
        pytest.skip(f"no x-rays of {request.param} here")
    return [decode(path.read_bytes(), path.name).pixels for path in paths]


@pytest.mark.parametrize("batch_size", [1, 32])
def test_both_formats_agree_on_real_xrays(
    pair: Pair, runner_of: RunnerOf, xrays: list[NDArray[np.uint8]], batch_size: int
) -> None:
    spec = pair[0].spec
    ours, theirs = (predicted(runner_of(choice), choice, xrays, batch_size) for choice in pair)
    if apart := files_apart(spec):
        assert_alike_as_rounded(ours, theirs, apart)
    else:
        assert_alike(ours, theirs)
    scores = [made.probability.round(PROBABILITY_DECIMALS) for made in (ours, theirs)]
    for name, point in spec.operating_points.items():
        clear = np.abs(scores[0] - point.threshold) >= apart
        decisions = [(score >= point.threshold)[clear] for score in scores]
        np.testing.assert_array_equal(*decisions, err_msg=name)


def predicted(
    runner: Runner, choice: ModelChoice, xrays: list[NDArray[np.uint8]], batch_size: int
) -> Predictions:
    """What one file says about all films, `batch_size` at a time."""
    images = np.stack([to_network_input(without_border(film), choice.spec.size) for film in xrays])
    parts = [runner.predict(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return Predictions(*(np.concatenate([getattr(p, name) for p in parts]) for name in OUTPUTS))


def assert_alike(ours: Predictions, theirs: Predictions) -> None:
    """Every output, by the scale of its values."""
    for name in OUTPUTS:
        a, b = getattr(ours, name), getattr(theirs, name)
        scale = max(1.0, float(np.abs(a).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=WITHIN * scale, err_msg=name)


def assert_alike_as_rounded(ours: Predictions, theirs: Predictions, within: float) -> None:
    """Two files, each as far from the network as its spec says, differ by the sum at most.

    Features that were rounded differently can put a unit of the head on the other side of its
    ReLU. That moves its share between map and bias, not the sum of both. The bias tells such
    films: it depends on nothing but which units are active, in float32 weights.
    """
    np.testing.assert_allclose(ours.probability, theirs.probability, rtol=0, atol=within)
    alike = np.abs(ours.bias - theirs.bias) <= WITHIN * np.abs(ours.bias).max()
    assert alike.mean() > 0.5
    maps = ours.evidence[alike], theirs.evidence[alike]
    np.testing.assert_allclose(*maps, rtol=0, atol=ROUNDED_EVIDENCE)


def test_the_films_are_decided_both_ways(
    pair: Pair, runner_of: RunnerOf, xrays: list[NDArray[np.uint8]]
) -> None:
    """Agreement on films that are all flagged, or none, would prove little."""
    spec = pair[0].spec
    images = np.stack([to_network_input(without_border(film), spec.size) for film in xrays])
    probability = runner_of(pair[0]).predict(images).probability
    for point in spec.operating_points.values():
        assert 0 < (probability >= point.threshold).sum() < len(images)
