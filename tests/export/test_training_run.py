"""A finished run as export reads it, and every run that it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.errors import ExportError, RecipeError
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_export.source import load_source
from cxr_export.training_run import load_run
from tests.export.networks import reads_keras_variables
from tests.factories import Change, drop, set_value

pytestmark = reads_keras_variables


def test_a_run_brings_what_run_json_says(run_folder: Path) -> None:
    values = json.loads((run_folder / "run.json").read_text())
    source = load_source(run_folder)
    assert source.run is not None
    assert source.run.net == source.model.name == "cnn3_50"
    training = source.run.training
    assert training.metrics == values["metrics"]
    assert training.train_counts == values["data"]["train"]
    assert training.validation_counts == values["data"]["validation"]
    assert (training.data, training.data_sha256) == (
        values["data"]["name"],
        values["data"]["sha256"],
    )
    assert (training.recipe, training.recipe_sha256) == ("tiny", values["recipe_sha256"])
    assert training.split == "50 % of patients held out, seed 42"
    for key in ("seed", "epochs", "seconds", "created_utc", "software"):
        assert getattr(training, key) == values[key]
    for name, point in source.run.operating_points.items():
        assert isinstance(point, OperatingPoint)
        assert point.threshold == values["operating_points"][name]["threshold"]


def test_a_run_brings_the_spread_of_its_validation_scores(run_folder: Path) -> None:
    run = load_source(run_folder).run
    assert run is not None
    assert run.validation_scores.data == run.operating_points["screening"].data
    with (run_folder / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    bins = {"NORMAL": [0] * 20, "PNEUMONIA": [0] * 20}
    for row in rows:
        name = row["name"].partition("/")[0]
        bins[name][min(int(float(row["probability"]) * 20), 19)] += 1
    assert run.validation_scores.counts == {name: tuple(found) for name, found in bins.items()}


DAMAGE: dict[str, tuple[Change, str]] = {
    "another schema": (set_value("schema_version", 2), "schema 2, this is 1"),
    "no schema": (drop("schema_version"), "schema_version"),
    "no recipe": (drop("recipe"), "recipe"),
    "recipe of another kind": (set_value("recipe", []), "list"),
    "no points": (drop("operating_points"), "operating_points"),
    "no screening": (drop("operating_points.screening"), "no operating point screening"),
    "no balanced": (drop("operating_points.balanced"), "no operating point balanced"),
    "threshold 1": (set_value("operating_points.screening.threshold", 1), "not inside"),
    "threshold as text": (set_value("operating_points.balanced.threshold", "0.5"), "threshold"),
    "sensitivity above 1": (
        set_value("operating_points.screening.sensitivity.value", 1.5),
        "not a proportion",
    ),
    "a field more": (set_value("operating_points.screening.why", "x"), "missing or unknown"),
    "no software": (drop("software"), "software"),
    "seed as text": (set_value("seed", "42"), "Expected `int`"),
    "counts as text": (set_value("data.train.NORMAL", "many"), "Expected `int`"),
    "no name of the data": (drop("data.name"), "name"),
}


def copied_run(run_folder: Path, tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(run_folder, tmp_path / "run")
    return copied


@pytest.mark.parametrize("seen_through", [None, 2])
def test_thresholds_about_other_pixels_are_refused(
    seen_through: int | None, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    values["preprocessing_version"] = seen_through
    if seen_through is None:
        del values["preprocessing_version"]
    (path / "run.json").write_text(json.dumps(values))
    with pytest.raises(ExportError, match=f"preprocessing {seen_through or 1}, this is"):
        load_source(path)


@pytest.mark.parametrize(("split_seed", "stated"), [(-1, 42), (7, 7)])
def test_the_split_is_told_by_its_own_seed(
    split_seed: int, stated: int, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    values["seed"], values["recipe"]["split_seed"] = 42, split_seed
    (path / "run.json").write_text(json.dumps(values))
    run = load_source(path).run
    assert run is not None
    assert run.training.split.endswith(f"seed {stated}")


def test_options_that_are_gone_are_read_at_their_defaults_alone(
    run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    values["recipe"] |= {"patience": 0, "precision": "float32"}
    (path / "run.json").write_text(json.dumps(values))
    assert load_source(path).run == load_source(run_folder).run
    values["recipe"]["precision"] = "mixed_bfloat16"
    (path / "run.json").write_text(json.dumps(values))
    with pytest.raises(RecipeError, match="precision is set, and was removed"):
        load_source(path)


def test_a_run_brings_its_teachers(run_folder: Path, tmp_path: Path) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    values["teachers"] = [
        {
            "net": "cnn4_50",
            "run": "anna-k",
            "recipe_sha256": "fedcba9876543210" * 4,
            "model_sha256": "0123456789abcdef" * 4,
        }
    ]
    (path / "run.json").write_text(json.dumps(values))
    run = load_source(path).run
    assert run is not None
    said = "cnn4_50 (recipe sha256 fedcba9876543210, model.keras 0123456789abcdef)"
    assert run.training.teachers == (said,)


@pytest.mark.parametrize("unknown", [None, 0, 7])
def test_a_run_says_of_how_many_films_it_knows_no_patient(
    unknown: int | None, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    values["data"]["unknown_patients"] = unknown
    if unknown is None:
        del values["data"]["unknown_patients"]
    (path / "run.json").write_text(json.dumps(values))
    run = load_source(path).run
    assert run is not None
    said = "; 7 films of unknown patients, each counted as one of its own" if unknown else ""
    assert run.training.split == f"50 % of patients held out, seed 42{said}"


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_run_json_is_refused(
    damage: Change, sentence: str, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    values = json.loads((path / "run.json").read_text())
    damage(values)
    (path / "run.json").write_text(json.dumps(values))
    with pytest.raises(ExportError, match=r"is not the run\.json of cxr-edge train") as caught:
        load_source(path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "run.json cannot be read"),
        ('{"net": "cnn3', "run.json cannot be read"),
        ("[" * 100_000, "run.json cannot be read"),
        ("\xff", "run.json cannot be read"),
        ("[]", "is not the run.json of cxr-edge train"),
        ("{}", "is not the run.json of cxr-edge train"),
        ('"model"', "is not the run.json of cxr-edge train"),
        ('{"schema_version": 1, "counts": {}}', "is not the run.json of cxr-edge train"),
    ],
    ids=["empty", "cut off", "nested", "not UTF-8", "list", "no fields", "text", "of score"],
)
def test_a_foreign_run_json_is_refused(
    text: str, sentence: str, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    (path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(ExportError, match=sentence):
        load_source(path)


def test_a_run_without_its_model_is_refused(run_folder: Path, tmp_path: Path) -> None:
    path = copied_run(run_folder, tmp_path)
    (path / "model.keras").unlink()
    with pytest.raises(ExportError, match=r"model\.keras is neither"):
        load_source(path)


def test_a_run_with_the_model_of_another_is_refused(
    run_folder: Path, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    shutil.copy(saved("cnn4_50"), path / "model.keras")
    with pytest.raises(ExportError, match=r"run\.json is about cnn3_50, model\.keras is cnn4_50"):
        load_source(path)


PREDICTIONS: dict[str, tuple[str, str]] = {
    "empty": ("", "holds other films than run.json counts"),
    "another table": ("epoch,loss\n1,0.5\n", "is not the predictions.csv of cxr-edge train"),
    "no number": ("name,label,probability\na,1,high\n", "is not the predictions.csv"),
    "a third class": ("name,label,probability\na,2,0.5\n", "is not the predictions.csv"),
    "cut": ("name,label,probability\na,1,0.5\nb,0", "is not the predictions.csv"),
    "not UTF-8": ("name,label,probability\n\xff,1,0.5\n", "is not the predictions.csv"),
    "NaN": ("name,label,probability\na,1,nan\n", "holds other films than run.json counts"),
}


@pytest.mark.parametrize(("text", "sentence"), PREDICTIONS.values(), ids=PREDICTIONS.keys())
def test_predictions_of_another_kind_are_refused(
    text: str, sentence: str, run_folder: Path, tmp_path: Path
) -> None:
    path = copied_run(run_folder, tmp_path)
    (path / "predictions.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ExportError, match=sentence):
        load_source(path)


def test_predictions_of_other_films_are_refused(run_folder: Path, tmp_path: Path) -> None:
    path = copied_run(run_folder, tmp_path)
    lines = (path / "predictions.csv").read_text().splitlines(keepends=True)
    (path / "predictions.csv").write_text("".join(lines[:-1]))
    with pytest.raises(ExportError, match=r"holds other films than run\.json counts"):
        load_source(path)


def test_a_run_without_its_predictions_is_refused(run_folder: Path, tmp_path: Path) -> None:
    path = copied_run(run_folder, tmp_path)
    (path / "predictions.csv").unlink()
    with pytest.raises(ExportError, match=r"predictions\.csv is not the"):
        load_source(path)


SOURCES = models_dir() / "sources"
RENEWED = "resnet50v2_50"  # its network is too large for the repository, which has its run alone
HALF = "efficientnet_lite0_160"  # and so is this one's
KEPT = [spec for spec in bundled_specs() if spec.name not in (RENEWED, HALF)]


@pytest.mark.parametrize("spec", KEPT, ids=lambda spec: spec.name)
def test_what_ships_was_measured_on_films_as_the_runtime_prepares_them(spec: ModelSpec) -> None:
    run = load_run(SOURCES / spec.name)
    assert (spec.training, spec.operating_points) == (run.training, run.operating_points)


def test_a_network_too_large_for_the_repository_has_its_run_there() -> None:
    """Its operating points were renewed on the scores of its ONNX file; the run has the first."""
    (spec,) = (spec for spec in bundled_specs() if spec.name == RENEWED)
    run = load_run(SOURCES / RENEWED)
    metrics = dict(run.training.metrics)
    del metrics["changed_films"]  # of the recipe's own copies, which renewing takes out
    assert spec.training == replace(run.training, metrics=metrics)
    assert _measured_on(spec) == {run.validation_scores.data}


def test_a_network_with_fewer_bits_keeps_the_thresholds_of_its_run() -> None:
    (spec,) = (spec for spec in bundled_specs() if spec.name == HALF)
    run = load_run(SOURCES / HALF)
    assert spec.training == run.training
    assert _measured_on(spec) == {run.validation_scores.data}
    for name, point in run.operating_points.items():
        assert spec.operating_points[name].threshold == point.threshold


def _measured_on(spec: ModelSpec) -> set[str]:
    return {point.data for point in spec.operating_points.values()}
