"""The device of a session is the one that is really used, and stdout stays clean."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cxr_edge.errors import CxrEdgeError, DeviceError, ModelRefusedError
from cxr_edge.model.catalog import choose_model
from cxr_edge.runtime import Device, Runner, load, loading
from cxr_edge.runtime.batches import predict
from cxr_edge.runtime.onnx import OnnxRunner
from tests.factories import raising
from tests.gpu import CPU, CUDA, Dying, Gpu, broken, fail, open_on_cpu, open_on_cuda, wrong
from tests.runtime.broken import node
from tests.tiny import tiny_content, write_tiny


def open_runner(device: str) -> OnnxRunner:
    return OnnxRunner(tiny_content(), Device.parse(device))


@pytest.mark.parametrize(("device", "index"), [("cuda", "0"), ("cuda:2", "2"), ("auto", "0")])
def test_cuda_in_use(device: str, index: str, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, open_on_cuda)
    assert load(choose_model(str(tiny)), Device.parse(device)).device == f"cuda:{index}"
    options = {"device_id": index, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert gpu.asked == [[(CUDA, options), CPU]]
    assert gpu.fallback == [0]


def test_cpu_does_not_ask_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, fail)
    assert open_runner("cpu").device == "cpu"
    assert gpu.asked == [[CPU]]


# How the device cannot be used -> what the refusal says.
UNUSABLE = {
    "no driver": (
        open_on_cpu,
        "cuda:0 was asked for, onnxruntime took CPUExecutionProvider: .*: cannot open shared",
    ),
    "no such device": (
        fail,
        r"^cuda:0 cannot be used: Invalid device ID: 9, must be .* and 1 \(exclusive\)$",
    ),
    "wrong numbers": (wrong, "tiny fails its self-test on cuda:0: off by 0.5, .*allowed 0.0001"),
    "fails in the self-test": (
        broken,
        "fails its self-test: CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED$",
    ),
}
each_unusable = pytest.mark.parametrize(("open_cuda", "message"), UNUSABLE.values(), ids=UNUSABLE)


@each_unusable
def test_auto_takes_the_cpu_and_says_so(
    open_cuda: Any,
    message: str,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Gpu(monkeypatch, open_cuda)
    told: list[CxrEdgeError] = []
    assert load(choose_model(str(tiny)), Device("auto"), told.append).device == "cpu"
    (why,) = told
    assert re.search(message, str(why))
    assert capfd.readouterr() == ("", "")


def test_who_does_not_ask_reads_it_in_the_log(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Gpu(monkeypatch, fail)
    load(choose_model(str(tiny)), Device("auto"))
    (said,) = caplog.messages
    assert said.startswith("scoring continues on the CPU: cuda:0 cannot be used: Invalid device")


@each_unusable
def test_cuda_that_cannot_be_used_is_refused(
    open_cuda: Any, message: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, open_cuda)
    with pytest.raises(DeviceError, match=message):
        load(choose_model(str(tiny)), Device("cuda"))


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_bad_model_is_not_the_device_s_fault(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(monkeypatch, open_on_cuda)
    foreign = write_tiny(tmp_path, graph=node("Steal", ["grey"], "stolen"))
    with pytest.raises(ModelRefusedError, match="onnxruntime refuses"):
        load(choose_model(str(foreign)), Device(device), content=foreign.read_bytes())
    assert gpu.asked[-1] == [CPU]


def test_the_gpu_may_differ_as_far_as_is_promised(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times what the CPU may: sums are made in another order there."""

    def shifted(by: float) -> Callable[..., Any]:
        def open_shifted(content: bytes, options: Any) -> Any:
            session = open_on_cuda(content, options)
            real = type(session).run
            session.run = lambda names, feeds: [
                output + (by if name == "probability" else 0)
                for name, output in zip(names, real(session, names, feeds), strict=True)
            ]
            return session

        return open_shifted

    Gpu(monkeypatch, shifted(9e-5))
    assert load(choose_model(str(tiny)), Device("cuda")).device == "cuda:0"
    Gpu(monkeypatch, shifted(1.2e-4))
    with pytest.raises(DeviceError, match="fails its self-test on cuda:0"):
        load(choose_model(str(tiny)), Device("cuda"))


def test_auto_goes_on_on_the_cpu(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(monkeypatch, Dying(2))
    told: list[CxrEdgeError] = []
    runner = load(choose_model(str(tiny)), Device("auto"), told.append)
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1)
    first, second, third = (predict(runner, images) for _ in range(3))
    assert [first.device, second.device, third.device] == ["", "cpu", "cpu"]
    assert np.array_equal(first.probability, second.probability)
    assert (runner.device, gpu.asked[1:]) == ("cpu", [[CPU]])
    assert list(map(str, told)) == [
        "the network fails on cuda:0: CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED"
    ]


def test_a_spare_that_computes_wrongly_is_refused(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The self-test runs again, there."""
    Gpu(monkeypatch, Dying(1))
    told: list[CxrEdgeError] = []
    runner = load(choose_model(str(tiny)), Device("auto"), told.append)
    monkeypatch.setattr(loading, "golden_image", lambda rule, size: np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(ModelRefusedError, match="fails its self-test on cpu"):
        predict(runner, np.zeros((3, 8, 8, 1), np.uint8))
    assert told == []


def test_build_without_cuda(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert load(choose_model(str(tiny)), Device("auto"), raising(AssertionError())).device == "cpu"
    with pytest.raises(DeviceError, match="cuda:1 was asked for") as caught:
        open_runner("cuda:1")
    assert caught.value.tip.startswith("use --device cpu, or install gpu instead of cpu: ")


def test_a_session_never_changes_its_device_in_the_middle(tiny_runner: Runner) -> None:
    """onnxruntime would go on without the GPU, on the CPU, and print about it on stdout."""
    session = tiny_runner._runner._session  # type: ignore[attr-defined]
    assert session._enable_fallback is False


@pytest.mark.parametrize("count", [1, 2, 5])
def test_as_many_answers_as_images(count: int, tiny_runner: Runner) -> None:
    made = tiny_runner.predict(np.zeros((count, 8, 8, 1), np.uint8))
    assert (made.probability.shape, made.evidence.shape, made.bias.shape) == (
        (count,),
        (count, 2, 2),
        (count,),
    )
