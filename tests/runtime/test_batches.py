"""Forward passes that a device cannot hold go in halves, in order, with all their outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import DeviceError
from cxr_edge.runtime import Runner, batches
from cxr_edge.runtime.batches import default_batch_size, passes_at_once, predict
from tests.factories import FakeRunner
from tests.tiny import SIZE


@pytest.fixture
def images() -> Any:
    """Seven films of noise."""
    return np.random.default_rng(1).integers(0, 256, (7, SIZE, SIZE, 1), np.uint8)


class Holding:
    """A runner whose device holds so many films."""

    device, backend = "cpu", "fake 1.0"

    def __init__(self, runner: Runner, most: int) -> None:
        self.runner, self.most = runner, most

    def signature(self) -> Any:
        raise NotImplementedError

    def predict(self, images: Any) -> Any:
        if len(images) > self.most:
            raise ValueError("out of memory")
        return self.runner.predict(images)


@pytest.mark.parametrize("most", [1, 2, 3, 6, 7])
def test_halves_are_the_whole(most: int, tiny_runner: Runner, images: Any) -> None:
    whole, parts = tiny_runner.predict(images), predict(Holding(tiny_runner, most), images)
    assert np.array_equal(parts.probability, whole.probability)
    assert np.array_equal(parts.evidence, whole.evidence)
    assert np.array_equal(parts.bias, whole.bias)


def test_a_device_that_fails_on_one_film(tiny_runner: Runner, images: Any) -> None:
    with pytest.raises(DeviceError, match="fails on cpu: out of memory"):
        predict(Holding(tiny_runner, 0), images)


def test_too_few_answers_are_a_defect(images: Any) -> None:
    class Short(FakeRunner):
        def predict(self, images: Any) -> Any:
            return super().predict(images[1:])

    with pytest.raises(RuntimeError, match="6 scores for 7 films"):
        predict(Short(), images)


@pytest.mark.parametrize(("cores", "films"), [(1, 16), (2, 32), (16, 256)])
def test_every_core_has_two_passes_of_eight_films(
    cores: int, films: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "usable_cores", lambda: cores)
    assert default_batch_size("cpu") == films
    assert passes_at_once(films, "cpu") == 2 * cores


@pytest.mark.parametrize(
    ("films", "device", "passes"),
    [(1, "cpu", 0), (7, "cpu", 0), (8, "cpu", 1), (31, "cpu", 3), (32, "cuda:0", 1)],
)
def test_passes_at_once(films: int, device: str, passes: int) -> None:
    assert passes_at_once(films, device) == passes
