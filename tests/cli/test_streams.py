"""Streams that are closed, terminals that obey, pipes without end, and Ctrl-C at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.factories import chest, set_value, write_tree
from tests.images.films import png
from tests.tiny import write_tiny

ROOT = Path(__file__).resolve().parents[2]
RED = "\x1b[31mred\x1b]0;title\x07\u202e"
COMMAND = [sys.executable, "-m", "cxr_edge"]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {"a.png": png(chest())})


def closed(stream: int, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """A real run whose caller has closed a stream, as `>&-` does."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, preexec_fn=lambda: os.close(stream), timeout=120
    )


def test_rows_for_a_closed_stdout_are_missed(films: Path, tiny: Path, tmp_path: Path) -> None:
    arguments = ("score", films, "--model", tiny, "--settle", "0", "--out", tmp_path / "out")
    made = closed(1, *arguments, "--jsonl", "-q")
    assert made.returncode == 1
    assert made.stderr.startswith(b"error: the rows could not be written to stdout: Bad file")
    assert (tmp_path / "out" / "triage.html").exists()


@pytest.mark.parametrize("arguments", [("--help",), ("models", "list")], ids=str)
def test_any_answer_for_a_closed_stdout_is_missed(arguments: tuple[str, ...]) -> None:
    made = closed(1, *arguments)
    assert made.returncode == 1
    assert made.stderr == b"error: the output cannot be written: Bad file descriptor\n"


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_who_asks_for_no_rows_may_close_streams(
    stream: int, films: Path, tiny: Path, tmp_path: Path
) -> None:
    arguments = ("score", films, "--model", tiny, "--settle", "0", "--out", tmp_path / "out")
    assert closed(stream, *arguments, "-q").returncode == 0


def terminal_safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def steering(values: dict[str, Any]) -> None:
    """Wherever a spec may say anything."""
    values["name"], values["license"] = f"tiny{RED}", RED
    values["use"]["intended_use"] = f"for {RED}"
    values["operating_points"][RED] = values["operating_points"]["screening"]


SPECS = {
    "texts": steering,
    "a refused rule": set_value("golden.cases", [{"rule": RED, "probability": 0.5, "logit": 0.0}]),
}


@pytest.mark.parametrize("change", SPECS.values(), ids=SPECS)
def test_a_spec_does_not_steer_the_terminal(
    change: object, run: Run, films: Path, tmp_path: Path
) -> None:
    model = write_tiny(tmp_path / f"model{RED}", spec=change)  # type: ignore[arg-type]
    out = tmp_path / f"out{RED}"
    state = tmp_path / f"state{RED}"
    for command in (
        ("models", "show", model),
        ("models", "show", model, "--json"),
        ("doctor", "--model", model, "--state", state),
        ("score", films, "--model", model, "--out", out, "--state", state, "-v"),
        ("score", films, "--model", model, "--out", out, "--state", state),
        ("score", films, "--model", model, "--out", tmp_path / "o", "--operating-point", RED),
        ("report", "--state", state, "--out", tmp_path / f"again{RED}"),
        ("report", RED, "--state", state, "--out", tmp_path / "never"),
    ):
        made = run(*command)
        assert made.out + made.err
        assert terminal_safe(made.out + made.err), command


@pytest.mark.parametrize(
    "arguments",
    [
        (f"no{RED}",),
        ("score", f"--{RED}"),
        ("score", f"nowhere{RED}"),
        ("score", "in", "--model", f"none{RED}"),
        ("score", "in", "--device", RED),
        ("score", "in", "--id-tag", RED),
        ("score", "in", "--batch-size", RED),
        ("score", "--files-from", f"none{RED}"),
        ("score", "in", "--site-profile", f"none{RED}"),
        ("models", "show", f"none{RED}"),
        ("evaluate", f"none{RED}"),
        ("report", "--state", f"none{RED}"),
    ],
    ids=lambda arguments: " ".join(arguments[:3]).replace(RED, ""),
)
def test_what_was_typed_does_not_steer_the_terminal(
    arguments: tuple[str, ...], run: Run, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(films.parent)
    made = run(*arguments)
    assert made.code != 0
    assert made.err
    assert terminal_safe(made.out + made.err)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    os.mkfifo(tmp_path / "pipe")
    yield tmp_path / "pipe"


@pytest.mark.parametrize("option", ["--site-profile", "--files-from"])
def test_a_pipe_that_nobody_writes_is_not_waited_for(
    option: str, run: Run, films: Path, tiny: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxr_edge.intake.file_list._SECONDS_FOR_A_WRITER", 0.1)
    inputs = [] if option == "--files-from" else [films]
    made = run("score", *inputs, option, pipe, "--model", tiny, "--out", "never")
    assert made.code == 2
    assert "nobody writes to this pipe" in made.err or "it is no plain file" in made.err


def test_a_table_of_labels_that_is_a_pipe(run: Run, films: Path, pipe: Path) -> None:
    made = run("evaluate", films, "--labels", pipe, "--out", films.parent / "never")
    assert made.code == 2
    assert "it is no plain file" in made.err


def test_a_list_through_a_pipe_is_read(films: Path, tiny: Path, pipe: Path, tmp_path: Path) -> None:
    """As a shell makes it of `<(find ...)`; its writer may take its time."""
    command = [*COMMAND, "score", "--files-from", str(pipe), "--model", str(tiny), "-q"]
    command += ["--settle", "0", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT) as process:
        with pipe.open("wb") as writer:
            time.sleep(0.3)
            writer.write(os.fsencode(films / "a.png"))
        assert process.wait(60) == 0


def test_a_list_without_end(tiny: Path, tmp_path: Path) -> None:
    command = [*COMMAND, "score", "--files-from", "-", "--model", str(tiny)]
    command += ["--out", str(tmp_path / "out")]
    with Path("/dev/zero").open("rb") as zeros:
        made = subprocess.run(command, cwd=ROOT, stdin=zeros, capture_output=True, timeout=120)
    assert made.returncode == 2
    assert made.stderr.startswith(b"error: --files-from - cannot be read: it is")


# Says when Python itself has started, which no program can protect.
STARTED = "import os, cxr_edge.cli; os.write(1, b'.'); cxr_edge.cli.main()"


@pytest.mark.parametrize("milliseconds", [0, 20, 60, 150])
def test_ctrl_c_at_the_start_leaves_no_traceback(
    milliseconds: int, films: Path, tiny: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", STARTED, "score", str(films), "--model", str(tiny)]

    def listen() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=listen,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"."
        time.sleep(0.002 + milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err


def test_ctrl_c_stays_ignored_where_it_was(tmp_path: Path) -> None:
    """As for a job in the background of a shell script."""
    code = "import signal, cxr_edge.cli; cxr_edge.cli.main()"

    def deaf() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with subprocess.Popen(
        [sys.executable, "-c", code, "models", "list"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=deaf,
    ) as process:
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, b"cnn3_128" in out) == (0, True)
