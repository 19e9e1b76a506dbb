"""The driver: four files that the runtime accepts, or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import cxr_edge
from cxr_edge.errors import DataError, InputError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, load
from cxr_export import export as driver
from cxr_export.export import CALIBRATION_IMAGES, ExportJob, export
from cxr_export.source import load_source
from cxr_training.films.data import find_labelled
from tests.export.exports import FILES, contents, elsewhere
from tests.export.films import films
from tests.export.networks import probability, reads_keras_variables

pytestmark = reads_keras_variables


def test_it_writes_four_files_for_everyone_to_read(exported: ModelSpec, job: ExportJob) -> None:
    assert {path.name for path in job.out.iterdir()} == FILES
    assert {path.stat().st_mode & 0o777 for path in job.out.iterdir()} == {0o644}


def test_the_version_stands_in_spec_file_card_and_report(
    exported: ModelSpec, job: ExportJob, tmp_path: Path
) -> None:
    assert exported.version == "2.10.3"
    assert (job.out / "mine.md").read_text().startswith("# mine 2.10.3\n")
    assert choose_model(str(job.out / "mine.onnx")).spec.version == "2.10.3"
    (tmp_path / "in").mkdir()
    scored = cxr_edge.score_folder(
        tmp_path / "in", model=job.out / "mine.onnx", out=tmp_path / "out", state=tmp_path / "state"
    )
    written = json.loads((scored.out / "run.json").read_text())
    assert written["model"]["version"] == "2.10.3"
    assert "mine 2.10.3" in (scored.out / "triage.html").read_text()


def test_what_is_stated_of_the_films_stands_in_spec_and_card(
    exported: ModelSpec, job: ExportJob
) -> None:
    spec = choose_model(str(job.out / "mine.onnx")).spec
    assert (spec.use.population, spec.use.age_years) == ("made films", (2.0, 9.0))
    assert (spec.use.views, spec.license) == (("posterior-anterior",), "not stated")
    card = (job.out / "mine.md").read_text()
    assert "- Age: 2 to 9 years; views: posterior-anterior\n" in card
    assert "Model: not stated. Data: not stated" in card


def test_the_spec_on_disk_pins_the_files(exported: ModelSpec, job: ExportJob) -> None:
    spec = ModelSpec.from_dict(json.loads((job.out / "mine.json").read_text()))
    assert spec == exported
    assert set(spec.files) == {"onnx", "tflite"}
    for kind, file in spec.files.items():
        content = (job.out / f"mine.{kind}").read_bytes()
        assert (file.name, file.bytes) == (f"mine.{kind}", len(content))
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert (file.weights, file.opset) == ("float32", {"onnx": 17, "tflite": 3}[kind])


def test_the_gate_saw_every_calibration_image(exported: ModelSpec, job: ExportJob) -> None:
    seen = min(CALIBRATION_IMAGES, len(find_labelled(job.calibration)))
    for file in exported.files.values():
        assert (file.parity.samples, file.parity.decision_flips) == (seen, 0)
        assert 0 < file.parity.max_abs_difference <= file.parity.tolerance == 1e-5
        assert 0 < file.parity.max_identity_error <= 1e-5


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_runtime_runs_it(exported: ModelSpec, job: ExportJob, kind: str) -> None:
    choice = choose_model(str(job.out / f"mine.{kind}"))
    assert choice.spec == exported
    images = films(40, exported.size, 11)
    predicted = load(choice, Device("cpu")).predict(images)
    expected = probability(load_source(job.source).model, images)
    np.testing.assert_allclose(predicted.probability, expected, rtol=0, atol=1e-5)


def test_the_onnx_file_carries_the_spec(exported: ModelSpec, job: ExportJob) -> None:
    (embedded,) = onnx.load(job.out / "mine.onnx").metadata_props
    assert embedded.value == exported.embedded_json()


def test_training_and_evaluation_are_recorded(exported: ModelSpec, job: ExportJob) -> None:
    assert exported.training is not None
    assert exported.training.recipe == "tiny"
    (evaluation,) = exported.evaluations
    assert evaluation.data == "held_back"
    assert job.test is not None
    assert sum(evaluation.counts[c] for c in ("NORMAL", "PNEUMONIA")) == len(
        find_labelled(job.test)
    )
    assert "\n`held_back` chose nothing: " in (job.out / "mine.md").read_text()


def test_the_same_run_gives_the_same_bytes(
    exported: ModelSpec, job: ExportJob, tmp_path: Path
) -> None:
    again = elsewhere(job, tmp_path)
    export(again)
    assert contents(again.out) == contents(job.out)


@pytest.mark.usefixtures("conversions")
def test_a_test_folder_keeps_its_name_however_it_is_given(
    job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job.test is not None
    monkeypatch.chdir(job.test)
    spec = export(elsewhere(job, tmp_path, test=Path()))
    assert spec.evaluations[0].data == "held_back"


@pytest.mark.usefixtures("conversions")
def test_the_films_of_the_training_test_nothing(job: ExportJob, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(job.calibration, tmp_path / "looks-new"))
    with pytest.raises(DataError, match=r"looks-new is what .* was trained with"):
        export(elsewhere(job, tmp_path, test=copied))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kept", [True, False], ids=["run", "older run"])
@pytest.mark.usefixtures("conversions")
def test_one_film_of_the_training_is_told_by_its_bytes(
    job: ExportJob, tmp_path: Path, kept: bool
) -> None:
    """An older run keeps no hashes: the calibration folder has the films then."""
    assert job.test is not None
    mixed = Path(shutil.copytree(job.test, tmp_path / "mixed"))
    known = next((job.calibration / "NORMAL").iterdir())
    shutil.copy(known, mixed / "NORMAL" / f"another{known.suffix}")
    run = Path(shutil.copytree(job.source, tmp_path / "run"))
    if not kept:
        (run / "films.csv").unlink()
    whose = "of .*run" if kept else "of --calibration"
    with pytest.raises(DataError, match=rf"1 of \d+ films of .*mixed are films {whose}"):
        export(elsewhere(job, tmp_path, source=run, test=mixed))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a", "cnn3_50", "Site-7_v2", "0", "x" * 64])
def test_names_that_make_good_file_names(name: str, tmp_path: Path) -> None:
    assert ExportJob(tmp_path, name, tmp_path, tmp_path).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        ".hidden",
        "-x",
        "_x",
        "a b",
        "a.onnx",
        "naïve",
        "a\n",
        "x" * 65,
    ],
    ids=repr,
)
def test_names_that_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="letters, digits, _ and - only"):
        ExportJob(tmp_path, name, tmp_path, tmp_path)


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-rc1", "1.2.3\n", "1.2.x", "1.2.-3"],
    ids=repr,
)
def test_versions_that_are_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be three numbers"):
        ExportJob(tmp_path, "mine", tmp_path, tmp_path, version=version)


@pytest.mark.parametrize("role", ["calibration", "test"])
def test_a_folder_without_classes_is_refused(job: ExportJob, tmp_path: Path, role: str) -> None:
    with pytest.raises(DataError, match="no labelled film in "):
        export(elsewhere(job, tmp_path, **{role: tmp_path}))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("conversions")
def test_many_calibration_images_are_thinned_evenly(
    job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "CALIBRATION_IMAGES", 9)
    spec = export(elsewhere(job, tmp_path))
    assert spec.files["onnx"].parity.samples == 9
    counts = spec.evaluations[0].counts
    assert counts["NORMAL"] + counts["PNEUMONIA"] > 9  # measuring takes every film
