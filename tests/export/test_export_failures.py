"""An export that fails leaves everything as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import ExportError, ModelRefusedError, ParityError
from cxr_edge.model.catalog import choose_model
from cxr_edge.runtime import Device, load
from cxr_edge.support.atomic import write_atomically
from cxr_export import export as driver
from cxr_export import parity
from cxr_export.export import ExportJob, export
from cxr_export.graph import InferenceGraph
from tests.export.exports import FILES, contents, elsewhere
from tests.export.networks import reads_keras_variables
from tests.factories import set_value

# Each failure is met in a whole export.
pytestmark = [reads_keras_variables, pytest.mark.slow]


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
        lambda patch: patch.setattr(
            "cxr_export.tflite.with_spec", lambda content, spec: b"not a model"
        ),
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
