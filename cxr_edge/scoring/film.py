"""One film at a time, for Python: through the decoders, gates and network of a night."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from cxr_edge.decoders.pool import Workers
from cxr_edge.decoders.start import Decoders
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.errors import ImageError, InputError
from cxr_edge.intake.prepare import prepare_pixels
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime.batches import predict
from cxr_edge.scoring.decision import Decision
from cxr_edge.support.text import display_name
from cxr_edge.triage import band
from cxr_edge.types import (
    PROBABILITY_DECIMALS,
    Band,
    FoundFile,
    InputWarning,
    Reason,
    doubts,
    in_order,
)

Film = str | os.PathLike[str] | bytes | NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Score:
    """The result of one film.

    Attributes:
        probability: of pneumonia, to six decimals, as in the CSV.
        flagged: whether it reaches the model's operating point.
        warnings: what a reader should know.
        band: where a night would list the film: `attention` with a doubt, else by the score.
        evidence: float32 [h, w]: each cell's share of the logit.
        bias: the rest of the logit.
        width: columns of the film.
        height: rows of the film.
        format: `JPEG`, `PNG`, `TIFF`, `DICOM`, or `array`.
        sha256: of the file's bytes; empty for an array.
        identity: whom the film is of, by field, where that was asked for.
    """

    probability: float
    flagged: bool
    warnings: tuple[InputWarning, ...]
    band: Band
    evidence: NDArray[np.float32] = field(repr=False)
    bias: float
    width: int
    height: int
    format: str
    sha256: str
    identity: dict[str, str]


class Model:
    """A model that has passed its self-test, and one decoder process that reads films for it.

    Threads may share it; they take turns. A context manager; without one it is closed with the
    last reference to it, or with Python.

    Attributes:
        spec: what the model is, measured at, and for whom.
        operating_point: name of the threshold in use.
        threshold: films are flagged at or above it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        networks: Networks,
        decision: Decision,
        identity_fields: tuple[str, ...],
    ) -> None:
        """Use `cxr_edge.load_model`."""
        self.spec = spec
        self.operating_point, self.threshold = decision.name, decision.threshold
        self._networks = networks
        scope_size = networks.scope.size if networks.scope else 0
        self._settings = IntakeSettings.of(spec, identity_fields, scope_size=scope_size)
        decoders = Decoders()
        self._workers = Workers(1, self._settings, decoders)
        self._turn = threading.Lock()
        self._end = weakref.finalize(self, _end, self._workers, decoders)

    @property
    def device(self) -> str:
        """The device in use, `cpu` or `cuda:N`."""
        return self._networks.runner.device

    def __enter__(self) -> Model:
        """Return the model itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the decoder process; no further film is scored."""
        with self._turn:
            self._end()

    def score(self, film: Film) -> Score:
        """Score one film.

        Args:
            film: path of a DICOM, JPEG, PNG or TIFF file; the bytes of one; or its grey levels,
                uint8 [H, W] with 0 black and bone bright. An array has no header, so nothing is
                known of patient and view.

        Raises:
            ImageError: the film cannot be scored; `reason` says why, as the CSV would.
            InputError: an array of another kind, or a model that is closed.
            DeviceError: the network fails on the device.
            DecoderError: no decoder process can be started here.
        """
        with self._turn:
            if not self._end.alive:
                raise InputError("the model is closed")
            prepared = self._prepared(film)
            if prepared.pixels is None:
                raise ImageError(prepared.result.reason or Reason.INTERNAL_ERROR)
            answer = predict(self._networks.runner, prepared.pixels[np.newaxis])
            warnings = self._warnings(prepared)
        probability = float(answer.probability[0])
        if not 0.0 <= probability <= 1.0:  # also NaN
            raise ImageError(Reason.BAD_OUTPUT)
        rounded = round(probability, PROBABILITY_DECIMALS)
        result = prepared.result
        return Score(
            probability=rounded,
            flagged=rounded >= self.threshold,
            warnings=warnings,
            band=band(rounded, bool(doubts(warnings)), self.threshold),
            evidence=answer.evidence[0],
            bias=float(answer.bias[0]),
            width=result.width or 0,
            height=result.height or 0,
            format=result.format,
            sha256=result.sha256,
            identity=result.identity,
        )

    def _warnings(self, prepared: Prepared) -> tuple[InputWarning, ...]:
        """Warnings of the decoder, and doubts of the scope gate."""
        scope, plane = self._networks.scope, prepared.scope_pixels
        more = scope.looks(plane[np.newaxis])[0].warnings if scope and plane is not None else ()
        return in_order((*prepared.result.warnings, *more))

    def _prepared(self, film: Film) -> Prepared:
        if isinstance(film, np.ndarray):
            return _of_array(film, self._settings)
        try:
            return self._decoded(film)
        except BaseException:  # Ctrl-C among them, after which a notebook goes on
            self._workers.forget()
            raise

    def _decoded(self, film: str | os.PathLike[str] | bytes) -> Prepared:
        if isinstance(film, bytes):
            return self._workers.prepare_bytes(film, "bytes")
        path = Path(os.path.realpath(film))
        file = FoundFile(path, display_name(path.name))
        ((_, prepared),) = self._workers.prepare([file], lambda: False)
        return prepared


def _end(workers: Workers, decoders: Decoders) -> None:
    workers.__exit__()
    decoders.end()


def _of_array(pixels: NDArray[np.uint8], settings: IntakeSettings) -> Prepared:
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.size == 0:
        raise InputError(f"a film is uint8 [H, W], not {pixels.dtype} {list(pixels.shape)}")
    return prepare_pixels(pixels, settings)
