"""`cxr-edge doctor` tests what tonight's run will use."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.ledger.state import held
from cxr_edge.model import catalog
from tests.cli.conftest import Run
from tests.factories import names_in, raising

HEAD = re.compile(
    r"cxr-edge \S+, Python 3\.\S+\n"
    r"pillow [\d.]+\n"
    r"pydicom [\d.]+\n"
    r"python-gdcm [\d.]+\n"
    r"pyjpegls [\d.]+\n"
    r"numpy [\d.]+\n"
    r"onnxruntime (\S+|not installed)\n"
    r"onnxruntime-gpu (\S+|not installed)\n"
    r"ai-edge-litert (\S+|not installed)\n"
    r"cores \d+\n"
    r"decoders: .*seccomp.*, .*no new privileges.*\n"
    r"(scope_48.*\n)+"
    r"state (?P<state>\S+), [\d.]+ GB free\n"
)


def models(out: str) -> list[str]:
    """What is said about the models, behind the head."""
    match = HEAD.match(out)
    assert match is not None, out
    return out[match.end() :].splitlines()


@pytest.fixture
def onnx_alone(bundle: Path) -> Path:
    """A bundle whose only file is right."""
    values = json.loads((bundle / "tiny.json").read_text())
    del values["files"]["tflite"]
    (bundle / "tiny.json").write_text(json.dumps(values))
    return bundle


def test_all_is_well(run: Run, onnx_alone: Path) -> None:
    made = run("doctor", "--device", "cpu")
    assert (made.code, made.err) == (0, "")
    line, last = models(made.out)
    assert last == "ready"
    assert re.fullmatch(r"tiny\.onnx: self-test passed on cpu, off by \d\.\de-\d\d", line)


def test_where_state_folders_are_made_is_tried(run: Run, onnx_alone: Path, own_state: Path) -> None:
    match = HEAD.match(run("doctor").out)
    assert match is not None
    assert match["state"] == str(own_state)
    assert not own_state.exists()


def test_a_state_folder_to_come_is_not_made(run: Run, onnx_alone: Path, tmp_path: Path) -> None:
    """It would be this user's; the one that the run has may be another."""
    (tmp_path / "lib").mkdir()
    match = HEAD.match(run("doctor", "--state", tmp_path / "lib" / "state").out)
    assert match is not None
    assert match["state"] == str(tmp_path / "lib" / "state")
    assert names_in(tmp_path / "lib") == []


def test_a_state_folder_without_a_ledger_stays_empty(
    run: Run, onnx_alone: Path, tmp_path: Path
) -> None:
    """As made for the user that scores: what root leaves in it would stop the night."""
    assert run("doctor", "--state", tmp_path).code == 0
    assert "ledger.sqlite3" not in names_in(tmp_path)
    assert "lock" not in names_in(tmp_path)


def test_another_user_s_ledger_is_left_alone(
    run: Run, onnx_alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    with held(state, ["score"]), open_ledger(state):
        pass
    before = (state / LEDGER_NAME).read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    made = run("doctor", "--state", state)
    assert made.code == 1
    assert made.err == (
        f"error: the state folder {state} is another user's\n"
        "  tip: run doctor as the user that scores: sudo -u USER cxr-edge doctor\n"
    )
    assert (state / LEDGER_NAME).read_bytes() == before


def test_the_run_s_own_state_folder_is_tried(run: Run, onnx_alone: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with held(state, ["score"]), open_ledger(state):
        made = run("doctor", "--state", state)
    assert made.code == 75
    assert run("doctor", "--state", state).code == 0
    (state / LEDGER_NAME).write_bytes(b"no ledger" * 1000)
    damaged = run("doctor", "--state", state)
    assert damaged.code == 0
    assert damaged.err.startswith(f"warning: the ledger was damaged and is set aside: {state}/")


def test_a_state_folder_that_cannot_be_used(run: Run, onnx_alone: Path, own_state: Path) -> None:
    own_state.parent.touch()
    made = run("doctor")
    assert made.code == 1
    assert made.err.startswith(f"error: the state folder {own_state} cannot be used: ")


def test_one_bad_file(run: Run, bundle: Path) -> None:
    made = run("doctor")
    assert (made.code, made.err) == (4, "")
    good, bad = models(made.out)
    assert good.startswith("tiny.onnx: self-test passed on ")
    assert bad.startswith("tiny.tflite: REFUSED, LiteRT refuses the model")


def test_damaged_file(run: Run, onnx_alone: Path) -> None:
    (onnx_alone / "tiny.onnx").write_bytes(b"damaged")
    made = run("doctor")
    assert made.code == 4
    assert models(made.out) == [
        "tiny.onnx: REFUSED, tiny.onnx is not the file that its spec pins (size or sha256 differs)"
    ]
    assert made.err == "error: no bundled model could be run here\n  tip: see the lines above\n"


def test_a_missing_library_is_not_the_model_s_fault(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cxr_edge.runtime.tflite", None)
    made = run("doctor")
    assert made.code == 0
    assert models(made.out)[1] == (
        "tiny.tflite: not tested, the library that runs .tflite models is not installed"
    )


def test_ready_is_not_said_of_what_cannot_run(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual model needs a library that is not there; another one would do."""
    doctor = sys.modules["cxr_edge.cli.doctor"]
    monkeypatch.setattr(doctor, "DEFAULT_MODEL", "tiny")
    monkeypatch.setattr(doctor, "_check", lambda choice, _: choice.format == "tflite" or None)
    made = run("doctor")
    assert made.code == 0
    assert models(made.out) == ["ready with --model tiny.tflite, not without"]


def test_nothing_can_be_run(run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "tflite"):
        monkeypatch.setitem(sys.modules, f"cxr_edge.runtime.{name}", None)
    made = run("doctor")
    assert made.code == 4
    assert made.err.startswith("error: no bundled model could be run here")


def test_cuda_on_a_machine_without(run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    made = run("doctor", "--device", "cuda:1")
    assert made.code == 4
    onnx, tflite = models(made.out)
    assert onnx.startswith("tiny.onnx: REFUSED, cuda:1 was asked for")
    assert tflite == "tiny.tflite: not tested, TFLite models run on the CPU"


def test_a_library_that_is_not_there_is_named(
    run: Run, onnx_alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    installed = metadata.version

    def version(name: str) -> str:
        if name == "ai-edge-litert":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "ai-edge-litert not installed\n" in run("doctor").out


def test_the_bundled_models_of_this_checkout_pass(run: Run) -> None:
    made = run("doctor", "--device", "cpu")
    assert made.code == 0
    *lines, last = models(made.out)
    assert last == "ready"
    assert all("self-test passed on cpu" in line for line in lines)


@pytest.mark.usefixtures("scope_gate")
def test_the_scope_gate_is_tested(run: Run) -> None:
    outcome = run("doctor", "--model", "cnn3_50")
    assert outcome.code == 0
    for kind in ("onnx", "tflite"):
        assert re.search(
            rf"^scope_48\.{kind}: self-test passed, off by \S+; scope gate \d.*, sha256 ",
            outcome.out,
            re.M,
        )


def test_a_gate_that_is_refused_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "bundled_scope_spec", raising(ModelRefusedError("torn")))
    outcome = run("doctor", "--model", "cnn3_50")
    assert outcome.code == 4
    assert "scope_48: REFUSED, torn" in outcome.out


def test_no_gate_is_said(run: Run) -> None:
    outcome = run("doctor", "--model", "cnn3_50")
    assert outcome.code == 0
    assert "scope_48: not there, films are scored without a scope gate" in outcome.out


LATER_REFUSED = {
    "results that are not asked for": ("key-object = true", "options of results without --results"),
    "no highdicom": ("results = true", "highdicom is not installed"),
    "no pyarrow": ("parquet = true", "pyarrow is not installed"),
}


@pytest.mark.parametrize(("line", "said"), LATER_REFUSED.values(), ids=LATER_REFUSED)
def test_what_score_would_refuse_at_once_is_refused_here(
    line: str,
    said: str,
    run: Run,
    onnx_alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    config = tmp_path / "a.toml"
    config.write_text(f'[score]\ninputs = ["{tmp_path}"]\nmodel = "tiny"\n{line}\n')
    made = run("doctor", "--config", config)
    assert (made.code, said in made.err) == (2, True), made.err
