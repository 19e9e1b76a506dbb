"""What importing and running the runtime loads, each time in a process of its own."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cxr_edge
from tests.factories import names_in, write_tree
from tests.images.films import jpeg, png

HEAVY = {
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "jax",
    "torch",
    "sklearn",
    "matplotlib",
    "scipy",
    "pandas",
    "cxr_training",
    "cxr_export",
}
BACKENDS = {"cxr_edge.runtime.onnx", "cxr_edge.runtime.tflite"}
SCRIPT = "cxr_edge.__main__"
FOUND = {module.name for module in pkgutil.walk_packages(cxr_edge.__path__, "cxr_edge.")}
MODULES = sorted(FOUND - BACKENDS - {SCRIPT})

# Says on the last line of stdout which packages are there at the end; a connection ends it.
WATCHED = """
import atexit, json, os, sys
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        os._exit(99)
sys.addaudithook(audit)
def tell():
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
atexit.register(tell)
"""


def packages(code: str, *arguments: str, returncode: int = 0) -> set[str]:
    """Top-level packages that a fresh process has at its end."""
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHED + code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
        timeout=120,
    )
    assert made.returncode == returncode, made.stderr
    return set(json.loads(made.stdout.splitlines()[-1]))


def main(*arguments: str, returncode: int = 0) -> set[str]:
    """The same for a whole run of the command line."""
    return packages("from cxr_edge.cli import main\nmain()", *arguments, returncode=returncode)


@pytest.mark.parametrize("module", ["cxr_edge", *MODULES])
def test_module_imports_nothing_heavy(module: str) -> None:
    loaded = packages(f"import {module}")
    assert not loaded & (HEAVY | {"onnxruntime", "ai_edge_litert"})


def test_every_module_is_seen() -> None:
    sources = Path(cxr_edge.__file__).parent.rglob("*.py")
    assert {"cxr_edge", *FOUND} == {
        ".".join(
            path.relative_to(Path(cxr_edge.__file__).parent.parent).with_suffix("").parts
        ).removesuffix(".__init__")
        for path in sources
    }


@pytest.mark.parametrize(
    "arguments", [["--help"], ["score", "--help"], ["--version"]], ids=" ".join
)
def test_help_loads_next_to_nothing(arguments: list[str]) -> None:
    loaded = main(*arguments)
    assert not loaded & (
        HEAVY | {"numpy", "PIL", "onnxruntime", "ai_edge_litert", "rich", "jinja2"}
    )


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_scoring_loads_one_backend_and_nothing_heavy(kind: str, tmp_path: Path) -> None:
    """And opens no connection: the process would end with 99."""
    from cxr_edge.catalog import bundled_specs

    write_tree(tmp_path / "in", {"a.jpg": jpeg(), "b.png": png(), "c.txt": b"hello"})
    model = bundled_specs()[0].files[kind].name
    out = tmp_path / "out"
    loaded = main("score", str(tmp_path / "in"), "--model", model, "--out", str(out), returncode=3)
    backends = {"onnx": "onnxruntime", "tflite": "ai_edge_litert"}
    assert loaded & set(backends.values()) == {backends[kind]}
    assert not loaded & HEAVY
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]


def test_listing_models_loads_no_backend() -> None:
    loaded = main("models", "list")
    assert not loaded & (HEAVY | {"onnxruntime", "ai_edge_litert", "PIL"})


def test_a_connection_would_be_seen() -> None:
    code = "import socket\nsocket.socket().connect(('127.0.0.1', 9))"
    with pytest.raises(AssertionError):
        packages(code)
