"""What export starts from, and everything it refuses to start from."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from cxr_edge.cli.boundary import run_command
from cxr_edge.cli.commands import cli
from cxr_edge.errors import ExportError, RecipeError
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_export.source import load_source, sigmoid
from cxr_export.training_run import load_run
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.blocks import ConvSpec, conv_block, flatten_head
from tests.export.films import films
from tests.export.networks import logits, probability, reads_keras_variables
from tests.factories import Change, drop, set_value

pytestmark = reads_keras_variables


# What is accepted.


@pytest.mark.parametrize("name", NETS)
def test_a_keras_file_of_each_network_loads(name: str, saved: Callable[[str], Path]) -> None:
    source = load_source(saved(name))
    assert (source.model.name, source.size, source.run) == (name, NETS[name].size, None)


@pytest.mark.parametrize("kind", ["rescale", "per_image"])
def test_weights_and_normalisation_come_along(
    kind: str, network: Callable[[str, str], keras.Model], tmp_path: Path
) -> None:
    model = network("cnn3_50", kind)
    model.save(tmp_path / "any-name.keras")
    loaded = load_source(tmp_path / "any-name.keras").model
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = films(3, 50)
    np.testing.assert_array_equal(probability(loaded, images), probability(model, images))


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


@pytest.mark.parametrize("count", [1, 40], ids=["one", "more than a batch"])
def test_source_answers_as_keras_does(saved: Callable[[str], Path], count: int) -> None:
    source = load_source(saved("cnn3_50"))
    images = films(count, source.size, 2)
    for answer, expected in (
        (source.logits(images), logits(source.model, images)),
        (source.probability(images), probability(source.model, images)),
        (sigmoid(source.logits(images)), probability(source.model, images)),
    ):
        assert answer.dtype == np.float64
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)


# What is refused: each as a file or folder made by a function, and what the sentence says.


def network_like(**changes: Any) -> keras.Model:
    """A network of the shape of `cnn3_50`, with something else about it."""
    size, name = changes.get("size", 50), changes.get("name", "cnn3_50")
    image = keras.Input((size, size, changes.get("channels", 3)), name="image")
    x = layers.Rescaling(1 / 255, name="normalization")(image)
    for index, filters in enumerate(changes.get("filters", (16, 32, 64)), start=1):
        x = conv_block(x, index, ConvSpec(filters, min(index, 2), 0.2), NetOptions())
    return keras.Model(image, flatten_head(x, NetOptions()), name=name)


def with_lambda(step: Callable[[Any], Any]) -> keras.Model:
    """A network whose last step is code."""
    model = network_like()
    return keras.Model(model.input, layers.Lambda(step, name="extra")(model.output), name="cnn3_50")


@pytest.mark.parametrize("named", [False, True], ids=["lambda", "function"])
def test_a_lambda_layer_is_refused_and_not_run(tmp_path: Path, named: bool) -> None:
    touched = tmp_path / "touched"
    text = str(touched)  # Keras can keep a lambda's closure in the file, as plain values

    def step(x: Any) -> Any:
        Path(text).touch()
        return x

    code = step if named else lambda x: (open(text, "w").close(), x)[1]  # noqa: PTH123
    with_lambda(code).save(tmp_path / "model.keras")
    assert touched.exists()  # building it ran it: the trap works
    touched.unlink()
    with pytest.raises(ExportError, match="holds a Lambda layer, which is code; refused"):
        load_source(tmp_path / "model.keras")
    assert not touched.exists()


def test_a_class_from_elsewhere_is_refused_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "evil_layers.py").write_text(f"open({str(touched)!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    network_like().save(tmp_path / "model.keras")

    def plant(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1].update(
            module="evil_layers", class_name="Evil", registered_name="Evil"
        )

    rewrite_config(tmp_path / "model.keras", plant)
    with pytest.raises(ExportError, match="cannot be loaded"):
        load_source(tmp_path / "model.keras")
    assert not touched.exists()
    assert "evil_layers" not in sys.modules


def rewrite_config(path: Path, change: Change) -> None:
    """Change config.json inside a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def nothing(folder: Path) -> Path:
    return folder / "absent.keras"


def text_file(folder: Path) -> Path:
    path = folder / "Lambda" / "notes.keras"  # the word in a path is no Lambda layer
    path.parent.mkdir()
    path.write_text("not a network")
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "model.keras"
    path.touch()
    return path


def hdf5_file(folder: Path) -> Path:
    path = folder / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    return path


def saved_network(**changes: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        network_like(**changes).save(folder / "model.keras")
        return folder / "model.keras"

    return make


def truncated_file(folder: Path) -> Path:
    path = saved_network()(folder)
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def damaged_file(folder: Path) -> Path:
    """The archive opens and its weights do not."""
    path = saved_network()(folder)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    return path


def other_archive(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "holiday pictures")
    return path


def foreign_network(folder: Path) -> Path:
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(1)(layers.Flatten()(inputs))
    keras.Model(inputs, outputs, name="somebody_elses").save(folder / "model.keras")
    return folder / "model.keras"


def sequential_of_the_same_name(folder: Path) -> Path:
    keras.Sequential([layers.Input((50, 50, 3)), layers.Flatten()], name="cnn3_50").save(
        folder / "model.keras"
    )
    return folder / "model.keras"


def empty_folder(folder: Path) -> Path:
    return folder


def unfinished_run(folder: Path) -> Path:
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "job.json").write_text("{}")
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no file": (nothing, "neither a run folder nor a .keras file"),
    "HDF5": (hdf5_file, "neither a run folder nor a .keras file"),
    "text": (text_file, "notes.keras cannot be loaded: File is not a zip file"),
    "empty": (empty_file, "model.keras cannot be loaded: File is not a zip file"),
    "truncated": (truncated_file, "model.keras cannot be loaded: File is not a zip file"),
    "damaged inside": (damaged_file, "cannot be loaded"),
    "another archive": (other_archive, "cannot be loaded"),
    "another network": (foreign_network, "none of the networks cnn3_50, cnn4_50, cnn3_128, res"),
    "a Sequential": (sequential_of_the_same_name, "calls itself cnn3_50 and has other layers"),
    "another size": (saved_network(size=64), "calls itself cnn3_50 and has other layers or shapes"),
    "other filters": (saved_network(filters=(16, 32, 48)), "has other layers or shapes"),
    "a layer more": (saved_network(filters=(16, 32, 64, 64)), "has other layers or shapes"),
    "grey input": (saved_network(channels=1), "has other layers or shapes"),
    "another name": (saved_network(name="cnn4_50"), "calls itself cnn4_50 and has other layers"),
    "an empty folder": (empty_folder, "is not a finished run: run.json cannot be read"),
    "an unfinished run": (unfinished_run, "is not a finished run: run.json cannot be read"),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_source_is_refused(
    make: Callable[[Path], Path], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        load_source(make(tmp_path))
    assert "\n" not in str(caught.value)


# run.json


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


# The same through the command: one line, exit 1, no traceback, nothing written.


@pytest.mark.parametrize("case", [key for key in REFUSED if key != "no file"])
def test_the_command_says_it_in_a_line(
    case: str,
    labelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, sentence = REFUSED[case]
    (tmp_path / "source").mkdir()
    source = str(make(tmp_path / "source"))
    options = ["--name", "mine", "--calibration", str(labelled), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["cxr-edge", "export", source, *options])
    assert run_command(cli) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert sentence in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("net", sorted(NETS))
def test_what_ships_was_measured_on_films_as_the_runtime_prepares_them(net: str) -> None:
    """Also a network that is too large for the repository: its run is there."""
    run = load_run(models_dir() / "sources" / net)
    (spec,) = (spec for spec in bundled_specs() if spec.name == net)
    assert {name: point.threshold for name, point in run.operating_points.items()} == {
        name: point.threshold for name, point in spec.operating_points.items()
    }
