"""A model is tried once in another process: what hangs, crashes or grows there is refused here."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.catalog import choose_model, is_bundled
from cxr_edge.runtime import Device, load, loading, probe
from tests.factories import bundled_choices, file_name, set_value
from tests.runtime.hostile import GRAPHS, write_hostile, write_hostile_tflite
from tests.tiny import write_tiny

ROOT = Path(__file__).resolve().parents[2]
CPU = Device("cpu")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cxr-edge" / "models"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 5)


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The formats of models that were tried, instead of trying them."""
    asked: list[str] = []
    monkeypatch.setattr(probe, "_try", lambda content, kind, spec: asked.append(kind))
    return asked


HOSTILE = {
    "endless loop": "does not load within 5 seconds",
    "much memory": "fails its self-test|more memory",
}


@pytest.mark.usefixtures("kept", "impatient")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_hostile_network_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match=HOSTILE[name]):
        load(choose_model(str(write_hostile(tmp_path / "model", name))), CPU)


def zeros_at(start: int) -> Any:
    def change(content: bytearray) -> None:
        content[start : start + 4] = bytes(4)

    return change


@pytest.mark.usefixtures("kept", "impatient")
def test_a_model_that_crashes_its_library_is_refused(tmp_path: Path) -> None:
    """This process lives to say it."""
    path = write_hostile_tflite(tmp_path / "model", zeros_at(24))
    with pytest.raises(ModelRefusedError, match=r"crashes the library that loads it \(SIGSEGV\)"):
        load(choose_model(str(path)), CPU)


def test_a_model_is_tried_once(kept: Path, tiny: Path, tries: list[str]) -> None:
    for _ in range(3):
        assert load(choose_model(str(tiny)), CPU).device == "cpu"
    assert tries == ["onnx"]
    (verdict,) = kept.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, verdict)] == [0o700, 0o600]


def test_a_refusal_is_not_kept(kept: Path, tmp_path: Path) -> None:
    """A machine may have been short of memory."""
    path = write_tiny(tmp_path / "model", beside=set_value("files.onnx.golden", GOLDEN))
    for _ in range(2):
        with pytest.raises(ModelRefusedError, match="fails its self-test"):
            load(choose_model(str(path)), CPU)
    assert not kept.exists()


GOLDEN = {"tolerance": 5e-3, "cases": [{"rule": "ramp", "probability": 0.5, "logit": 0.0}]}


def test_another_model_spec_or_library_is_tried_anew(
    kept: Path, tiny: Path, tries: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(choose_model(str(tiny)), CPU)
    other = write_tiny(tmp_path / "model", spec=set_value("version", "1.0.1"))
    load(choose_model(str(other)), CPU)
    assert len(tries) == 2
    monkeypatch.setattr(probe, "installed_version", lambda package: "0")
    load(choose_model(str(tiny)), CPU)
    assert (len(tries), len([*kept.iterdir()])) == (3, 3)


def test_a_verdict_of_somebody_else_is_not_believed(
    kept: Path, tiny: Path, tries: list[str], tmp_path: Path
) -> None:
    load(choose_model(str(tiny)), CPU)
    (verdict,) = kept.iterdir()
    content = verdict.read_bytes()
    distrusted = 1
    for spoil in (
        lambda: verdict.chmod(0o666),
        lambda: verdict.write_bytes(content + b" "),
        lambda: (verdict.rename(tmp_path / "v"), verdict.symlink_to(tmp_path / "v")),
        lambda: kept.chmod(0o777),
    ):
        spoil()
        load(choose_model(str(tiny)), CPU)
        distrusted += 1
        assert len(tries) == distrusted
        kept.chmod(0o700)


@pytest.mark.parametrize("block", ["a file in the way", "no home"])
def test_where_nothing_can_be_kept_it_is_tried_each_time(
    block: str, tiny: Path, tries: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block == "no home":

        def homeless(_: Path) -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.setattr(Path, "expanduser", homeless)
    else:
        (tmp_path / "cache").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        load(choose_model(str(tiny)), CPU)
    assert len(tries) == 2


def test_beside_the_ledgers_without_a_cache(
    own_state: Path, tiny: Path, tries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    load(choose_model(str(tiny)), CPU)
    assert len([*(own_state / "models").iterdir()]) == 1


@pytest.mark.parametrize("choice", bundled_choices(), ids=file_name)
def test_bundled_models_are_not_tried(
    choice: Any, tries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_bundled(choice)
    monkeypatch.setattr(loading, "pinned_bytes", lambda *_: b"content")
    assert loading.proven(choice) == b"content"
    assert tries == []


def test_a_copy_of_a_bundled_model_passes(kept: Path, tmp_path: Path) -> None:
    path = write_hostile_tflite(tmp_path / "model", lambda content: None)
    assert not is_bundled(choose_model(str(path)))
    assert load(choose_model(str(path)), CPU).device == "cpu"
    assert len([*kept.iterdir()]) == 1


def test_a_signal_ends_a_hanging_trial(tmp_path: Path) -> None:
    path = write_hostile(tmp_path / "model", "endless loop")
    (tmp_path / "in").mkdir()
    command = [sys.executable, "-m", "cxr_edge", "score", str(tmp_path / "in"), "--model"]
    command += [str(path), "--out", str(tmp_path / "out")]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, env=env) as process:
        children = waited_for(process.pid)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.strip().startswith(b"error: ")
    deadline = time.monotonic() + 5  # one that is killed may take a moment to be gone
    while any(map(lives, children)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def waited_for(parent: int) -> list[int]:
    """The processes that try a model, once there are some."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if children := trials(parent):
            return children
        time.sleep(0.05)
    raise AssertionError("no model is tried")


def lives(process: int) -> bool:
    """Also not one that nobody has waited for."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def trials(parent: int) -> list[int]:
    """Processes of a parent that try a model."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(status[1]) == parent and b"runtime.trial" in command:
            found.append(int(folder.name))
    return found


SPECS = {
    "a vast input": (
        set_value("network_data_format.inputs.image.spatial_shape", [20000, 20000]),
        "an input of 20000 pixels a side",
    ),
    "a vast map": (
        set_value("network_data_format.outputs.evidence.spatial_shape", [20000, 20000]),
        "evidence must be a map",
    ),
    "10 GB": (set_value("files.onnx.bytes", 10**10), "sha256 differs|larger than 1 GB"),
}


@pytest.mark.parametrize(("change", "message"), SPECS.values(), ids=SPECS)
def test_a_spec_beyond_all_limits_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    path = write_tiny(tmp_path, beside=change)
    with pytest.raises(ModelRefusedError, match=message):
        load(choose_model(str(path)), CPU)


def test_a_file_of_10_gb_is_refused_unread(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, beside=set_value("files.onnx.bytes", 10**10))
    os.truncate(path, 10**10)
    with pytest.raises(ModelRefusedError, match="larger than 1 GB"):
        load(choose_model(str(path)), CPU)


@pytest.mark.parametrize("depth", [33, 100_000])
def test_a_spec_that_nests_too_deep_is_refused(depth: int, tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    values = json.loads(path.with_suffix(".json").read_text())
    values["reliability"] = {"deep": "HERE"}
    nest = "[" * depth + "]" * depth
    path.with_suffix(".json").write_text(json.dumps(values).replace('"HERE"', nest))
    with pytest.raises(ModelRefusedError, match="nests too deep"):
        choose_model(str(path))


def test_an_embedded_spec_that_nests_too_deep_is_refused(tmp_path: Path) -> None:
    nest: Any = []
    for _ in range(900):
        nest = [nest]
    path = write_tiny(tmp_path, embedded=lambda values: values.update(reliability={"deep": nest}))
    with pytest.raises(ModelRefusedError, match="differ"):
        load(choose_model(str(path)), CPU)


def test_a_huge_spec_is_refused(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    os.truncate(path.with_suffix(".json"), 10**10)
    with pytest.raises(ModelRefusedError, match="larger than 4 MB"):
        choose_model(str(path))
