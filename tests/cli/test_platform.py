"""Systems that this cannot run on get one line, and help everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cxr_edge

PACKAGE = Path(cxr_edge.__file__).parent

# Another system, as far as one can be made here: what its Python lacks is taken away.
ELSEWHERE = """
import os, shutil, signal, socket, ssl, subprocess, sys, tempfile
import click
missing = {"win32": ("fcntl", "grp", "pwd", "resource", "termios")}.get(sys.argv[1], ())
class Missing:
    def find_spec(self, name, *_):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
for name in missing:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
del os.sched_getaffinity
if missing:
    del os.geteuid, signal.SIGHUP
sys.platform = sys.argv.pop(1)
from cxr_edge.cli import main
main()
"""

REFUSED = {
    "win32": (
        "error: cxr-edge runs on Linux, and this is Windows\n"
        "  tip: install it in WSL 2, which is a Linux inside Windows\n"
    ),
    "darwin": (
        "error: cxr-edge runs on Linux, and this is macOS\n"
        "  tip: use a Linux machine, virtual machine or container\n"
    ),
    "freebsd14": (
        "error: cxr-edge runs on Linux, and this is freebsd14\n"
        "  tip: use a Linux machine, virtual machine or container\n"
    ),
}
COMMANDS = [
    ("score", "."),
    ("doctor",),
    ("models", "list"),
    ("evaluate", ".", "--out", "x"),
    ("train", "cnn3_50", "--data", ".", "--out", "x"),
    ("export", ".", "--name", "x", "--version", "1.0.0", "--calibration", ".", "--out", "x"),
]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, for what cannot be put back."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("system", "command"),
    [*((system, COMMANDS[0]) for system in REFUSED), *(("win32", each) for each in COMMANDS[1:])],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_another_system_is_refused_in_one_line(system: str, command: tuple[str, ...]) -> None:
    made = python(ELSEWHERE, system, *command)
    assert (made.returncode, made.stdout, made.stderr) == (2, "", REFUSED[system])


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["score", "-h"]], ids=" ".join)
def test_help_is_shown_everywhere(arguments: list[str]) -> None:
    made = python(ELSEWHERE, "win32", *arguments)
    assert (made.returncode, made.stderr) == (0, "")
    assert "cxr-edge" in made.stdout


def test_an_older_python_is_refused_in_one_line() -> None:
    older = (
        "import runpy, sys; sys.version_info = (3, 10, 13, 'final', 0); "
        "runpy.run_module('cxr_edge', run_name='__main__')"
    )
    made = python(older)
    assert (made.returncode, made.stdout) == (2, "")
    assert made.stderr == "error: cxr-edge needs Python 3.11 or later, and this is 3.10\n"


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_an_older_python_gets_as_far_as_that_line(name: str) -> None:
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 8))
