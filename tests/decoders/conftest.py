"""Decoders whose code is chosen, and films for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge.decoders import pool as pool_module
from cxr_edge.decoders import start as start_module
from cxr_edge.intake.discover import discover
from cxr_edge.types import FoundFile
from tests.decoders.harness import BAD, Marks, evil_decoder
from tests.factories import chest, write_tree
from tests.images.films import png

Start = Callable[[str], None]
Evil = Callable[..., Marks]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """`start(code)`: from now on what forks decoders runs this code, with the same argument."""
    same_modules, _ = start_module._START.split("from cxr_edge")

    def choose(code: str) -> None:
        monkeypatch.setattr(start_module, "_START", f"{same_modules}\n{code}")

    return choose


@pytest.fixture
def evil(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evil:
    """`evil(body)`: what decoding a bad film does; returns the marks of its attempts."""

    def choose(body: str, seconds: float = 60.0) -> Marks:
        monkeypatch.setattr(pool_module, "MAX_SECONDS", seconds)
        marks = Marks(tmp_path / "marks")
        start(evil_decoder(body, marks))
        return marks

    return choose


@pytest.fixture
def films(tmp_path: Path) -> list[FoundFile]:
    """Ten films of different bytes; the fourth has a name that some decoders here dislike."""
    names = ["a0.png", "a1.png", "a2.png", BAD, *(f"c{number}.png" for number in range(4, 10))]
    tree = {name: png(chest(tilt=number)) for number, name in enumerate(names)}
    return list(discover([write_tree(tmp_path / "in", tree)]))
