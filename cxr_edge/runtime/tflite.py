"""TFLite files on LiteRT, CPU."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, SignatureRunner
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.model.spec import INPUT_NAME, METADATA_KEY
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.protocol import TensorShapes, predictions_of
from cxr_edge.types import Predictions


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """LiteRT greets once, on the C level of stderr, and cron would mail it; errors are raised."""
    try:
        kept = os.dup(2)
    except OSError:  # somebody closed it, as in `2>&-`
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class TfliteRunner:
    """LiteRT interpreters: as many as there are passes at once."""

    def __init__(self, content: bytes, device: Device) -> None:
        """Create the first one from bytes that were already checked against their hash.

        Raises:
            ModelRefusedError: LiteRT does not accept the model, or it has no signature.
            DeviceError: something else than the CPU was asked for.
        """
        if device.kind == "cuda":
            raise DeviceError(
                f"{device} was asked for, and TFLite models run on the CPU here",
                tip="use the .onnx file of the model, or --device cpu",
            )
        self._content = content
        try:
            with _silent_stderr():
                self._idle = [self._opened()]
        except (ValueError, RuntimeError, TypeError) as error:
            raise ModelRefusedError(f"LiteRT refuses the model: {error}") from error
        self.device = "cpu"
        self.backend = f"ai-edge-litert {version('ai-edge-litert')}"

    def signature(self) -> TensorShapes:
        """Dtype and shape of every input and output by name."""
        first = self._idle[0]
        details = {**first.get_input_details(), **first.get_output_details()}
        return {
            name: (
                np.dtype(tensor["dtype"]).name,
                tuple(d if d >= 0 else None for d in map(int, tensor["shape_signature"])),
            )
            for name, tensor in details.items()
        }

    def embedded_spec(self) -> str:
        """The spec that the file carries about itself, or an empty string.

        Raises:
            ModelRefusedError: its metadata point nowhere.
        """
        try:
            return _metadata(self._content, METADATA_KEY)
        except (struct.error, IndexError, TypeError, ValueError) as error:
            raise ModelRefusedError("the metadata of the TFLite file cannot be read") from error

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """Score uint8 [N, S, S, 1]."""
        return predictions_of(self, images)

    def outputs(self, names: Sequence[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Ask for outputs by name, for uint8 [N, S, S, 1]."""
        try:
            runner = self._idle.pop()
        except IndexError:
            runner = self._opened()
        outputs = runner(**{INPUT_NAME: images})
        self._idle.append(runner)
        return [outputs[name] for name in names]

    def _opened(self) -> SignatureRunner:
        """An interpreter, which runs one pass at a time, in one thread: as the sessions of ONNX."""
        interpreter = Interpreter(model_content=self._content, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter.get_signature_runner()


def _metadata(content: bytes, name: str) -> str:
    """One entry's text, or an empty string."""
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == name.encode():
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode()
    return ""
