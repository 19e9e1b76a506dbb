"""The driver: four files that the runtime accepts, or nothing."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn import metrics

import cxr_edge
from cxr_edge.errors import DataError, ExportError, ModelRefusedError, ParityError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, load
from cxr_edge.support.atomic import write_atomically
from cxr_export import export as driver
from cxr_export import parity, spec_draft
from cxr_export.export import CALIBRATION_IMAGES, ExportJob, export
from cxr_export.film_changes import CHANGES
from cxr_export.graph import InferenceGraph
from cxr_export.precision import Networks
from cxr_export.source import load_source
from cxr_training.films.data import find_labelled
from tests.export.films import films
from tests.export.networks import RESNET, Converted, probability, reads_keras_variables
from tests.factories import set_value

pytestmark = reads_keras_variables

FILES = {f"mine.{suffix}" for suffix in ("onnx", "tflite", "json", "md")}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones and those in folders too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def job(run_folder: Path, labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportJob:
    """A run, measured on a labelled folder: its films but one."""
    out = tmp_path_factory.mktemp("models") / "not" / "there"
    held_back = Path(shutil.copytree(labelled, tmp_path_factory.mktemp("test") / "held_back"))
    next((held_back / "NORMAL").iterdir()).unlink()
    return ExportJob(run_folder, "mine", labelled, out, test=held_back, version="2.10.3")


@pytest.fixture(scope="module")
def exported(job: ExportJob) -> ModelSpec:
    """What a whole export leaves in `job.out`; not to be changed."""
    old = os.umask(0o077)
    try:
        return export(job)
    finally:
        os.umask(old)


def elsewhere(job: ExportJob, tmp_path: Path, **changes: Any) -> ExportJob:
    """The same export into an empty folder."""
    return replace(job, out=tmp_path / "out", **changes)


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
    assert "Measured on `held_back`" in (job.out / "mine.md").read_text()


def test_the_same_run_gives_the_same_bytes(
    exported: ModelSpec, job: ExportJob, tmp_path: Path
) -> None:
    again = elsewhere(job, tmp_path)
    export(again)
    assert contents(again.out) == contents(job.out)


# What fails leaves nothing behind.


def spoiled_graph(model: Any) -> InferenceGraph:
    """A fold that is a little wrong: the golden cases pass, the gate must not."""
    graph = InferenceGraph(model)
    graph.head = replace(graph.head, output_bias=graph.head.output_bias + np.float32(1e-4))
    return graph


def broken_graph(model: Any) -> InferenceGraph:
    """A fold that is so wrong that the runtime would refuse the file."""
    graph = InferenceGraph(model)
    graph.head = replace(graph.head, output_bias=graph.head.output_bias + np.float32(1))
    return graph


Sabotage = Callable[[pytest.MonkeyPatch], None]

FAILURES: dict[str, tuple[Sabotage, type[ExportError], str]] = {
    "wrong by a little": (
        lambda patch: patch.setattr(driver, "InferenceGraph", spoiled_graph),
        ParityError,
        r"differs from Keras float32 by .*, allowed 1e-05",
    ),
    "wrong by a lot": (
        lambda patch: patch.setattr(driver, "InferenceGraph", broken_graph),
        ParityError,
        "the runtime would refuse the onnx file: mine fails its self-test",
    ),
    "no tolerance": (
        lambda patch: patch.setitem(parity.TOLERANCE, "float32", 0.0),
        ParityError,
        "allowed 0e",
    ),
    "no TFLite": (
        lambda patch: patch.setattr("cxr_export.tflite.convert", lambda _: b"not a model"),
        ParityError,
        "the runtime would refuse the tflite file",
    ),
    "a file of another network": (
        lambda patch: patch.setattr("cxr_export.onnx.with_spec", lambda model, spec: b"\x08\x08"),
        ParityError,
        "the runtime would refuse the onnx file",
    ),
}


@pytest.mark.parametrize(("sabotage", "kind", "sentence"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.usefixtures("exported")
def test_a_failed_export_changes_nothing(
    sabotage: Sabotage,
    kind: type[ExportError],
    sentence: str,
    job: ExportJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(job.out, tmp_path / "out")
    before = contents(tmp_path / "out")
    sabotage(monkeypatch)
    with pytest.raises(kind, match=sentence) as caught:
        export(elsewhere(job, tmp_path))
    assert caught.value.exit_code == 1
    assert contents(tmp_path / "out") == before


def test_a_failed_export_makes_no_folder(
    job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "InferenceGraph", spoiled_graph)
    with pytest.raises(ParityError):
        export(elsewhere(job, tmp_path))
    assert not (tmp_path / "out").exists()


def test_another_last_layer_is_seen_by_the_gate(
    job: ExportJob, network: Callable[[str, str], Any], tmp_path: Path
) -> None:
    """Names and shapes are right, and what comes out is no sigmoid."""
    import keras

    model = network("cnn3_50", "per_image")
    logit = model.get_layer("output_dense").output
    answer = keras.layers.Activation("tanh", name="probability")(logit)
    keras.Model(model.input, answer, name="cnn3_50").save(tmp_path / "tanh.keras")
    with pytest.raises(ParityError, match="differs from Keras float32"):
        export(elsewhere(job, tmp_path, source=tmp_path / "tanh.keras"))
    assert not (tmp_path / "out").exists()


def test_a_figure_that_the_card_lacks_stops_the_export(job: ExportJob, tmp_path: Path) -> None:
    run = Path(shutil.copytree(job.source, tmp_path / "run"))
    values = json.loads((run / "run.json").read_text())
    del values["metrics"]["auc"]
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(ExportError, match="the card of mine lacks a figure"):
        export(elsewhere(job, tmp_path, source=run))
    assert not (tmp_path / "out").exists()


class _Failing:
    """Passes calls on, but for the k-th."""

    def __init__(self, function: Callable[..., Any], fail_at: int) -> None:
        self.function = function
        self.left = fail_at

    def __call__(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise OSError(28, "No space left on device")
        return self.function(*arguments)


@pytest.fixture
def conversions(exported: ModelSpec, job: ExportJob, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """`export` of the same job without converting again."""
    model, tflite = onnx.load(job.out / "mine.onnx"), (job.out / "mine.tflite").read_bytes()
    monkeypatch.setattr(driver, "convert", lambda *_: Networks(model, tflite))
    return exported


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
@pytest.mark.usefixtures("conversions")
def test_a_full_disk_leaves_the_old_model_as_it_was(
    fail_at: int, job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in FILES:
        (out / name).write_text("the old one")
    monkeypatch.setattr(driver, "write_atomically", _Failing(write_atomically, fail_at))
    with pytest.raises(ExportError, match="out cannot be written: No space left on device"):
        export(elsewhere(job, tmp_path))
    assert contents(out) == dict.fromkeys(FILES, b"the old one")
    assert [path for path in out.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
@pytest.mark.usefixtures("conversions")
def test_half_an_update_is_never_run(
    fail_at: int, job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spec comes last: new files under an old spec are refused by their hash."""
    out = tmp_path / "out"
    shutil.copytree(job.out, out)
    old = json.loads((out / "mine.json").read_text())
    for kind in ("onnx", "tflite"):
        (out / f"mine.{kind}").write_bytes(b"old")
        set_value(f"files.{kind}.sha256", hashlib.sha256(b"old").hexdigest())(old)
    (out / "mine.json").write_text(json.dumps(old))
    failing = _Failing(Path.replace, fail_at)
    monkeypatch.setattr(Path, "replace", lambda *arguments: failing(*arguments))
    with pytest.raises(ExportError, match="cannot be written"):
        export(elsewhere(job, tmp_path))
    assert json.loads((out / "mine.json").read_text()) == old
    assert {path.name for path in out.iterdir()} == FILES
    replaced = [kind for kind in ("onnx", "tflite") if len((out / f"mine.{kind}").read_bytes()) > 3]
    assert replaced == ["onnx", "tflite"][: fail_at - 1]
    for kind in replaced:
        with pytest.raises(ModelRefusedError, match="sha256 differs"):
            load(choose_model(str(out / f"mine.{kind}")), Device("cpu"))


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


@pytest.mark.usefixtures("conversions")
def test_other_files_in_the_folder_are_left_alone(job: ExportJob, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("mine.txt", "other.onnx"):
        (out / name).write_text("somebody's")
        (out / name).chmod(0o600)
    export(elsewhere(job, tmp_path))
    for name in ("mine.txt", "other.onnx"):
        assert (out / name).read_text() == "somebody's"
        assert (out / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("conversions")
def test_an_out_that_cannot_be_is_a_sentence(job: ExportJob, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="cannot be written"):
        export(replace(job, out=tmp_path / "file" / "out"))


# What it is asked for.


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
    with pytest.raises(ExportError, match="letters, digits, _ and - only"):
        ExportJob(tmp_path, name, tmp_path, tmp_path)


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-rc1", "1.2.3\n", "1.2.x", "1.2.-3"],
    ids=repr,
)
def test_versions_that_are_refused(version: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="must be three numbers"):
        ExportJob(tmp_path, "mine", tmp_path, tmp_path, version=version)


@pytest.mark.parametrize("role", ["calibration", "test"])
def test_a_folder_without_classes_is_refused(job: ExportJob, tmp_path: Path, role: str) -> None:
    with pytest.raises(DataError, match="has no folder NORMAL"):
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


# int8 weights


def test_int8_of_a_bare_network(
    job: ExportJob,
    saved: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its points are chosen before its weights are rounded, in the spec and in the file."""
    # Random weights on a few films; the gate has tests of its own.
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", 1.0)
    float32 = export(elsewhere(job, tmp_path / "float32", source=saved("cnn3_50")))
    int8 = elsewhere(job, tmp_path, source=saved("cnn3_50"), precision="int8-weights")
    spec = export(int8)
    chosen, before = spec.operating_points, float32.operating_points
    assert {name: point.threshold for name, point in chosen.items()} == {
        name: point.threshold for name, point in before.items()
    }
    assert spec.training is None
    for kind, file in spec.files.items():
        assert (file.weights, file.precision) == ("int8", "int8-weights")
        assert file.bytes < 0.3 * float32.files[kind].bytes
        assert 1e-5 < file.parity.max_abs_difference <= file.parity.tolerance == 2e-2
        load(choose_model(str(int8.out / file.name)), Device("cpu"))


def test_int8_of_the_resnet(
    job: ExportJob,
    saved: Callable[[str], Path],
    converted: Callable[[str], Converted],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the conversions of the session, which are of the same snapped weights."""
    snapped = converted(RESNET)
    model = onnx.ModelProto()
    model.CopyFrom(snapped.onnx)

    def convert_onnx(graph: InferenceGraph) -> onnx.ModelProto:
        for ours, theirs in zip(
            graph._features._base.get_weights(),
            snapped.graph._features._base.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(graph.head.kernel, snapped.graph.head.kernel)
        return model

    # Random weights round worse than trained ones do; the gate has tests of its own.
    monkeypatch.setitem(parity.TOLERANCE, "int8-weights", 0.1)
    monkeypatch.setattr("cxr_export.onnx.convert", convert_onnx)
    monkeypatch.setattr("cxr_export.tflite.convert", lambda _: snapped.tflite)
    int8 = elsewhere(job, tmp_path, source=saved(RESNET), precision="int8-weights")
    spec = export(int8)
    images = films(5, spec.size, 12)
    for kind, file in spec.files.items():
        assert (file.weights, file.precision) == ("int8", "int8-weights")
        assert file.bytes == pytest.approx(snapped.model.count_params(), rel=0.03)
        assert 1e-5 < file.parity.max_abs_difference <= 0.1
        assert file.parity.max_identity_error <= 1e-5
        predicted = load(choose_model(str(int8.out / f"mine.{kind}")), Device("cpu")).predict(
            images
        )
        np.testing.assert_allclose(
            predicted.probability, probability(snapped.model, images), rtol=0, atol=1e-5
        )


# Fewer bits: measured on the files themselves, on the films that the run validated on.


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs' weights round worse than trained ones; the gate has tests of its own."""
    monkeypatch.setitem(parity.TOLERANCE, "int8", 0.2)
    monkeypatch.setitem(parity.TOLERANCE, "float16", 0.2)
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", 1.0)
    monkeypatch.setitem(spec_draft.GOLDEN_TOLERANCE, "int8", 0.09)
    monkeypatch.setitem(spec_draft.GOLDEN_TOLERANCE, "float16", 0.09)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("precision", "kinds"), [("float16", ["onnx"]), ("int8", ["onnx", "tflite"])]
)
def test_fewer_bits(
    precision: str, kinds: list[str], exported: ModelSpec, job: ExportJob, tmp_path: Path
) -> None:
    lossy = elsewhere(job, tmp_path, precision=precision, measure_speed=True)
    spec = export(lossy)
    assert list(spec.files) == kinds
    run = load_source(job.source).run
    assert run is not None
    for kind, file in spec.files.items():
        assert file.precision == precision
        assert file.parity.samples == len(run.validation_films)
        assert file.parity.auc_loss is not None
        assert file.golden is not None
        assert file.golden.tolerance == spec_draft.FILE_GOLDEN_TOLERANCE[precision]
        assert [case.rule for case in file.golden.cases] == [c.rule for c in spec.golden.cases]
        assert file.parity.max_identity_error <= 1e-5
        assert file.speed is not None
        assert file.speed.ratio > 0
        said = f"`mine.{kind}` is {file.speed.ratio:.2f} times"
        assert said in (lossy.out / "mine.md").read_text()
        load(choose_model(str(lossy.out / file.name)), Device("cpu"))
    for name, point in spec.operating_points.items():
        assert point.threshold == exported.operating_points[name].threshold
        assert point.sensitivity.n == exported.operating_points[name].sensitivity.n


def test_a_loss_on_validation_stops_the_export(
    job: ExportJob, tmp_path: Path, lenient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", -2.0)
    with pytest.raises(ParityError, match=r"AUC on validation falls by .*, allowed -2.0"):
        export(elsewhere(job, tmp_path, precision="int8"))
    assert not (tmp_path / "out").exists()


def test_validation_films_have_to_be_there(job: ExportJob, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for kind in ("NORMAL", "PNEUMONIA"):
        (few / kind).mkdir(parents=True)
        film = next(path for path in (job.calibration / kind).iterdir())
        (few / kind / film.name).symlink_to(film)
    with pytest.raises(DataError, match=r"few lacks \d+ of \d+ films that the run validated on"):
        export(elsewhere(job, tmp_path, precision="int8", calibration=few))


# How far the scores can be trusted.


@pytest.fixture
def few_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals from the few films of the checkout; and three changes of them, not thirty."""
    monkeypatch.setattr("cxr_edge.statistics.auc.LEAST_PATIENTS", 2)
    monkeypatch.setattr("cxr_export.robustness.robustness.__defaults__", (CHANGES[:3],))


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
    brier = found.calibration.scalings["none"].brier
    assert brier == pytest.approx(((probability - labels) ** 2).mean(), abs=1e-5)
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


@pytest.mark.usefixtures("conversions", "few_patients")
def test_reliability_is_fitted_on_out_of_fold_scores_where_there_are_some(
    job: ExportJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_source(job.source).run
    assert run is not None
    monkeypatch.setattr(driver, "out_of_fold_points", lambda *_: run.operating_points)
    rows = [f"42,1,x,stranger{n},{n % 2},{n % 2 - 0.5}" for n in range(40)]
    (tmp_path / "out_of_fold.csv").write_text(
        "\n".join(["seed,fold,name,patient,label,logit", *rows, ""])
    )
    spec = export(elsewhere(job, tmp_path, measure_reliability=True, out_of_fold=tmp_path))
    fitted_on = Reliability.from_dict(spec.reliability).calibration.fitted_on
    assert fitted_on.startswith("out-of-fold scores")


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


def test_a_float32_file_is_not_measured_beside_itself(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no other to measure its speed beside"):
        ExportJob(tmp_path, "mine", tmp_path, tmp_path, measure_speed=True)
