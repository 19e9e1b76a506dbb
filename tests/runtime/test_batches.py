"""What a device cannot hold goes in halves; what it cannot do, `auto` has done on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import CxrEdgeError, DeviceError
from cxr_edge.runtime import Runner, batches
from cxr_edge.runtime.batches import Inference, default_batch_size, passes_at_once, predict
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


class Full(FakeRunner):
    """A device whose memory holds so many films, and says so in these words."""

    device = "cuda:0"

    def __init__(self, most: int, words: str = "CUDA failure 2: out of memory") -> None:
        super().__init__()
        self.most, self.words = most, words

    def predict(self, images: Any) -> Any:
        answers = super().predict(images)
        if len(images) > self.most:
            raise RuntimeError(self.words)
        return answers


def films(count: int) -> Any:
    return np.zeros((count, SIZE, SIZE, 1), np.uint8)


def test_the_batch_that_fits_is_kept() -> None:
    full = Full(20)
    inference = Inference(full)
    for count in (64, 64, 5):
        assert len(inference.predict(films(count)).probability) == count
    assert full.batches == [64, 32, 16, 16, 16, 16, 16, 16, 16, 16, 5]


def test_it_is_kept_from_one_batch_of_a_run_to_the_next() -> None:
    """As scoring asks: by the function, of a runner that remembers."""
    full = Full(3)
    inference = Inference(full)
    for _ in range(2):
        predict(inference, films(8))
    assert full.batches == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_who_runs_out_later_goes_lower() -> None:
    """Another program may take its share of the device in the middle of the night."""
    full = Full(8)
    inference = Inference(full)
    inference.predict(films(8))
    full.most = 2
    inference.predict(films(8))
    full.most = 8
    inference.predict(films(4))
    assert full.batches == [8, 8, 4, 2, 2, 2, 2, 2, 2]


# As onnxruntime-gpu 1.31, CUDA 13, cuBLAS and cuDNN 9 put it.
NO_MEMORY = {
    "arena": "bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, "
    "onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 939524096",
    "arena at its limit": "Available memory of 1024 is smaller than requested bytes of 2048",
    "CUDA": "CUDA failure 2: out of memory ; GPU=0 ; hostname=ward7 ; expr=cudaMalloc(&p, size);",
    "cuBLAS": "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=ward7 ;",
    "cuDNN 9": "CUDNN failure 4004: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
    "copy": "Memcpy: Failed to allocate output tensor.",
    "host": "std::bad_alloc",
}
# The device is broken: fewer films would not help, and a CUDA context does not come back.
BROKEN = {
    "kernel": "CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=ward7 ;",
    "driver": "CUDA failure 999: unknown error ; GPU=0 ; hostname=ward7 ;",
    "node": "Non-zero status code returned while running Reshape node.",
}


@pytest.mark.parametrize("words", NO_MEMORY.values(), ids=NO_MEMORY)
def test_too_little_memory_halves(words: str) -> None:
    full = Full(2, words)
    Inference(full).predict(films(8))
    assert full.batches == [8, 4, 2, 2, 2, 2]


@pytest.mark.parametrize("words", BROKEN.values(), ids=BROKEN)
def test_another_failure_is_not_tried_again(words: str) -> None:
    full = Full(2, words)
    with pytest.raises(DeviceError, match="the network fails on cuda:0: ") as caught:
        Inference(full).predict(films(8))
    assert full.batches == [8]
    assert str(caught.value).endswith(words.split(" ;")[0])  # and no host names
    assert caught.value.tip.startswith("what was scored is safe")


def test_on_the_cpu_fewer_are_tried_whatever_it_says() -> None:
    """LiteRT has words of its own, and there is no context that could be lost."""
    full = Full(2, "tensor arena: no")
    full.device = "cpu"
    Inference(full).predict(films(8))
    assert full.batches == [8, 4, 2, 2, 2, 2]


def test_memory_that_python_misses_halves_too() -> None:
    class Host(Full):
        def predict(self, images: Any) -> Any:
            try:
                return super().predict(images)
            except RuntimeError as error:
                raise MemoryError from error

    host = Host(4)
    Inference(host).predict(films(8))
    assert host.batches == [8, 4, 4]


SPARED = {"memory": Full(0), "failure": Full(4, "CUDA failure 999: unknown error ; GPU=0")}


@pytest.mark.parametrize("gpu", SPARED.values(), ids=SPARED)
def test_the_spare_takes_over(gpu: Full) -> None:
    """With the whole batch, once, and every answer says so from then on."""
    spare, told = FakeRunner(), list[CxrEdgeError]()
    inference = Inference(gpu, lambda: spare, told.append)
    assert inference.device == "cuda:0"
    answers = [inference.predict(films(count)) for count in (8, 8)]
    assert [each.device for each in answers] == ["cpu", "cpu"]
    assert (inference.device, spare.batches) == ("cpu", [8, 8])
    assert [str(error).split(":")[0] for error in told] == ["the network fails on cuda"]


def test_the_spare_has_none() -> None:
    inference = Inference(Full(0), lambda: FakeRunner(RuntimeError("no")), lambda _: None)
    with pytest.raises(DeviceError, match="the network fails on cpu: no"):
        inference.predict(films(2))


def test_the_spare_takes_as_many_as_suit_a_core() -> None:
    """What the GPU could hold, little or much, says nothing about the CPU."""
    gpu, spare = Full(2), FakeRunner()
    inference = Inference(gpu, lambda: spare, lambda _: None)
    inference.predict(films(8))
    gpu.most = 0
    inference.predict(films(20))
    assert spare.batches == [8, 8, 4]


def test_a_defect_is_no_device_failure() -> None:
    """Too few answers are ours: no spare would help, and nothing may be scored by halves."""

    class Short(FakeRunner):
        def predict(self, images: Any) -> Any:
            return super().predict(images[1:])

    with pytest.raises(RuntimeError, match="1 scores for 2 films"):
        Inference(Short(), lambda: FakeRunner(), lambda _: None).predict(films(2))


@pytest.mark.parametrize(("cores", "films"), [(1, 16), (2, 32), (16, 256)])
def test_every_core_has_two_passes_of_eight_films(
    cores: int, films: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "usable_cores", lambda: cores)
    assert default_batch_size("cpu") == films
    assert passes_at_once(films, "cpu") == 2 * cores


@pytest.mark.parametrize(
    ("films", "device", "passes"),
    [(1, "cpu", 1), (8, "cpu", 1), (9, "cpu", 2), (31, "cpu", 4), (32, "cuda:0", 1)],
)
def test_passes_at_once(films: int, device: str, passes: int) -> None:
    assert passes_at_once(films, device) == passes
