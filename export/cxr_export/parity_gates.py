"""Every gate that a file has to pass, and what its spec says about it then."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from cxr_edge.errors import ModelRefusedError, ParityError
from cxr_edge.model.files import PRECISIONS, ModelFile, Parity
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, Runner, start
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_export import onnx, tflite
from cxr_export.parity import Gate, ValidationGate
from cxr_export.precision import score_with
from cxr_export.source import Source
from cxr_export.spec_draft import FILE_GOLDEN_TOLERANCE, golden
from cxr_training.films.data import ImageSet

_STORED = {precision: stored for stored, precision in PRECISIONS.items()}


@dataclass(frozen=True)
class Trained:
    """A network, the films that its files are held against, and what it decides by."""

    source: Source
    images: ImageSet
    operating_points: dict[str, OperatingPoint]


@dataclass(frozen=True)
class Gates:
    """The gates that every file has to pass.

    Attributes:
        parity: with the trained network.
        validation: what fewer bits must not lose.
        precision: a value of `PRECISIONS`.
    """

    parity: Gate
    validation: ValidationGate | None
    precision: str

    def file(self, kind: str, content: bytes, spec: ModelSpec) -> ModelFile:
        """Names, shapes and self-test as the runtime will check them; then the gates.

        Raises:
            ParityError: with what was measured.
        """
        try:
            runner = start(content, kind, spec, Device("cpu"))
        except ModelRefusedError as error:
            raise ParityError(f"the runtime would refuse the {kind} file: {error}") from error
        weights, activations = _STORED[self.precision]
        own = FILE_GOLDEN_TOLERANCE.get(self.precision)
        return ModelFile(
            name=f"{spec.name}.{kind}",
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            weights=weights,
            opset={"onnx": onnx.OPSET, "tflite": tflite.SCHEMA}[kind],
            parity=self._check(runner),
            activations=activations,
            golden=golden(lambda x: runner.predict(x).logit(), spec.size, own) if own else None,
        )

    def _check(self, runner: Runner) -> Parity:
        passed = self.parity.check(runner)
        if self.validation is None:
            return passed
        loss = self.validation.check(score_with(runner)(self.parity.pixels))
        return replace(passed, auc_loss=loss)


def make_gates(trained: Trained, precision: str) -> Gates:
    """The reference is the trained network, before any rounding."""
    images, points = trained.images, trained.operating_points
    probability = trained.source.probability(images.pixels)
    evidence = trained.source.evidence(images.pixels)
    parity = Gate(images.pixels, probability, evidence, points, precision, "Keras float32")
    lossy = precision != "float32"
    validation = ValidationGate(images.labels, probability, points["screening"].threshold)
    return Gates(parity, validation if lossy else None, precision)
