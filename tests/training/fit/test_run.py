"""RUN folders: claimed once, resumable after a kill at any moment, refused when finished."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from cxr_edge.errors import InputError
from cxr_training.fit import run
from cxr_training.fit.run import RunFolder, TrainingProgress
from tests.training.helpers import Killed, killed, saves_keras_variables

JOB = {"recipe_sha256": "a", "data_sha256": "b"}

pytestmark = saves_keras_variables


def tiny_model(weight: float) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="only")])
    model.set_weights([np.full((1, 1), weight), np.zeros(1)])
    return model


def weight_of(model: keras.Model) -> float:
    return float(model.get_weights()[0][0, 0])


def after(epochs: int) -> TrainingProgress:
    history = tuple({"epoch": epoch + 1, "loss": 1.0 / (epoch + 1)} for epoch in range(epochs))
    return TrainingProgress(epochs, 1.5 * epochs, history)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    claimed = RunFolder(tmp_path / "run")
    claimed.claim(JOB)
    return claimed


def test_a_new_folder_is_claimed_with_its_parents(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.claim(JOB)
    assert json.loads((folder.checkpoint / "job.json").read_text()) == JOB
    assert folder.progress() == TrainingProgress()


@pytest.mark.parametrize("key", JOB)
def test_another_job_is_refused(folder: RunFolder, key: str) -> None:
    folder.save_epoch(tiny_model(1), after(1))
    with pytest.raises(InputError, match="unfinished run of another recipe or other data") as no:
        folder.claim({**JOB, key: "c"})
    assert "choose another --out" in no.value.tip


def test_a_job_without_an_epoch_gives_way_to_another(folder: RunFolder) -> None:
    other = {**JOB, "recipe_sha256": "c"}
    folder.claim(other)
    folder.save_epoch(tiny_model(1), after(1))
    folder.claim(other)
    with pytest.raises(InputError, match="of another recipe"):
        folder.claim(JOB)


def test_a_finished_run_is_refused(folder: RunFolder) -> None:
    folder.finish(tiny_model(1), {"net": "tiny"})
    with pytest.raises(InputError, match="holds a finished run"):
        folder.claim(JOB)


@pytest.mark.parametrize("name", ["letter.txt", "checkpoint/mine.keras"])
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(InputError, match="is not empty and no run"):
        RunFolder(tmp_path).claim(JOB)
    assert path.read_text() == "mine"


def test_a_kill_while_claiming_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_json", killed)
        with pytest.raises(Killed):
            RunFolder(tmp_path / "run").claim(JOB)
    RunFolder(tmp_path / "run").claim(JOB)
    assert (tmp_path / "run" / "checkpoint" / "job.json").is_file()


def test_progress_and_model_come_back(folder: RunFolder) -> None:
    folder.save_epoch(tiny_model(0.25), after(3))
    assert folder.progress() == after(3)
    assert weight_of(folder.model_after(folder.progress().epochs_done)) == 0.25


@pytest.mark.parametrize("step", ["model file", "state file"])
def test_a_kill_in_a_checkpoint_leaves_the_epoch_before(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder.save_epoch(tiny_model(1), after(1))

    with monkeypatch.context() as patch:
        if step == "model file":
            patch.setattr(Path, "replace", killed)
        else:
            patch.setattr(run, "write_json", killed)
        with pytest.raises(Killed):
            folder.save_epoch(tiny_model(2), after(2))
    folder.claim(JOB)
    assert folder.progress() == after(1)
    assert weight_of(folder.model_after(folder.progress().epochs_done)) == 1
    folder.save_epoch(tiny_model(2), after(2))
    assert weight_of(folder.model_after(folder.progress().epochs_done)) == 2
    assert [path.name for path in folder.checkpoint.glob("*.keras")] == ["epoch-0002.keras"]


def test_a_finished_run_holds_no_checkpoint(folder: RunFolder) -> None:
    folder.save_epoch(tiny_model(1), after(1))
    folder.finish(tiny_model(1), {"net": "tiny"})
    assert sorted(path.name for path in folder.path.iterdir()) == ["model.keras", "run.json"]
    assert json.loads((folder.path / "run.json").read_text()) == {"net": "tiny"}


def test_a_kill_before_run_json_leaves_an_unfinished_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save_epoch(tiny_model(1), after(1))

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_json", killed)
        with pytest.raises(Killed):
            folder.finish(tiny_model(1), {"net": "tiny"})
    folder.claim(JOB)
    assert folder.progress() == after(1)
    folder.finish(tiny_model(1), {"net": "tiny"})
    assert not folder.checkpoint.exists()


def test_a_network_is_on_disk_before_its_name_counts(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        steps.append(("rename", path.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    once = [("sync", "partial.keras"), ("rename", "partial.keras")]
    folder.save_epoch(tiny_model(1), after(1))
    assert steps[:2] == once
    steps.clear()
    folder.finish(tiny_model(1), {"net": "tiny"})
    assert steps[:2] == once


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half"], ids=["gone", "empty", "half"])
def test_a_checkpoint_that_cannot_be_loaded_names_the_folder_to_delete(
    folder: RunFolder, content: bytes | None
) -> None:
    folder.save_epoch(tiny_model(1), after(1))
    (file,) = folder.checkpoint.glob("*.keras")
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be loaded") as refused:
        folder.model_after(1)
    assert f"delete {folder.path} " in refused.value.tip
