"""`cxr-edge score` refuses: one sentence with the way out, and nothing written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake import discover
from tests.cli.conftest import Run
from tests.factories import (
    names_in,
)
from tests.runtime.broken import BROKEN
from tests.tiny import write_tiny

USAGE = {
    "an unset variable": ([""], "error: an INPUT is an empty string\n"),
    "no input": ([], "give INPUTs or --files-from, one of the two"),
    "input and list": (["in", "--files-from", "list"], "give INPUTs or --files-from"),
    "both thresholds": (
        ["in", "--threshold", "0.5", "--operating-point", "balanced"],
        "give only one of operating point, threshold and site profile",
    ),
    "threshold that rounds to 0": (
        ["in", "--threshold", "0.0000004"],
        "threshold must lie between 0 and 1: 4e-07",
    ),
    "threshold 1": (["in", "--threshold", "1"], "threshold must lie between 0 and 1: 1.0"),
    "unknown point": (
        ["in", "--operating-point", "rule-out"],
        "tiny has no operating point 'rule-out'\n  tip: it has: screening, balanced",
    ),
    "unknown device": (
        ["in", "--device", "tpu"],
        "error: unknown device 'tpu'\n  tip: use auto, cpu, cuda or cuda:N\n",
    ),
    "missing input": (["in", "nowhere"], "input does not exist: "),
    "missing list": (["--files-from", "nowhere"], "--files-from nowhere cannot be read: No such"),
    "huge workers": (
        ["in", "--workers", "9999"],
        "'--workers': 9999 is not in the range 1<=x<=256",
    ),
    "huge batch": (
        ["in", "--batch-size", "1000000000"],
        "1000000000 is not in the range 1<=x<=256",
    ),
    "report that exists": (
        ["in", "--out", "in"],
        "in already exists\n  tip: nothing is ever overwritten: give --out",
    ),
    "report among the films": (
        ["in", "--out", "in/sub/../report"],
        "error: the report folder in/sub/../report lies inside an INPUT\n"
        "  tip: give --out a folder outside of what is scored\n",
    ),
    "report among the films by default": (["."], "error: the report folder reports/"),
    "unknown option": (["in", "--sieve"], "No such option"),
    "a time with a unit": (["in", "--settle", "2min"], "'2min' is not a valid number of seconds"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage_error(
    arguments: list[str],
    message: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("score", *arguments, "--model", tiny)
    assert (made.code, made.out) == (2, "")
    assert message in made.err
    assert names_in(tmp_path) == ["in"]


def must_not_happen(*_: Any) -> NoReturn:
    pytest.fail("a film was looked for")


def test_a_broken_model_is_refused_before_any_film(
    run: Run,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What else is refused: runtime/test_loading, by the same sentences."""
    monkeypatch.setattr(discover, "_walk", must_not_happen)
    monkeypatch.setattr(Workers, "prepare", must_not_happen)
    changes, message = BROKEN["foreign operator"]
    path = write_tiny(tmp_path / "model", **changes)
    made = run("score", films, "--model", path, "--out", tmp_path / "out")
    assert (made.code, made.out) == (4, "")
    assert re.match(f"error: .*({message})", made.err)
    assert names_in(tmp_path) == ["in", "model"]


REFUSED = {
    "no such model": ("nothing", "error: no model 'nothing'\n  tip: bundled: "),
    "no GPU": ("tiny.onnx", "error: cuda:0 was asked for"),
}


@pytest.mark.parametrize(("model", "message"), REFUSED.values(), ids=REFUSED)
def test_model_or_device_is_refused(
    model: str,
    message: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discover, "_walk", must_not_happen)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.chdir(tmp_path)
    for name in ("net.keras", "alone.onnx"):
        Path(name).write_bytes(b"x")
    for suffix in (".onnx", ".json"):
        shutil.copy(tiny.with_suffix(suffix), ".")
    made = run("score", films, "--model", model, "--device", "cuda")
    assert made.code == 4
    assert made.err.startswith(message)
    assert not Path("reports").exists()
