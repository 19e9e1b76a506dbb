"""The driver behind `cxr-edge export`: fold, convert, hold against the source, write."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_edge.atomic import sync_folder, write_atomically
from cxr_edge.errors import DataError, ExportError, ModelRefusedError, ParityError
from cxr_edge.model_file import PRECISIONS, ModelFile, Parity
from cxr_edge.operating_points import OperatingPoint
from cxr_edge.runtime import Device, Runner, start
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.spec import ModelSpec
from cxr_export import compact, onnx, tflite
from cxr_export.card import render_card
from cxr_export.draft import (
    Measured,
    Score,
    draft_spec,
    evaluate,
    operating_points,
    remeasured,
    spread,
)
from cxr_export.graph import InferenceGraph
from cxr_export.parity import TOLERANCE, Gate, ValidationGate, sample_evenly
from cxr_export.source import Source, load_source, sigmoid
from cxr_export.speed import measure_speed
from cxr_export.variants import FEWER_BITS, Networks, convert, float32_runner, score_with
from cxr_training.data import ImageSet, find_labelled, load_images

CALIBRATION_IMAGES = 256
_STORED = {precision: stored for stored, precision in PRECISIONS.items()}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class ExportJob:
    """What `cxr-edge export` was asked to do.

    Attributes:
        source: a RUN folder or a `.keras` file.
        name: of the model, and of its files.
        calibration: labelled folder whose x-rays the parity gate uses.
        out: folder for model files, spec and card.
        precision: a value of `PRECISIONS`; `float16` and `int8` are measured on all films that the
            run validated on, which the calibration folder has to hold.
        test: labelled folder to measure the finished model on, recorded in spec and card.
        measure_speed: record how fast each file is beside the float32 one.
    """

    source: Path
    name: str
    calibration: Path
    out: Path
    precision: str = "float32"
    test: Path | None = None
    measure_speed: bool = False

    def __post_init__(self) -> None:
        """A name becomes file names."""
        if not _NAME.fullmatch(self.name):
            raise ExportError(f"name {self.name!r} must be letters, digits, _ and - only")
        if self.measure_speed and self.precision == "float32":
            raise ExportError("a float32 file has no other to measure its speed beside")


def export(job: ExportJob) -> ModelSpec:
    """Write `<name>.onnx`, `<name>.tflite`, `<name>.json` and `<name>.md`; float16 has no TFLite.

    Raises:
        ExportError: the source cannot be exported.
        ParityError: a file does not compute what the source computes; nothing is written.
        DataError: the calibration or test folder cannot be used.
    """
    source = load_source(job.source)
    images = _gate_images(job, source)
    points = operating_points(source, images)
    gates = _gates(source, images, points, job.precision)
    if job.precision == "int8-weights":
        compact.snap(source.model)
    graph = InferenceGraph(source.model)
    networks = convert(graph, job.precision, images.pixels)
    measured = _measured(job, source, networks, images, points)
    spec = draft_spec(job.name, source, graph.head.cells, measured)
    contents = _contents(networks, spec)
    float32 = graph if job.measure_speed else None
    files = {
        kind: _checked_file(kind, content, spec, gates, float32)
        for kind, content in contents.items()
    }
    spec = replace(spec, files=files)
    _write(job.out, spec, contents)
    return spec


def _gate_images(job: ExportJob, source: Source) -> ImageSet:
    """A sample of the folder; all films that the run validated on, where fewer bits may lose."""
    if job.precision not in FEWER_BITS:
        return _labelled(job.calibration, source.size, CALIBRATION_IMAGES)
    images = _labelled(job.calibration, source.size, None)
    if source.run is None:
        return images
    kept = [i for i, file in enumerate(images.files) if file.name in source.run.validation_films]
    if missing := len(source.run.validation_films) - len(kept):
        raise DataError(
            f"{job.calibration} lacks {missing} of {len(source.run.validation_films)} films that "
            f"the run validated on; {job.precision} is measured on them",
            tip="give the folder that the network was trained with",
        )
    return images.subset(kept)


def _measured(
    job: ExportJob,
    source: Source,
    networks: Networks,
    images: ImageSet,
    points: dict[str, OperatingPoint],
) -> Measured:
    """What the finished network does: by Keras, or by the ONNX file where that has fewer bits."""
    score: Score = lambda pixels: sigmoid(source.logits(pixels))  # noqa: E731
    spread_of_scores = source.run.validation_scores if source.run else None
    if job.precision in FEWER_BITS:
        runner = OnnxRunner(networks.onnx.SerializeToString(), Device("cpu"))
        score = score_with(runner)
        probability = score(images.pixels)
        points = remeasured(points, images, probability)
        spread_of_scores = spread(points["screening"].data, images, probability)
    tests = []
    if job.test is not None:
        held_back = _labelled(job.test, source.size, None)
        tests.append(evaluate(score, held_back, job.test.resolve().name, points))
    return Measured(points, tuple(tests), spread_of_scores, job.precision)


def _labelled(folder: Path, size: int, most: int | None) -> ImageSet:
    """A labelled folder's images, at most `most` of them, spread evenly.

    A sample may lack what cannot be read; a figure about the whole folder may not.
    """
    files = find_labelled(folder)
    chosen = sample_evenly(len(files), most or len(files))
    images, skipped = load_images([files[i] for i in chosen], size)
    if skipped and most is None:
        names = ", ".join(item.name for item in skipped[:5])
        raise DataError(f"{len(skipped)} films of {folder} cannot be read: {names}")
    return images


@dataclass(frozen=True)
class _Gates:
    """What every file has to pass, and what is recorded of it."""

    parity: Gate
    validation: ValidationGate | None
    precision: str

    def check(self, runner: Runner) -> Parity:
        """Both gates; ParityError with what was measured."""
        passed = self.parity.check(runner)
        if self.validation is None:
            return passed
        loss = self.validation.check(score_with(runner)(self.parity.pixels))
        return replace(passed, auc_loss=loss)


def _gates(
    source: Source, images: ImageSet, points: Mapping[str, OperatingPoint], precision: str
) -> _Gates:
    """The reference is the trained network, before any rounding."""
    probability = source.probability(images.pixels)
    parity = Gate(images.pixels, probability, points, TOLERANCE[precision], "Keras float32")
    lossy = precision in FEWER_BITS
    validation = ValidationGate(images.labels, probability, points["screening"])
    return _Gates(parity, validation if lossy else None, precision)


def _contents(networks: Networks, spec: ModelSpec) -> dict[str, bytes]:
    """Each format's bytes."""
    contents = {"onnx": onnx.with_spec(networks.onnx, spec)}
    return contents if networks.tflite is None else {**contents, "tflite": networks.tflite}


def _checked_file(
    kind: str, content: bytes, spec: ModelSpec, gates: _Gates, float32: InferenceGraph | None
) -> ModelFile:
    """Names, shapes and self-test as the runtime will check them; then the gates."""
    try:
        runner = start(content, kind, spec, Device("cpu"))
    except ModelRefusedError as error:
        raise ParityError(f"the runtime would refuse the {kind} file: {error}") from error
    parity, speed = gates.check(runner), None
    if float32 is not None:
        beside = float32_runner(float32, kind)
        speed = measure_speed(runner, beside, "the float32 file", gates.parity.pixels)
    weights, activations = _STORED[gates.precision]
    return ModelFile(
        name=f"{spec.name}.{kind}",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        weights=weights,
        opset={"onnx": onnx.OPSET, "tflite": tflite.SCHEMA}[kind],
        parity=parity,
        activations=activations,
        speed=speed,
    )


def _write(out: Path, spec: ModelSpec, contents: dict[str, bytes]) -> None:
    """All files beside their targets first, then over them; the spec last, as it pins the rest."""
    files = {spec.files[kind].name: content for kind, content in contents.items()}
    files[f"{spec.name}.md"] = render_card(spec).encode()
    files[f"{spec.name}.json"] = spec.to_json().encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=f".{spec.name}.") as staged:
            for name, content in files.items():
                write_atomically(Path(staged, name), content)
                Path(staged, name).chmod(0o644)  # models are public, unlike reports
            for name in files:
                Path(staged, name).replace(out / name)
        sync_folder(out)
    except OSError as error:
        raise ExportError(f"{out} cannot be written: {error.strerror}") from error
