"""Forward passes that fit the device they run on, and that `auto` moves to the CPU when it fails.

onnxruntime does not say how much memory a device has left, so the batch is found by trying: one
that is too large is halved until it fits, and the size that fits is kept for the rest of the run.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import CxrEdgeError, DeviceError
from cxr_edge.runtime.protocol import Runner, TensorShapes
from cxr_edge.support.cores import usable_cores
from cxr_edge.types import Predictions

FellBack = Callable[[CxrEdgeError], None]

_log = logging.getLogger(__name__)

# More in one pass do not compute faster on a core, and take 3.4 MB each: its cache holds a few.
_FILMS_PER_PASS = 8
_PASSES_PER_CORE = 2  # one that is computed, one that is collected or recorded
_FILMS_ON_CUDA = 256
# What onnxruntime 1.31's arena (bfc_arena.cc), CUDA, cuBLAS and cuDNN 9 say when memory runs out;
# its Python exceptions are the same class for every failure of a node.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|available memory of \d+ is smaller than|"
    r"failed to find a free memory block|alloc(ation)?_failed|bad_alloc",
    re.IGNORECASE,
)
# "CUDA failure 2: out of memory ; GPU=0 ; hostname=... ; file=..." behind a C++ signature.
_CUDA_FAILURE = re.compile(r"\w+ failure -?\d+: [^;\n]*[^;\s]|Invalid device ID: [^\n]*\)")


def default_batch_size(device: str) -> int:
    """Films that are in the network at once, where nobody says.

    On CUDA what many devices hold, else it is halved.
    """
    films = _FILMS_PER_PASS * _PASSES_PER_CORE * usable_cores()
    return films if device == "cpu" else _FILMS_ON_CUDA


def passes_at_once(batch_size: int, device: str) -> int:
    """Number of forward passes that a batch is divided into.

    A GPU takes all of them in one pass, and one pass at a time.
    """
    return math.ceil(batch_size / _FILMS_PER_PASS) if device == "cpu" else 1


def predict(runner: Runner, images: NDArray[np.uint8]) -> Predictions:
    """One forward pass as `Inference` makes it; what it learns is kept where `runner` is one.

    Raises:
        DeviceError: as `Inference.predict`.
    """
    return Inference(runner).predict(images)


def in_short(error: Exception) -> str:
    """Shorten an error of CUDA to its message: no C++ signature, host name or source line."""
    match = _CUDA_FAILURE.search(str(error))
    return match.group() if match else str(error).strip()


class Inference:
    """A runner that remembers how many films its device holds, and may have a spare.

    It is a `Runner` itself. `Predictions.device` is set once the spare has taken over. Threads may
    ask at the same time only where there is no spare: a GPU gets one pass at a time.
    """

    def __init__(
        self,
        runner: Runner,
        spare: Callable[[], Runner] | None = None,
        fell_back: FellBack | None = None,
    ) -> None:
        """Use the runner as long as it works.

        Args:
            runner: a loaded network.
            spare: loads it elsewhere when the device fails; None where nothing else was allowed.
            fell_back: told why, once, after the spare has proved itself.
        """
        self._runner = runner
        self._spare = spare
        self._fell_back = fell_back or logged
        self._most: int | None = None
        self._failed: Runner | None = None

    @property
    def device(self) -> str:
        """The device in use now."""
        return self._runner.device

    @property
    def backend(self) -> str:
        """Name and version of the inference library."""
        return self._runner.backend

    def signature(self) -> TensorShapes:
        """Dtype and shape of every input and output by name; None is a free dimension."""
        return self._runner.signature()

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """Score images, in parts where the device cannot take all at once.

        Args:
            images: uint8 [N, S, S, 1], N at least 1.

        Raises:
            DeviceError: a single film does not fit, or the device fails otherwise, without a spare.
            ModelRefusedError: the spare fails its self-test.
        """
        if self._failed is None:
            try:
                return self._in_parts(images)
            except DeviceError as error:
                if self._spare is None:
                    raise
                self._take_spare(error, self._spare)
        return replace(self._on_every_core(images), device=self.device)

    def _take_spare(self, error: DeviceError, spare: Callable[[], Runner]) -> None:
        self._spare = None
        # The failed one is kept: taking down a session on a broken device can hang.
        self._failed, self._runner = self._runner, spare()
        self._most = None
        self._fell_back(error)

    def _on_every_core(self, images: NDArray[np.uint8]) -> Predictions:
        """Divide a batch that was meant for a GPU into passes that suit a core."""
        starts = range(0, len(images), _FILMS_PER_PASS)
        parts = [images[start : start + _FILMS_PER_PASS] for start in starts]
        with ThreadPoolExecutor(usable_cores()) as threads:
            return _joined(list(threads.map(self._in_parts, parts)))

    def _in_parts(self, images: NDArray[np.uint8]) -> Predictions:
        parts: list[Predictions] = []
        done = 0
        while done < len(images):
            part = images[done : done + (self._most or len(images))]
            answers = self._tried(part)
            if answers is None:
                self._most = len(part) // 2
            else:
                parts.append(answers)
                done += len(part)
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _tried(self, images: NDArray[np.uint8]) -> Predictions | None:
        """None where the memory does not suffice for so many; fewer may fit."""
        try:
            answers = self._runner.predict(images)
        except CxrEdgeError:
            raise
        except Exception as error:  # the libraries' exceptions share no public base class
            # A CPU is never broken for good, so fewer are tried whatever it says.
            if len(images) > 1 and (self.device == "cpu" or _is_out_of_memory(error)):
                return None
            raise DeviceError(
                f"the network fails on {self.device}: {in_short(error)}",
                tip="what was scored is safe; see cxr-edge doctor, or try --device cpu",
            ) from error
        if len(answers.probability) != len(images):
            raise RuntimeError(f"{len(answers.probability)} scores for {len(images)} films")
        return answers


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def _joined(parts: list[Predictions]) -> Predictions:
    return Predictions(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.evidence for part in parts]),
        np.concatenate([part.bias for part in parts]),
        parts[0].device,
    )


def logged(error: CxrEdgeError) -> None:
    """Log the fallback, where nobody else takes note of it."""
    _log.warning("scoring continues on the CPU: %s", error)
