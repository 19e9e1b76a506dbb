"""How far the scores can be trusted, and the thresholds that out-of-fold scores choose."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cxr_edge.errors import DataError, ExportError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, load
from cxr_export import export as driver
from cxr_export.export import ExportJob, export
from cxr_export.film_changes import CHANGES
from cxr_export.source import load_source
from cxr_training.films.copies import DRAWS
from tests.export.exports import elsewhere
from tests.export.networks import reads_keras_variables

# Whole exports, with every measurement.
pytestmark = [reads_keras_variables, pytest.mark.slow]


def test_out_of_fold_scores_choose_the_thresholds_that_are_gated_and_shipped(
    job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    of_run = load_source(job.source).run
    assert of_run is not None
    points = {
        name: replace(point, threshold=0.123456, data="pooled")
        for name, point in of_run.operating_points.items()
    }

    def pooled(*folders: Path) -> Any:
        asked.append(folders)
        return points

    monkeypatch.setattr(driver, "out_of_fold_points", pooled)
    spec = export(elsewhere(job, tmp_path, out_of_fold=Path("folds")))
    assert asked == [(Path("folds"), job.source)]
    assert spec.operating_points == points
    assert spec.validation_scores is not None
    assert spec.validation_scores.data != "pooled", "still those of the run's validation films"
    assert (
        spec.evaluations[0].operating_points["screening"]
        == (spec.evaluations[0].operating_points["balanced"])
    )


def test_out_of_fold_scores_need_a_run(job: ExportJob, tmp_path: Path) -> None:
    bare = tmp_path / "bare.keras"
    shutil.copy(job.source / "model.keras", bare)
    with pytest.raises(ExportError, match="is no run folder, which --out-of-fold needs"):
        export(elsewhere(job, tmp_path, source=bare, out_of_fold=tmp_path))


@pytest.mark.usefixtures("conversions", "few_patients")
def test_reliability_is_that_of_the_file_on_the_validation_films(
    job: ExportJob, exported: ModelSpec, tmp_path: Path
) -> None:
    assert exported.reliability is None
    spec = export(elsewhere(job, tmp_path, measure_reliability=True))
    assert exported == replace(spec, files=exported.files, reliability=None), "nothing else"
    found = Reliability.from_dict(spec.reliability)
    run = load_source(job.source).run
    assert run is not None
    assert run.training.validation_counts == found.counts
    assert found.data == run.validation_scores.data
    assert [row.change for row in found.changes] == [change.name for change in CHANGES[:3]]
    probability, labels = _validation(job)
    said = metrics.roc_auc_score(labels, probability.round(6))
    assert found.changes[0].auc.value == pytest.approx(said, abs=1e-6)
    on_validation, on_copies, on_test = found.calibration
    squares = ((probability - labels) ** 2).mean()
    assert on_validation.brier == pytest.approx(squares, abs=1e-5)
    assert on_copies.films == DRAWS * on_validation.films
    assert on_test.data == "held_back"
    card = (tmp_path / "out" / "mine.md").read_text()
    assert "## Changed films" in card
    assert json.loads((tmp_path / "out" / "mine.json").read_text()) == spec.to_dict()
    choice = choose_model(str(tmp_path / "out" / "mine.onnx"))
    assert load(choice, Device("cpu")).backend.startswith("onnxruntime"), "file and spec agree"


def _validation(job: ExportJob) -> tuple[Any, Any]:
    """The run's own words about its validation films."""
    with (job.source / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return tuple(np.array([float(row[key]) for row in rows]) for key in ("probability", "label"))


def test_reliability_needs_a_run(job: ExportJob, tmp_path: Path) -> None:
    bare = tmp_path / "bare.keras"
    shutil.copy(job.source / "model.keras", bare)
    with pytest.raises(ExportError, match="is no run folder, which --measure-reliability needs"):
        export(elsewhere(job, tmp_path, source=bare, measure_reliability=True))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("conversions")
def test_reliability_needs_the_films_of_the_run(job: ExportJob, tmp_path: Path) -> None:
    """Style is learned where the network learned: one film more is another folder."""
    more = tmp_path / "more"
    for path in job.calibration.rglob("*.*"):
        (more / path.parent.name).mkdir(parents=True, exist_ok=True)
        (more / path.parent.name / path.name).symlink_to(path.resolve())
    shutil.copy(path.resolve(), more / "NORMAL" / f"another{path.suffix}")
    with pytest.raises(DataError, match=r"more holds other films than .* was trained with"):
        export(elsewhere(job, tmp_path, calibration=more, measure_reliability=True))
    assert not (tmp_path / "out").exists()
