"""A spec renewed from the files of a model whose trained network is gone."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from cxr_edge.errors import DataError, ExportError, ModelRefusedError, ParityError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, load
from cxr_export.export import ExportJob
from cxr_export.renew import RenewJob, main, renew
from cxr_training.films.copies import COPIES_VERSION, DRAWS
from cxr_training.support.writing import write_table
from tests.export.networks import reads_keras_variables

# Rests on a whole export.
pytestmark = [reads_keras_variables, pytest.mark.slow, pytest.mark.usefixtures("few_patients")]


@pytest.fixture
def old(exported: ModelSpec, job: ExportJob, tmp_path: Path) -> RenewJob:
    """A model and its run, of which only tables are left."""
    models = Path(shutil.copytree(job.out, tmp_path / "models"))
    run = Path(shutil.copytree(job.source, tmp_path / "run"))
    (run / "model.keras").unlink()
    assert job.test is not None
    out = tmp_path / "renewed"
    return RenewJob(models / "mine.onnx", run, job.calibration, job.test, "3.0.0", out)


def test_points_are_chosen_on_copies_and_graphs_stay(old: RenewJob, exported: ModelSpec) -> None:
    spec = renew(old)
    assert spec.version == "3.0.0"
    for name, point in spec.operating_points.items():
        chosen = exported.operating_points[name]
        assert point.threshold == pytest.approx(chosen.threshold, abs=1e-5)
        assert point.chosen_by == chosen.chosen_by
        assert point.copies is not None
        assert (point.copies.version, point.copies.draws) == (COPIES_VERSION, DRAWS)
    assert spec.golden == exported.golden
    for kind, file in spec.files.items():
        assert file.parity == exported.files[kind].parity
        runner = load(choose_model(str(old.out / f"mine.{kind}")), Device("cpu"))
        before = load(choose_model(str(old.model.with_suffix(f".{kind}"))), Device("cpu"))
        images = np.random.default_rng(0).integers(0, 256, (3, 50, 50, 1), np.uint8)
        np.testing.assert_array_equal(
            runner.predict(images).probability, before.predict(images).probability
        )
    graphs = [onnx.load(path).graph for path in (old.model, old.out / "mine.onnx")]
    assert graphs[0] == graphs[1]


def test_everything_that_films_say_is_measured_anew(old: RenewJob, exported: ModelSpec) -> None:
    spec = renew(old)
    features, before = spec.validation_features, exported.validation_features
    assert features is not None
    assert before is not None
    for name, quantiles in features.quantiles.items():
        assert quantiles == pytest.approx(before.quantiles[name], abs=1e-3, rel=1e-4), name
    assert spec.evaluations[0].counts == exported.evaluations[0].counts
    assert len(Reliability.from_dict(spec.reliability).calibration) == 3
    card = (old.out / "mine.md").read_text()
    assert card.startswith("# mine 3.0.0")
    assert json.loads((old.out / "mine.json").read_text()) == spec.to_dict()


def test_a_decision_that_is_not_the_networks_stops_it(old: RenewJob) -> None:
    table = old.run / "predictions.csv"
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows = [{**row, "probability": f"{1 - float(row['probability']):.6f}"} for row in rows]
    described = json.loads((old.run / "run.json").read_text())
    write_table(table, rows)
    (old.run / "run.json").write_text(json.dumps(described))
    with pytest.raises(ParityError, match=r"onnx: \d+ decisions at \w+ are not the network's"):
        renew(old)
    assert not old.out.exists()


def test_another_run_or_other_films_are_refused(old: RenewJob) -> None:
    other = replace(old, data=old.test)
    with pytest.raises(DataError, match="holds other films than"):
        renew(other)
    described = json.loads((old.run / "run.json").read_text())
    described["data"]["sha256"] = "0" * 64
    (old.run / "run.json").write_text(json.dumps(described))
    with pytest.raises(ExportError, match="is not the run that mine comes from"):
        renew(old)


def test_a_file_that_was_changed_is_refused(old: RenewJob) -> None:
    tflite = old.model.with_suffix(".tflite")
    tflite.write_bytes(tflite.read_bytes() + b"x")
    with pytest.raises(ModelRefusedError, match=r"is not the file that its spec pins"):
        renew(old)


def test_the_command_renews_in_place(old: RenewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--run", old.run, "--data", old.data, "--test", old.test, "--version", "3.0.0"]
    monkeypatch.setattr(sys, "argv", ["renew", str(old.model), *map(str, options)])
    main()
    assert choose_model(str(old.model)).spec.version == "3.0.0"
