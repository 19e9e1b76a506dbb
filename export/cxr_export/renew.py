"""Renews the spec of a model whose trained network is gone, from its own ONNX file.

    python -m cxr_export.renew models/NAME.onnx --run RUN --data TRAIN --test TEST --version X.Y.Z

Operating points, validation figures, tests and reliability are measured anew, on the scores of the
ONNX file. The graphs and weights, their golden cases and their parity stay as they are; spec, card
and the specs inside both files are written. Decisions at the new thresholds are held against the
trained network's scores of its validation films, which RUN keeps.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx as onnx_library

from cxr_edge.errors import DataError, ExportError, ParityError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.files import ModelFile
from cxr_edge.model.spec import ModelSpec, Training
from cxr_edge.runtime import Device, start
from cxr_edge.runtime.loading import proven
from cxr_edge.runtime.protocol import Runner
from cxr_edge.statistics.measurements import FeatureDistribution
from cxr_export import onnx, tflite
from cxr_export.card import render_card
from cxr_export.export import labelled_images, validated_among, write_model
from cxr_export.intended_use import KERMANY, KERMANY_USE
from cxr_export.precision import logits_with, runner_of, score_with
from cxr_export.reliability_measurement import Judged, measure_reliability
from cxr_export.spec_draft import evaluate, points_on_copies, spread
from cxr_export.training_run import TrainingRun, load_run
from cxr_training.films.data import ImageSet, Split, check_held_back
from cxr_training.films.features import image_features_of
from cxr_training.fit.run import PREDICTIONS_FILE


@dataclass(frozen=True)
class RenewJob:
    """A request to renew a spec.

    Attributes:
        model: the ONNX file, beside its spec.
        run: RUN folder that it comes from; its `model.keras` is not needed.
        data: the folder that the run was trained with.
        test: labelled folder that chose nothing.
        version: the model's new one.
        out: folder for files, spec and card; the model's own folder renews it in place.
    """

    model: Path
    run: Path
    data: Path
    test: Path
    version: str
    out: Path


def renew(job: RenewJob) -> ModelSpec:
    """Measure anew and write.

    Raises:
        ModelRefusedError: a file is not what its spec pins.
        ExportError, DataError: run or folders are not those of the model, or a test film is not
            new.
        ParityError: a decision at a new threshold is not the trained network's.
    """
    spec = choose_model(str(job.model)).spec
    contents = _contents(job.model, spec)
    run = load_run(job.run)
    if spec.training is None or run.training.data_sha256 != spec.training.data_sha256:
        raise ExportError(f"{job.run} is not the run that {spec.name} comes from")
    films = _films(job, spec, run)
    runner = runner_of(contents["onnx"], "onnx")
    spec = _measured(job, spec, films, runner)
    _check_decisions(job.run / PREDICTIONS_FILE, films.validation, spec, contents)
    spec = replace(spec, version=job.version)
    renewed = {kind: _with_spec(kind, content, spec) for kind, content in contents.items()}
    for kind, content in renewed.items():
        start(content, kind, spec, Device("cpu"))  # the self-test, as the runtime makes it
    files = {kind: _pinned(spec.files[kind], content) for kind, content in renewed.items()}
    spec = replace(spec, files=files)
    write_model(job.out, spec, renewed, render_card(spec))
    return spec


def _contents(model: Path, spec: ModelSpec) -> dict[str, bytes]:
    """Each format's bytes, as the spec pins them."""
    return {
        kind: proven(choose_model(str(model.parent / file.name)))
        for kind, file in spec.files.items()
    }


def _films(job: RenewJob, spec: ModelSpec, run: TrainingRun) -> Split:
    images = labelled_images(job.data, spec.size, None)
    if images.sha256 != run.training.data_sha256:
        raise DataError(f"{job.data} holds other films than {job.run} was trained with")
    validated = validated_among(images, run)
    return Split(
        train=images.subset(np.flatnonzero(~validated)),
        validation=images.subset(np.flatnonzero(validated)),
    )


def _measured(job: RenewJob, spec: ModelSpec, films: Split, runner: Runner) -> ModelSpec:
    """The spec with all that the ONNX file says of films."""
    score, validation = score_with(runner), films.validation
    data = spec.validation_scores.data if spec.validation_scores else job.data.name
    points = points_on_copies(score, validation, data)
    logits = logits_with(runner)(validation.pixels)
    features = {**image_features_of(validation.files, spec.size), "logit": logits}
    test = labelled_images(job.test, spec.size, None)
    known = frozenset(file.sha256 for side in (films.train, validation) for file in side.files)
    check_held_back(job.test, test, known, f"films of {job.data}")
    tests = {job.test.resolve().name: test}
    judged = Judged(runner, points, films, data, tests)
    return replace(
        spec,
        training=spec.training and _without_changed_films(spec.training),
        operating_points=points,
        validation_scores=spread(data, validation, score(validation.pixels)),
        validation_features=FeatureDistribution.of(data, features),
        evaluations=tuple(evaluate(score, test, name, points) for name, test in tests.items()),
        reliability=measure_reliability(judged).to_dict(),
        use=KERMANY_USE if spec.data_source == KERMANY else spec.use,
    )


def _without_changed_films(training: Training) -> Training:
    """Figures of copies that hung on a recipe, which nothing else can be held against."""
    metrics = {key: value for key, value in training.metrics.items() if key != "changed_films"}
    return replace(training, metrics=metrics)


def _check_decisions(
    predictions: Path, validation: ImageSet, spec: ModelSpec, contents: Mapping[str, bytes]
) -> None:
    """No decision may change outside the difference that parity measured."""
    with predictions.open(newline="", encoding="utf-8") as stream:
        trained = {row["name"]: float(row["probability"]) for row in csv.DictReader(stream)}
    expected = np.array([trained[file.name] for file in validation.files])
    for kind, content in contents.items():
        probability = score_with(runner_of(content, kind))(validation.pixels)
        margin = spec.files[kind].parity.max_abs_difference
        for name, point in spec.operating_points.items():
            clear = np.abs(expected - point.threshold) > margin
            changed = (probability >= point.threshold) != (expected >= point.threshold)
            if flips := int((clear & changed).sum()):
                raise ParityError(f"{kind}: {flips} decisions at {name} are not the network's")


def _with_spec(kind: str, content: bytes, spec: ModelSpec) -> bytes:
    if kind == "tflite":
        return tflite.with_spec(content, spec)
    return onnx.with_spec(onnx_library.load_from_string(content), spec)


def _pinned(file: ModelFile, content: bytes) -> ModelFile:
    return replace(file, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m cxr_export.renew", description=__doc__)
    parser.add_argument("model", type=Path)
    for name in ("--run", "--data", "--test"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, help="another folder than the model's")
    given = vars(parser.parse_args())
    renew(RenewJob(**{**given, "out": given["out"] or given["model"].parent}))


if __name__ == "__main__":
    main()
