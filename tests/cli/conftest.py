"""Runs commands in this process, with the arguments, streams and exit code of a real run."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.cli.boundary import run_command
from cxr_edge.cli.commands import cli
from cxr_edge.runtime.onnx import OnnxRunner
from tests.factories import (
    chest,
    in_12_bits,
    write_tree,
)
from tests.images.films import jpeg, png, tiff


@dataclass(frozen=True)
class Outcome:
    """What a shell would see."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("score", folder, "-q")`; everything but strings is turned into one.

    Films that a test has just made are trusted, unless it says `--settle` itself. The ledger lies
    where the environment says, which is a place of the test's own.
    """
    monkeypatch.setenv("COLUMNS", "100")

    def run_here(*arguments: object, stdin: bytes = b"") -> Outcome:
        capsys.readouterr()
        trusting = "score" in arguments[:1] and "--settle" not in arguments
        more = ("--settle", "0") if trusting else ()
        monkeypatch.setattr(sys, "argv", ["cxr-edge", *map(str, (*arguments, *more))])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run_command(cli)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_here


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Three films: the first is flagged at either operating point or below, the others are not."""
    return write_tree(
        tmp_path / "in",
        {
            "bright.png": png(chest(tilt=-110)),
            "sub/film.jpg": jpeg(chest()),
            "wide.tif": tiff(in_12_bits(chest())),
        },
    )


@pytest.fixture
def mixed(films: Path) -> Path:
    """And three files that cannot."""
    return write_tree(films, {"cut.jpg": jpeg()[:500], "empty.png": b"", "notes.txt": b"\0hello"})


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that the network was asked; the first is the self-test."""
    real, sizes = OnnxRunner.predict, []

    def predict(self: OnnxRunner, images: Any) -> Any:
        sizes.append(len(images))
        return real(self, images)

    monkeypatch.setattr(OnnxRunner, "predict", predict)
    return sizes
