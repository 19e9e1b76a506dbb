"""ONNX files on onnxruntime, CPU or CUDA."""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError, install_command
from cxr_edge.model.spec import INPUT_NAME, METADATA_KEY
from cxr_edge.runtime.batches import in_short
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.onnx_guard import check_self_contained
from cxr_edge.runtime.protocol import TensorShapes, predictions_of
from cxr_edge.types import Predictions

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {
    # TF32 would leave the tolerance of the parity gate.
    "use_tf32": "0",
    # The exhaustive search, the default, times the algorithms anew for every size of batch, and may
    # take another one each night.
    "cudnn_conv_algo_search": "HEURISTIC",
}
_CUDA_TIP = "docs/gpu.md says what CUDA needs; or use --device cpu"
_FATAL = 4
Provider = str | tuple[str, dict[str, str]]
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxRunner:
    """One onnxruntime session."""

    def __init__(self, content: bytes, device: Device) -> None:
        """Create a session from bytes that were already checked against their hash.

        Args:
            content: the model.
            device: `auto` is the CPU here: `loading.load` tries CUDA first.

        Raises:
            ModelRefusedError: not a self-contained model of the standard operator set.
            DeviceError: CUDA was asked for and cannot be used.
        """
        check_self_contained(content)
        try:
            self._session = _session(content, device)
            self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self._metadata = self._session.get_modelmeta().custom_metadata_map
        except DeviceError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise ModelRefusedError(f"onnxruntime refuses the model: {error}") from error
        self.device = str(device) if device.kind == "cuda" else "cpu"
        self.backend = f"onnxruntime {onnxruntime.__version__}"

    def signature(self) -> TensorShapes:
        """Dtype and shape of every input and output by name."""
        return {
            tensor.name: (
                _DTYPES.get(tensor.type, tensor.type),
                tuple(d if isinstance(d, int) else None for d in tensor.shape),
            )
            for tensor in self._tensors
        }

    def embedded_spec(self) -> str:
        """The spec that the file carries about itself, or an empty string."""
        return str(self._metadata.get(METADATA_KEY, ""))

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """Score uint8 [N, S, S, 1]."""
        return predictions_of(self, images)

    def outputs(self, names: Sequence[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Ask for outputs by name, for uint8 [N, S, S, 1]."""
        count = len(images)
        if count == 1:
            # onnxruntime multiplies a single row with another kernel, whose last bit differs.
            # Two rows keep a film's score the same whatever batch it falls into.
            images = np.repeat(images, 2, axis=0)
        outputs = self._session.run(list(names), {INPUT_NAME: images})
        return [output[:count] for output in outputs]


def offers_cuda() -> bool:
    """Whether this build of onnxruntime knows CUDA; the machine may still lack what it takes."""
    return _CUDA in onnxruntime.get_available_providers()


def _session(content: bytes, device: Device) -> onnxruntime.InferenceSession:
    return _on_cuda(content, device) if device.kind == "cuda" else _opened(content, [_CPU])


def _on_cuda(content: bytes, device: Device) -> onnxruntime.InferenceSession:
    """A session whose first provider is CUDA; DeviceError where there can be none."""
    if not offers_cuda():
        raise DeviceError(
            f"{device} was asked for and this onnxruntime has no CUDA",
            tip=f"use --device cpu, or install gpu instead of cpu: {install_command('gpu')}",
        )
    _load_libraries()
    options = {"device_id": str(device.index), **CUDA_OPTIONS}
    try:
        session = _opened(content, [(_CUDA, options), _CPU])
    except Exception as error:  # onnxruntime's exceptions share no public base class
        _opened(content, [_CPU])  # else it is the model's fault, and this says so
        raise DeviceError(f"{device} cannot be used: {in_short(error)}", tip=_CUDA_TIP) from error
    used = session.get_providers()[0]
    if used != _CUDA:
        why = f": {missing}" if (missing := _missing_library()) else ""
        message = f"{device} was asked for, onnxruntime took {used}{why}"
        raise DeviceError(message, tip=_CUDA_TIP)
    return session


def _opened(content: bytes, providers: list[Provider]) -> onnxruntime.InferenceSession:
    """Open it without onnxruntime's own fallback.

    It prints to stdout, and it would leave the GPU in the middle of a run while the report still
    names it.
    """
    return onnxruntime.InferenceSession(
        content, _session_options(), providers=providers, enable_fallback=0
    )


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Who has several cores runs several passes at once: two threads that share one pass spend a
    # tenth more CPU time, and wait for each other where decoders want the cores as well.
    options.intra_op_num_threads = 1
    # Else bytes that are two files at once are read as the other one, which nobody has checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = 3  # errors only: warnings go to stderr unasked
    return options


def _load_libraries() -> None:
    """CUDA and cuDNN as pip installs them, which the system's loader does not find by itself."""
    # What is logged while the provider is made goes to stderr in colours; we raise it.
    onnxruntime.set_default_logger_severity(_FATAL)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it did not find
        onnxruntime.preload_dlls()


def _missing_library() -> str:
    """Ask the loader why the CUDA provider cannot be loaded; an empty string if it can.

    onnxruntime only logs this.
    """
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        for name in ("shared", "cuda"):  # the second needs the first
            ctypes.CDLL(str(folder / f"libonnxruntime_providers_{name}.so"))
    except OSError as error:
        return str(error)
    return ""
