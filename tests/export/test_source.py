"""What export starts from, and everything it refuses to start from."""

from __future__ import annotations

import json
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
from cxr_edge.errors import ExportError
from cxr_export.source import load_source, sigmoid
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.blocks import ConvSpec, conv_block, flatten_head
from tests.export.films import films
from tests.export.networks import EACH, logits, probability, reads_keras_variables
from tests.factories import Change

pytestmark = reads_keras_variables


# What is accepted.


@pytest.mark.parametrize("name", EACH)
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


# The same through the command: one line, exit 1, no traceback, nothing written.


def test_the_command_says_it_in_a_line(
    labelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, sentence = REFUSED["another size"]
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
