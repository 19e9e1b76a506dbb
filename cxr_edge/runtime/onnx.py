"""ONNX files on onnxruntime, CPU or CUDA."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.onnx_guard import check_self_contained
from cxr_edge.runtime.protocol import TensorShapes
from cxr_edge.spec import BIAS_NAME, EVIDENCE_NAME, INPUT_NAME, METADATA_KEY, PROBABILITY_NAME
from cxr_edge.types import Predictions

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
Provider = str | tuple[str, dict[str, str]]
_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxRunner:
    """One onnxruntime session."""

    def __init__(self, content: bytes, device: Device) -> None:
        """Create a session from bytes that were already checked against their hash.

        Raises:
            ModelRefusedError: not a self-contained model of the standard operator set.
            DeviceError: CUDA was asked for and is not there.
        """
        check_self_contained(content)
        providers = _providers(device)
        try:
            self._session = _open_session(content, providers, device)
            self._tensors = [*self._session.get_inputs(), *self._session.get_outputs()]
            self._metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise ModelRefusedError(f"onnxruntime refuses the model: {error}") from error
        used = self._session.get_providers()[0]
        if device.kind == "cuda" and used != _CUDA:
            raise DeviceError(f"{device} was asked for, onnxruntime took {used}")
        self.device = str(Device("cuda", device.index)) if used == _CUDA else "cpu"
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
        count = len(images)
        if count == 1:
            # onnxruntime multiplies a single row with another kernel, whose last bit differs.
            # Two rows keep a film's score the same whatever batch it falls into.
            images = np.repeat(images, 2, axis=0)
        names = [PROBABILITY_NAME, EVIDENCE_NAME, BIAS_NAME]
        outputs = self._session.run(names, {INPUT_NAME: images})
        probability, evidence, bias = (output[:count] for output in outputs)
        return Predictions(probability[:, 0], evidence, bias[:, 0])


def _open_session(
    content: bytes, providers: list[Provider], device: Device
) -> onnxruntime.InferenceSession:
    """Only `auto` may end up on another device than the one that was tried first.

    onnxruntime's own fallback is off: it prints to stdout, and it would leave the GPU in the middle
    of a run while the report still names it.
    """
    try:
        return onnxruntime.InferenceSession(
            content, _session_options(), providers=providers, enable_fallback=0
        )
    except Exception:  # onnxruntime's exceptions share no public base class
        if device.kind != "auto" or providers == [_CPU]:
            raise
        return _open_session(content, [_CPU], device)


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Who has several cores runs several passes at once: two threads that share one pass spend a
    # tenth more CPU time, and wait for each other where decoders want the cores as well.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings go to stderr unasked
    return options


def _providers(device: Device) -> list[Provider]:
    """Execution providers in order of preference."""
    if device.kind == "cpu" or (device.kind == "auto" and not _has_cuda()):
        return [_CPU]
    if not _has_cuda():
        raise DeviceError(
            f"{device} was asked for and this onnxruntime has no CUDA",
            tip="install cxr-edge[gpu] instead of cxr-edge[cpu], or use --device cpu",
        )
    # TF32 would leave the tolerance of the parity gate.
    return [(_CUDA, {"device_id": str(device.index), "use_tf32": "0"}), _CPU]


def _has_cuda() -> bool:
    return _CUDA in onnxruntime.get_available_providers()
