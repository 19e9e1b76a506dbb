"""`cxr_training` is written in Keras alone, so that every backend can train it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import cxr_training

SOURCES = sorted(Path(cxr_training.__file__).parent.rglob("*.py"))
BACKENDS = {"tensorflow", "tf_keras", "torch", "jax"}


def imported_packages(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_no_source_imports_a_backend() -> None:
    assert [each for each in SOURCES if BACKENDS & set(imported_packages(each))] == []


def test_the_scan_sees_imports() -> None:
    training = next(path for path in SOURCES if path.name == "training.py")
    assert {"keras", "numpy", "cxr_edge"} <= set(imported_packages(training))
