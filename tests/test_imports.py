"""What importing and running the runtime loads, each time in a process of its own."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import cxr_edge
from tests.factories import names_in, write_tree
from tests.images import dicoms
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
    "ray",
    "fsspec",
    "pyarrow",
    "s3fs",
    "botocore",
    "cxr_training",
    "cxr_export",
    "pynetdicom",
    "highdicom",
}
DICOM = {"pydicom", "gdcm", "_gdcm", "jpeg_ls"}
BACKENDS = {
    *("cxr_edge.runtime.onnx", "cxr_edge.runtime.tflite"),
    *("cxr_edge.engines.ray_address", "cxr_edge.engines.ray_pool"),
}
SCRIPT = "cxr_edge.__main__"
FOUND = {module.name for module in pkgutil.walk_packages(cxr_edge.__path__, "cxr_edge.")}
# What the extra `evaluate` is for; `score` loads none of them.
EVALUATION = {name for name in FOUND if ".evaluate." in name}
# What the extra `hospital` is for: jobs that `--help` imports are light all the same.
HOSPITAL = {name for name in FOUND if ".hospital." in name and not name.endswith("_job")}
MODULES = sorted(FOUND - BACKENDS - EVALUATION - HOSPITAL - {SCRIPT})

# What only some runs need: a quiet one of films in the ledger, a decoder of JPEGs, `--help`.
DECODERS = {"PIL", *DICOM}
DISPLAY = {"rich", "pygments", "markdown_it"}
SERVICES = {"logging", "sqlite3", "subprocess", "multiprocessing", "importlib.metadata", "email"}

# Says on the last line of stdout which modules are there at the end; a connection ends it.
WATCHED = """
import atexit, json, os, sys
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        os._exit(99)
sys.addaudithook(audit)
def tell():
    print(json.dumps(sorted(sys.modules)))
atexit.register(tell)
"""


def modules(code: str, *arguments: str, returncode: int = 0) -> set[str]:
    """What a fresh process has loaded at its end."""
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCHED + code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
        timeout=120,
    )
    assert made.returncode == returncode, made.stderr
    return set(json.loads(made.stdout.splitlines()[-1]))


def packages(code: str, *arguments: str, returncode: int = 0) -> set[str]:
    """The same, top-level packages alone."""
    loaded = modules(code, *arguments, returncode=returncode)
    return {name.partition(".")[0] for name in loaded}


MAIN = "from cxr_edge.cli import main\nmain()"


def main(*arguments: str, returncode: int = 0) -> set[str]:
    """The same for a whole run of the command line."""
    return packages(MAIN, *arguments, returncode=returncode)


def imports(names: Iterable[str]) -> str:
    """Imports each in turn: test_arrows shows that there are no circles, so each can be first."""
    return "\n".join(f"import {name}" for name in names)


def test_no_module_imports_anything_heavy() -> None:
    loaded = packages(imports(["cxr_edge", *MODULES]))
    assert not loaded & (HEAVY | {"onnxruntime", "ai_edge_litert"})


def test_evaluation_imports_mathematics_and_no_training() -> None:
    loaded = packages(imports(sorted(EVALUATION)))
    mathematics = {"sklearn", "scipy", "matplotlib", "pandas"}
    assert not loaded & ((HEAVY - mathematics) | {"onnxruntime", "ai_edge_litert"})


def test_every_module_is_seen() -> None:
    sources = Path(cxr_edge.__file__).parent.rglob("*.py")
    assert {"cxr_edge", *FOUND} == {
        ".".join(
            path.relative_to(Path(cxr_edge.__file__).parent.parent).with_suffix("").parts
        ).removesuffix(".__init__")
        for path in sources
    }


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"]], ids=" ".join)
def test_help_loads_next_to_nothing(arguments: list[str]) -> None:
    """A package that is loaded is a module of that name."""
    backends = {"onnxruntime", "ai_edge_litert"}
    unneeded = {"numpy", "PIL", "rich", "jinja2", "msgspec"} | backends
    loaded = modules(MAIN, *arguments)
    assert not loaded & (HEAVY | DICOM | SERVICES | DISPLAY | unneeded)


def test_the_help_of_train_lists_recipes_and_loads_nothing_else_that_is_heavy() -> None:
    assert main("train", "--help") & HEAVY == {"cxr_training"}


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_scoring_loads_one_backend_and_nothing_heavy(kind: str, tmp_path: Path) -> None:
    """And opens no connection: the process would end with 99."""
    from cxr_edge.model.catalog import bundled_specs

    films = {"a.jpg": jpeg(), "b.png": png(), "c.txt": b"\0hello", "d.dcm": dicoms.film()}
    write_tree(tmp_path / "in", films)
    model = bundled_specs()[0].files[kind].name
    out = tmp_path / "out"
    inputs = (str(tmp_path / "in"), "--settle", "0")
    loaded = main("score", *inputs, "--model", model, "--out", str(out), returncode=3)
    backends = {"onnx": "onnxruntime", "tflite": "ai_edge_litert"}
    assert loaded & set(backends.values()) == {backends[kind]}
    assert not loaded & HEAVY
    assert not loaded & DECODERS, "the decoder processes read them"
    assert '"scored": 3' in (out / "run.json").read_text()
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]


def test_a_run_of_films_in_the_ledger_loads_no_decoder_and_nothing_to_talk_with(
    tmp_path: Path,
) -> None:
    films = write_tree(tmp_path / "in", {"a.jpg": jpeg(), "b.txt": b"\0hello"})
    options = (str(films), "--settle", "0", "--model", "cnn3_50", "-q")
    for out in ("one", "two"):
        loaded = main("score", *options, "--out", str(tmp_path / out), returncode=3)
    assert not loaded & (HEAVY | DECODERS | DISPLAY)
    assert names_in(tmp_path / "two") == ["run.json", "triage.csv", "triage.html"]


def test_a_report_from_the_ledger_loads_no_backend_and_no_decoder(tmp_path: Path) -> None:
    """Jinja, SQLite and the spec are enough; the machine that renders may have nothing else."""
    films = write_tree(tmp_path / "in", {"a.txt": b"\0hello"})
    options = ("--settle", "0", "--model", "cnn3_50", "-q")
    main("score", str(films), "--out", str(tmp_path / "one"), *options, returncode=3)
    loaded = main("report", "--out", str(tmp_path / "two"), "-q", returncode=3)
    assert not loaded & (HEAVY | DICOM | {"onnxruntime", "ai_edge_litert", "PIL"})
    assert names_in(tmp_path / "two") == ["run.json", "triage.csv", "triage.html"]


# What a decoder process does with one film.
DECODE = """
from pathlib import Path
from cxr_edge.decoders import worker
from cxr_edge.decoders.messages import Request, encode
from cxr_edge.intake.prepared import IntakeSettings, Scope
film = os.open(sys.argv[1], os.O_RDONLY)
settings = IntakeSettings(8, Scope((1.0, 5.0), ()))
asked = encode(Request(b"", header_only=False))
answer = worker._answer(asked, [film], settings, worker._Trouble())
assert len(answer.partition(b"\\n")[2]) == 64, answer
"""


@pytest.mark.parametrize("kind", ["jpeg", "dicom"])
def test_a_decoder_loads_no_backend_and_what_its_films_need(kind: str, tmp_path: Path) -> None:
    """Address space is short there, and every process costs its start."""
    data = dicoms.film() if kind == "dicom" else jpeg()
    film = write_tree(tmp_path, {"film": data}) / "film"
    loaded = modules(DECODE, str(film))
    assert not loaded & (HEAVY | {"onnxruntime", "ai_edge_litert", "rich", "jinja2", "sqlite3"})
    assert bool(loaded & DICOM) == (kind == "dicom")
    unused = {"multiprocessing", "importlib.metadata", "email", "numpy.ma", "tempfile", "hashlib"}
    assert kind == "dicom" or not loaded & unused


def test_listing_models_loads_no_backend() -> None:
    loaded = main("models", "list")
    assert not loaded & (HEAVY | {"onnxruntime", "ai_edge_litert", "PIL"})


def test_a_connection_would_be_seen() -> None:
    code = "import socket\nsocket.socket().connect(('127.0.0.1', 9))"
    with pytest.raises(AssertionError):
        packages(code)
