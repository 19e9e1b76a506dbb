"""onnxruntime as it looks on a machine with a GPU, in the ways in which that goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnxruntime
import pytest

from tests.factories import raising

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
    """What onnxruntime-gpu 1.31 raises for an index that is not there."""
    raise RuntimeError(
        "/onnxruntime_src/cuda_execution_provider_info.cc:63 static "
        "onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const ProviderOptions&) "
        "[ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse "
        'provider option "device_id": Invalid device ID: 9, must be between 0 (inclusive) and 1 '
        "(exclusive).\n"
    )


def wrong(content: bytes, options: Any) -> Any:
    """A device that computes something else."""
    session = open_on_cuda(content, options)
    session.run = lambda names, feeds: [
        output + 0.5 for output in type(session).run(session, names, feeds)
    ]
    return session


def broken(content: bytes, options: Any) -> Any:
    """A device that takes the model and fails to run it."""
    session = open_on_cuda(content, options)
    session.run = raising(RuntimeError(CUDNN))
    return session


CUDNN = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. "
    "Name:'c1' Status Message: CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; "
    "hostname=ward7 ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/nn/conv.cc ; line=9 ; "
)


class Dying:
    """A CUDA session that gives out after so many runs, the self-test's included."""

    def __init__(self, runs: int) -> None:
        self.runs = runs

    def __call__(self, content: bytes, options: Any) -> Any:
        session = open_on_cuda(content, options)
        real = type(session).run

        def run(names: Any, feeds: Any) -> Any:
            self.runs -= 1
            if self.runs < 0:
                raise RuntimeError(CUDNN)
            return real(session, names, feeds)

        session.run = run
        return session
