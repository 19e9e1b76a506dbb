"""The installed `cxr-edge`: real processes, real streams, real signals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BINARY = Path(sys.executable).with_name("cxr-edge")
installed = pytest.mark.skipif(not BINARY.exists(), reason="cxr-edge is not installed here")

SCORE = ("score", "--settle", "0")  # the films have only just been made


def environment(**more: str) -> dict[str, str]:
    """Warnings are errors here too; nothing of the caller's terminal, and a state of its own."""
    names = ("PATH", "HOME", "LD_LIBRARY_PATH", "XDG_STATE_HOME")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8", **more}


def cxr_edge(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A real run, to its end."""
    options.setdefault("env", environment())
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


def interrupted(arguments: list[str], number: int, pipe: Path) -> tuple[int, bytes, bytes]:
    """Send a signal while the command waits for the list of files that comes through a pipe."""
    command = [str(BINARY), *arguments, "--files-from", str(pipe)]
    # A signal that comes while the pipe is being opened leaves it to the garbage collector.
    env = environment(PYTHONWARNINGS="error,ignore::ResourceWarning")

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        with pipe.open("wb"):  # opens when the command has opened its end
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def on_a_terminal(*arguments: object, **more: str) -> bytes:
    """What a person sees: both streams on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    command = [str(BINARY), *map(str, arguments)]
    env = environment(TERM="xterm-256color", **more)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        process.wait(timeout=60)
    return seen


def until_it_waits(process: subprocess.Popen[bytes]) -> None:
    """Until it says that it waits for files to settle."""
    if process.stderr is None:
        raise RuntimeError("no pipe")
    said = process.stderr.readline()
    # A busy machine has taken some of the 60 s by then.
    assert re.match(rb"waiting [3-6]\d s for 3 files to settle", said), said
