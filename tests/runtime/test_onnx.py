"""The device of a session is the one that is really used, and stdout stays clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cxr_edge.catalog import choose_model
from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.runtime import Device, Runner, load
from cxr_edge.runtime.onnx import OnnxRunner
from tests.tiny import tiny_content

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
RealSession = onnxruntime.InferenceSession


class Gpu:
    """Makes onnxruntime look as if it had CUDA, whose sessions open in the way given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, open_cuda: Callable[..., Any]) -> None:
        self.asked: list[list[Any]] = []
        self.fallback: list[int] = []
        self._open_cuda = open_cuda
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
        monkeypatch.setattr(onnxruntime, "InferenceSession", self._open)

    def _open(
        self, content: bytes, options: Any, *, providers: list[Any], enable_fallback: int
    ) -> Any:
        self.asked.append(providers)
        self.fallback.append(enable_fallback)
        on_cuda = any(provider[0] == CUDA for provider in providers)
        return (self._open_cuda if on_cuda else open_on_cpu)(content, options)


def open_on_cpu(content: bytes, options: Any) -> Any:
    """What onnxruntime does where the driver is missing: it logs, and takes the next provider."""
    return RealSession(content, options, providers=[CPU])


def open_on_cuda(content: bytes, options: Any) -> Any:
    session = open_on_cpu(content, options)
    session.get_providers = lambda: [CUDA, CPU]
    return session


def fail(content: bytes, options: Any) -> Any:
    """What it does for an index that is not there."""
    raise RuntimeError("CUDA failure 101: invalid device ordinal")


def open_runner(device: str) -> OnnxRunner:
    return OnnxRunner(tiny_content(), Device.parse(device))


@pytest.mark.parametrize(("device", "index"), [("cuda", "0"), ("cuda:2", "2"), ("auto", "0")])
def test_cuda_in_use(device: str, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, open_on_cuda)
    assert open_runner(device).device == f"cuda:{index}"
    assert gpu.asked == [[(CUDA, {"device_id": index, "use_tf32": "0"}), CPU]]
    assert gpu.fallback == [0]


def test_cpu_does_not_ask_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, fail)
    assert open_runner("cpu").device == "cpu"
    assert gpu.asked == [[CPU]]


@pytest.mark.parametrize("open_cuda", [open_on_cpu, fail], ids=["no driver", "no such device"])
def test_auto_takes_the_cpu_and_says_so(
    open_cuda: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Gpu(monkeypatch, open_cuda)
    assert open_runner("auto").device == "cpu"
    assert capfd.readouterr() == ("", "")


def test_cuda_without_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpu(monkeypatch, open_on_cpu)
    with pytest.raises(DeviceError, match="cuda:0 was asked for, onnxruntime took CPU"):
        open_runner("cuda")


def test_cuda_of_another_index_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, fail)
    with pytest.raises(ModelRefusedError, match="invalid device ordinal"):
        open_runner("cuda:9")
    assert len(gpu.asked) == 1


def test_build_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert open_runner("auto").device == "cpu"
    with pytest.raises(DeviceError, match="cuda:1 was asked for") as caught:
        open_runner("cuda:1")
    assert caught.value.tip.startswith("install cxr-edge[gpu] instead of cxr-edge[cpu]")


def test_a_session_never_changes_its_device_in_the_middle(tiny_runner: Runner) -> None:
    """onnxruntime would go on without the GPU, on the CPU, and print about it on stdout."""
    assert tiny_runner._session._enable_fallback is False  # type: ignore[attr-defined]


def test_loading_and_scoring_are_silent(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runner = load(choose_model(str(tiny)), Device("auto"))
    runner.predict(np.zeros((3, 8, 8, 1), np.uint8))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_as_many_answers_as_images(count: int, tiny_runner: Runner) -> None:
    made = tiny_runner.predict(np.zeros((count, 8, 8, 1), np.uint8))
    assert (made.probability.shape, made.evidence.shape, made.bias.shape) == (
        (count,),
        (count, 2, 2),
        (count,),
    )
