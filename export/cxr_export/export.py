"""The driver behind `cxr-edge export`: fold, convert, hold against the source, write."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge.atomic import sync_folder, write_atomically
from cxr_edge.errors import DataError, ExportError, ModelRefusedError, ParityError
from cxr_edge.operating_points import OperatingPoint
from cxr_edge.runtime import Device, start
from cxr_edge.spec import ModelFile, ModelSpec
from cxr_export import compact, onnx, tflite
from cxr_export.card import render_card
from cxr_export.draft import Measured, draft_spec, evaluate, operating_points
from cxr_export.graph import InferenceGraph
from cxr_export.parity import TOLERANCE, Gate, sample_evenly
from cxr_export.source import Source, load_source
from cxr_training.data import ImageSet, find_labelled, load_images
from cxr_training.thresholds import out_of_fold_points

CALIBRATION_IMAGES = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class ExportJob:
    """What `cxr-edge export` was asked to do.

    Attributes:
        source: a RUN folder or a `.keras` file.
        name: of the model, and of its files.
        calibration: labelled folder whose x-rays the parity gate uses.
        out: folder for model files, spec and card.
        weights: how weights are stored: `float32` or `int8`.
        test: labelled folder to measure the finished model on, recorded in spec and card.
        out_of_fold: `cxr-edge train --folds` of the same recipe; its scores choose the thresholds.
    """

    source: Path
    name: str
    calibration: Path
    out: Path
    weights: str = "float32"
    test: Path | None = None
    out_of_fold: Path | None = None

    def __post_init__(self) -> None:
        """A name becomes file names."""
        if not _NAME.fullmatch(self.name):
            raise ExportError(f"name {self.name!r} must be letters, digits, _ and - only")


def export(job: ExportJob) -> ModelSpec:
    """Write `<name>.onnx`, `<name>.tflite`, `<name>.json` and `<name>.md`.

    Raises:
        ExportError: the source cannot be exported.
        ParityError: a file does not compute what the source computes; nothing is written.
        DataError: the calibration or test folder cannot be used.
    """
    source = load_source(job.source)
    images = _labelled(job.calibration, source.size, CALIBRATION_IMAGES)
    points = _points(job, source, images)
    gate = _gate(source, images.pixels, points, job.weights)
    if job.weights == "int8":
        compact.snap(source.model)
    graph = InferenceGraph(source.model)
    tests = []
    if job.test is not None:
        held_back = _labelled(job.test, source.size, None)
        tests.append(evaluate(source, held_back, job.test.resolve().name, points))
    spec = draft_spec(job.name, source, graph.head.cells, Measured(points, tuple(tests)))
    contents = _convert(graph, spec, job.weights)
    files = {
        kind: _checked_file(kind, content, spec, gate, job.weights)
        for kind, content in contents.items()
    }
    spec = replace(spec, files=files)
    _write(job.out, spec, contents)
    return spec


def _points(job: ExportJob, source: Source, images: ImageSet) -> dict[str, OperatingPoint]:
    """Those of the run, unless out-of-fold scores are to choose them."""
    if job.out_of_fold is None:
        return operating_points(source, images)
    if source.run is None:
        raise ExportError(f"{job.source} is no run folder, which --out-of-fold needs")
    return out_of_fold_points(job.out_of_fold, job.source)


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


def _gate(
    source: Source, pixels: NDArray[np.uint8], points: Mapping[str, OperatingPoint], weights: str
) -> Gate:
    """The reference is the trained network, before any rounding of its weights."""
    return Gate(pixels, source.probability(pixels), points, TOLERANCE[weights], "Keras float32")


def _convert(graph: InferenceGraph, spec: ModelSpec, weights: str) -> dict[str, bytes]:
    """Both formats' bytes."""
    onnx_model, tflite_content = onnx.convert(graph), tflite.convert(graph)
    if weights == "int8":
        compact.pack_onnx(onnx_model)
        tflite_content = compact.pack_tflite(tflite_content)
    return {"onnx": onnx.with_spec(onnx_model, spec), "tflite": tflite_content}


def _checked_file(
    kind: str, content: bytes, spec: ModelSpec, gate: Gate, weights: str
) -> ModelFile:
    """Names, shapes and self-test as the runtime will check them; then the gate."""
    try:
        runner = start(content, kind, spec, Device("cpu"))
    except ModelRefusedError as error:
        raise ParityError(f"the runtime would refuse the {kind} file: {error}") from error
    return ModelFile(
        name=f"{spec.name}.{kind}",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        weights=weights,
        opset={"onnx": onnx.OPSET, "tflite": tflite.SCHEMA}[kind],
        parity=gate.check(runner),
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
