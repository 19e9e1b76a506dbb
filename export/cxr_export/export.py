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

from cxr_edge.errors import DataError, ExportError, InputError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.model.files import FIRST_VERSION, ModelFile
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.atomic import sync_folder, write_atomically
from cxr_export import onnx, tflite, weight_quantisation
from cxr_export.card import render_card
from cxr_export.graph import InferenceGraph
from cxr_export.intended_use import with_stated
from cxr_export.parity import sample_evenly
from cxr_export.parity_gates import Trained, make_gates
from cxr_export.precision import (
    Networks,
    convert,
    float32_runner,
    runner_of,
    score_with,
)
from cxr_export.reliability_measurement import Judged, measure_reliability
from cxr_export.source import Source, load_source
from cxr_export.spec_draft import (
    Measured,
    Score,
    draft_spec,
    evaluate,
    operating_points,
    remeasured,
    spread,
)
from cxr_export.speed import measure_speed
from cxr_export.training_run import TrainingRun
from cxr_training.films.data import (
    ImageSet,
    Split,
    check_held_back,
    find_labelled,
    load_images,
)
from cxr_training.judge.thresholds import out_of_fold_points

CALIBRATION_IMAGES = 256
_WHOLE_FOLDER = "give the folder that the network was trained with"
_OLDEST = 120
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}")


@dataclass(frozen=True)
class ExportJob:
    """A request to `cxr-edge export`.

    Attributes:
        source: a RUN folder or a `.keras` file.
        name: of the model, and of its files.
        calibration: labelled folder whose x-rays the parity gate uses.
        labels: where findings and patients of the calibration films stand.
        test_labels: table of the test films, if they have one; all else is as for calibration.
        out: folder for model files, spec and card.
        precision: a value of `PRECISIONS`; all but `float32` are measured on all films that the run
            validated on, which the calibration folder has to hold, each of them readable.
        test: labelled folder to measure the finished model on, recorded in spec and card.
        measure_speed: record how fast each file is beside the float32 one.
        out_of_fold: `cxr-edge train --folds` of the same recipe; its scores choose the thresholds.
        measure_reliability: record what changed films do to the scores, how far shortcuts get, and
            calibration; needs all films that the run was trained with as calibration folder.
        version: X.Y.Z of the model; stands in spec, card and every report.
        population: people in the training films, in words; stands in spec, card and every report.
        ages: youngest and oldest age in completed years; other patients get a warning.
        views: of `cxr_export.intended_use.VIEWS`; films of another view get a warning.
    """

    source: Path
    name: str
    calibration: Path
    out: Path
    precision: str = "float32"
    test: Path | None = None
    measure_speed: bool = False
    out_of_fold: Path | None = None
    measure_reliability: bool = False
    version: str = FIRST_VERSION
    population: str = ""
    ages: tuple[float, float] | None = None
    views: tuple[str, ...] = ()
    labels: Labels = FOLDER_NAMES
    test_labels: Path | None = None

    def __post_init__(self) -> None:
        """A name becomes file names, and a version is told from others by people."""
        if not _NAME.fullmatch(self.name):
            raise InputError(f"name {self.name!r} must be letters, digits, _ and - only")
        if not _VERSION.fullmatch(self.version):
            raise InputError(f"version {self.version!r} must be three numbers, such as 1.0.0")
        if not self.population.isprintable():
            raise InputError("population must be one line of printable text")
        if self.ages and not 0 <= self.ages[0] <= self.ages[1] <= _OLDEST:
            raise InputError(f"ages must be two numbers from 0 to {_OLDEST}, the lower one first")
        if self.test_labels and self.test is None:
            raise InputError("--test-labels is about the films of --test", tip="give --test")
        if self.measure_speed and self.precision == "float32":
            raise InputError("a float32 file has no other to measure its speed beside")


def export(job: ExportJob) -> ModelSpec:
    """Write `<name>.onnx`, `<name>.tflite`, `<name>.json` and `<name>.md`; float16 has no TFLite.

    Raises:
        ExportError: the source cannot be exported.
        ParityError: a file does not compute what the source computes; nothing is written.
        DataError: the calibration or test folder cannot be used.
    """
    source = load_source(job.source)
    images = _gate_images(job, source)
    trained = Trained(source, images, _points(job, source, images))
    gates = make_gates(trained, job.precision)
    if job.precision == "int8-weights":
        weight_quantisation.snap(source.model)
    graph = InferenceGraph(source.model)
    networks = convert(graph, job.precision, images.pixels)
    spec = draft_spec(job.name, source, graph.head.cells, _measured(job, trained, networks))
    use = with_stated(spec.use, job.population, job.ages, job.views)
    spec = replace(spec, version=job.version, use=use)
    contents = _contents(networks, spec)
    files = {kind: gates.file(kind, content, spec) for kind, content in contents.items()}
    if job.measure_speed:
        files = _with_speed(files, contents, graph, images)
    spec = replace(spec, files=files)
    write_model(job.out, spec, contents, render_card(spec))
    return spec


def _points(job: ExportJob, source: Source, images: ImageSet) -> dict[str, OperatingPoint]:
    """Operating points of the run, unless out-of-fold scores are to choose them."""
    if job.out_of_fold is None:
        return operating_points(source, images)
    if source.run is None:
        raise ExportError(f"{job.source} is no run folder, which --out-of-fold needs")
    return out_of_fold_points(job.out_of_fold, job.source)


def _gate_images(job: ExportJob, source: Source) -> ImageSet:
    """A sample of the folder; all films that the run validated on, where fewer bits may lose."""
    if job.precision == "float32":
        return labelled_images(job.calibration, source.size, CALIBRATION_IMAGES, job.labels)
    images = labelled_images(job.calibration, source.size, None, job.labels)
    if source.run is None:
        return images
    validated = validated_among(images, source.run)
    if missing := len(source.run.validation_films) - sum(validated):
        raise DataError(
            f"{job.calibration} lacks {missing} of {len(source.run.validation_films)} films that "
            f"the run validated on; {job.precision} is measured on them",
            tip=_WHOLE_FOLDER,
        )
    return images.subset(np.flatnonzero(validated))


def validated_among(images: ImageSet, run: TrainingRun) -> NDArray[np.bool_]:
    """Mask of the films that the run validated on: [N]."""
    return np.array([file.name in run.validation_films for file in images.files])


def _measured(job: ExportJob, trained: Trained, networks: Networks) -> Measured:
    """Figures of the finished network: by Keras, or by the ONNX file where that has fewer bits."""
    run, images, points = trained.source.run, trained.images, trained.operating_points
    spread_of_scores = run.validation_scores if run else None
    score: Score = trained.source.score
    if job.precision != "float32":
        score = score_with(runner_of(networks.onnx.SerializeToString(), "onnx"))
        data = spread_of_scores.data if spread_of_scores else points["screening"].data
        points = remeasured(points, images, score, data)
        spread_of_scores = spread(data, images, score(images.pixels))
    tests = _tests(job, trained.source)
    return Measured(
        operating_points=points,
        evaluations=tuple(evaluate(score, test, name, points) for name, test in tests.items()),
        validation_scores=spread_of_scores,
        validation_features=run.validation_features if run else None,
        precision=job.precision,
        reliability=_reliability(job, trained.source, networks, points, tests),
    )


def _tests(job: ExportJob, source: Source) -> dict[str, ImageSet]:
    """The set that chose nothing, by its name, where one was given."""
    if job.test is None:
        return {}
    test_labels = replace(job.labels, table=job.test_labels)
    held_back = labelled_images(job.test, source.size, None, test_labels)
    if source.run and held_back.sha256 == source.run.training.data_sha256:
        raise DataError(
            f"{job.test} is what {job.source} was trained with; it tests nothing",
            tip="give a folder that was held back, or leave --test out",
        )
    check_held_back(job.test, held_back, *_seen(job, source))
    return {job.test.resolve().name: held_back}


def _seen(job: ExportJob, source: Source) -> tuple[frozenset[str], str]:
    """SHA-256 of the films that the network or its points have seen, and whose they are."""
    if source.run and source.run.films_sha256:
        return source.run.films_sha256, f"films of {job.source}"
    # An older run keeps no hashes, and a .keras file none at all: calibration is all that is known,
    # and mostly it is what they were trained with.
    hashes = (_sha256(file.path) for file in find_labelled(job.calibration, job.labels))
    return frozenset(hashes), f"films of --calibration {job.calibration}"


def _sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; empty for one that cannot be read: no film of a test."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _reliability(
    job: ExportJob,
    source: Source,
    networks: Networks,
    points: dict[str, OperatingPoint],
    tests: dict[str, ImageSet],
) -> Reliability | None:
    """Reliability of the scores of the ONNX file, if that was asked for."""
    if not job.measure_reliability:
        return None
    if source.run is None:
        raise ExportError(f"{job.source} is no run folder, which --measure-reliability needs")
    images = labelled_images(job.calibration, source.size, None, job.labels)
    if images.sha256 != source.run.training.data_sha256:
        raise DataError(
            f"{job.calibration} holds other films than {job.source} was trained with, which "
            "--measure-reliability needs",
            tip=_WHOLE_FOLDER,
        )
    validated = validated_among(images, source.run)
    return measure_reliability(
        Judged(
            runner=runner_of(networks.onnx.SerializeToString(), "onnx"),
            points=points,
            films=Split(
                train=images.subset(np.flatnonzero(~validated)),
                validation=images.subset(np.flatnonzero(validated)),
            ),
            data=source.run.validation_scores.data,
            tests=tests,
        )
    )


def labelled_images(
    folder: Path, size: int, most: int | None, labels: Labels = FOLDER_NAMES
) -> ImageSet:
    """A labelled folder's images, at most `most` of them, spread evenly.

    A sample may lack what cannot be read; a figure about the whole folder may not.
    """
    files = find_labelled(folder, labels)
    chosen = sample_evenly(len(files), most or len(files))
    images, skipped = load_images([files[i] for i in chosen], size, labels=labels)
    if skipped and most is None:
        names = ", ".join(item.name for item in skipped[:5])
        raise DataError(
            f"films of {folder} that cannot be read: {len(skipped)}, such as {names}",
            tip="a figure is about the whole folder: take them out of it, or out of the CSV",
        )
    return images


def _contents(networks: Networks, spec: ModelSpec) -> dict[str, bytes]:
    """Each format's bytes."""
    contents = {"onnx": onnx.with_spec(networks.onnx, spec)}
    if networks.tflite is not None:
        contents["tflite"] = tflite.with_spec(networks.tflite, spec)
    return contents


def _with_speed(
    files: dict[str, ModelFile],
    contents: dict[str, bytes],
    graph: InferenceGraph,
    images: ImageSet,
) -> dict[str, ModelFile]:
    """Each file's speed beside the same network in float32."""
    timed = {}
    for kind, file in files.items():
        runner, beside = runner_of(contents[kind], kind), float32_runner(graph, kind)
        speed = measure_speed(runner, beside, "the float32 file", images.pixels)
        timed[kind] = replace(file, speed=speed)
    return timed


def write_model(
    out: Path, spec: ModelSpec | ScopeSpec, contents: Mapping[str, bytes], card: str
) -> None:
    """Write all beside their targets first, then over them; the spec last, as it pins the rest.

    Args:
        out: folder of the model.
        spec: of a classifier or a scope gate.
        contents: model files by kind.
        card: its text.

    Raises:
        ExportError: it cannot be written.
    """
    files = {spec.files[kind].name: content for kind, content in contents.items()}
    files[f"{spec.name}.md"] = card.encode()
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
