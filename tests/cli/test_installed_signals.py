"""The installed `cxr-edge` is interrupted, killed, or meets another run: nothing is lost."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

from tests.cli.installed import (
    BINARY,
    SCORE,
    cxr_edge,
    environment,
    installed,
    interrupted,
    until_it_waits,
)
from tests.factories import names_in

pytestmark = installed


def test_a_signal_before_the_first_film(tiny: Path, tmp_path: Path) -> None:
    """SIGINT at such a time: test_streams."""
    os.mkfifo(tmp_path / "list")
    arguments = ["score", "--model", str(tiny), "--out", str(tmp_path / "out")]
    code, out, err = interrupted(arguments, signal.SIGTERM, tmp_path / "list")
    assert (code, out, err.strip()) == (143, b"", b"error: terminated; safe to run again")
    assert names_in(tmp_path) == ["list"]


def test_a_terminal_that_closes_stops_the_run(films: Path, tiny: Path, tmp_path: Path) -> None:
    """While the bar is shown: nobody reads on, and what is scored is safe."""

    def at_the_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A test run under nohup ignores it, and hands that on.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    ours, theirs = pty.openpty()
    state = tmp_path / "state"
    command = [str(BINARY), "score", str(films), "--model", str(tiny), "--state", str(state)]
    with subprocess.Popen(
        [*command, "--settle", "3600", "--out", str(tmp_path / "out")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color"),
        start_new_session=True,
        preexec_fn=at_the_terminal,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"waiting" not in seen:
            seen += os.read(ours, 4096)
        os.close(ours)
        try:
            assert process.wait(timeout=60) == 129
        finally:
            process.kill()
    assert not (tmp_path / "out").exists()


def test_a_signal_in_the_middle_costs_nothing(films: Path, tiny: Path, tmp_path: Path) -> None:
    """The whole process group gets it, as from a terminal; the same command goes on."""
    out = tmp_path / "out"
    arguments = [str(films), "--model", str(tiny), "--out", str(out)]
    with subprocess.Popen(
        [str(BINARY), "score", "--settle", "60", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        until_it_waits(process)
        os.killpg(process.pid, signal.SIGINT)
        said, err = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b""), err.decode()
    assert err.decode() == (
        "note: stopping after this batch\n"
        "  tip: once more to stop at once\n"
        "error: stopped by a signal; 3 files of this run are safe\n"
        "  tip: the same command goes on from here\n"
    )
    assert not out.exists()
    assert cxr_edge(*SCORE, *arguments, "-q").returncode == 0
    assert len(names_in(out)) == 3


def test_a_run_that_is_killed_goes_on(films: Path, tiny: Path, tmp_path: Path) -> None:
    """kill -9: no lock, no process and no half report stays behind."""
    out = tmp_path / "out"
    arguments = [str(films), "--model", str(tiny), "--out", str(out)]
    with subprocess.Popen(
        [str(BINARY), "score", "--settle", "60", *arguments],
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        until_it_waits(process)
        process.kill()
    made = cxr_edge(*SCORE, *arguments, "-q")
    assert (made.returncode, made.stderr) == (0, b"")
    assert names_in(tmp_path) == ["in", "index.html", "latest", "out"]
