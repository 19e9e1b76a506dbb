"""Calls that never return: a dead share, a model that hangs; a signal ends the run all the same."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.installed import environment, installed
from tests.factories import write_tree
from tests.faults.night import Ward, film, patched

pytestmark = [installed, pytest.mark.slow]

TERMINATED = 143
QUICKLY = 15.0  # seconds, on a busy machine
# Loading, and with it Python's lock, is never given back.
HANGING_MODEL = """
import ctypes, cxr_edge.runtime.onnx as onnx
def hang(*_):
    print("loading", flush=True)
    while True:
        ctypes.PyDLL(None).sleep(100)
onnx.OnnxRunner.__init__ = hang
"""
IMPATIENT = "import cxr_edge.intake.ahead as ahead; ahead.SILENCE_SECONDS = 1"


@pytest.fixture
def ward(tiny: Path, tmp_path: Path) -> Ward:
    return Ward(write_tree(tmp_path / "in", {f"{n}.png": film(n) for n in range(3)}), tiny)


@pytest.fixture
def dead_share(tmp_path: Path) -> dict[str, str]:
    """The environment of a run for which it is dead."""
    compiler, library = shutil.which("cc"), tmp_path / "hang.so"
    if compiler is None:
        pytest.skip("no C compiler (cc)")
    source = Path(__file__).with_name("hang.c")
    command = [compiler, "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"]
    subprocess.run(command, check=True)
    return environment(LD_PRELOAD=str(library))


def started(command: Sequence[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=env, **pipes)  # type: ignore[call-overload, no-any-return]


def ended_by(run: subprocess.Popen[bytes], number: signal.Signals) -> tuple[int, bytes]:
    """Exit code as a shell has it, and what was said, quickly."""
    run.send_signal(number)
    try:
        _, said = run.communicate(timeout=QUICKLY)
    except subprocess.TimeoutExpired:
        run.kill()
        raise
    return 128 - run.returncode if run.returncode < 0 else run.returncode, said


def test_a_folder_that_does_not_answer(
    ward: Ward, dead_share: dict[str, str], tmp_path: Path
) -> None:
    """The films before it are scored, the silence is said, and the first signal ends the run."""
    (ward.films / "z-dead").mkdir()
    command = patched(IMPATIENT, ward.score(tmp_path, "--batch-size", "1"))
    with started(command, dead_share) as run:
        assert run.stderr is not None
        assert b"does the share answer?" in run.stderr.readline()
        code, said = ended_by(run, signal.SIGTERM)
    assert (code, b"3 files of this run are safe" in said) == (TERMINATED, True), said


def test_an_input_that_does_not_answer(
    ward: Ward, dead_share: dict[str, str], tmp_path: Path
) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    command = patched(IMPATIENT, Ward(dead, ward.model).score(tmp_path))
    with started(command, dead_share) as run:
        assert run.stderr is not None
        assert b"does the share answer?" in run.stderr.readline()
        code, _ = ended_by(run, signal.SIGTERM)
    assert code == TERMINATED


def test_a_model_that_never_loads(ward: Ward, tmp_path: Path) -> None:
    with started(patched(HANGING_MODEL, ward.score(tmp_path)), environment()) as run:
        assert run.stdout is not None and run.stdout.readline() == b"loading\n"
        code, _ = ended_by(run, signal.SIGTERM)
    assert code == TERMINATED
