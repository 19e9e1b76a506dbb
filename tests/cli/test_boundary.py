"""One place turns errors into a line, a tip and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from cxr_edge import errors
from cxr_edge.cli import boundary
from cxr_edge.cli.boundary import missing_extra, run_command
from cxr_edge.errors import CxrEdgeError, MissingExtraError
from tests.cli.conftest import Run


def outcome_of(
    raised: BaseException | None, returned: object = None, *, monkeypatch: pytest.MonkeyPatch
) -> int:
    """The exit code of a command that ends like this."""

    @click.command()
    def command() -> Any:
        if raised is not None:
            raise raised
        return returned

    monkeypatch.setattr(sys, "argv", ["cxr-edge"])
    return run_command(command)


RAISED = {
    "error": (CxrEdgeError("it broke"), 1, "error: it broke\n"),
    "error with a tip": (
        errors.InputError("no such folder", tip="try another"),
        2,
        "error: no such folder\n  tip: try another\n",
    ),
    "model": (errors.ModelRefusedError("bad model"), 4, "error: bad model\n"),
    "usage": (click.UsageError("what?"), 2, "Usage: cxr-edge [OPTIONS]\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "error: interrupted; safe to run again\n"),
    "Ctrl-C at a prompt": (click.Abort(), 130, "error: interrupted; safe to run again\n"),
}


@pytest.mark.parametrize(("raised", "code", "text"), RAISED.values(), ids=RAISED)
def test_error_becomes_a_line_and_a_code(
    raised: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert outcome_of(raised, monkeypatch=monkeypatch) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.lstrip("\n").startswith(text)


@pytest.mark.parametrize(
    ("returned", "code"), [(None, 0), (0, 0), (3, 3), (4, 4), ("text", 0)], ids=repr
)
def test_what_a_command_returns(
    returned: object, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome_of(None, returned, monkeypatch=monkeypatch) == code


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        outcome_of(ZeroDivisionError(), monkeypatch=monkeypatch)


EXTRAS = {
    "train": (
        ["train", "cnn3_50", "--data", ".", "--out", "x"],
        "cxr_training.fit.training",
        "training",
    ),
    "explore": (["explore", "."], "cxr_training.explore.page", "evaluate"),
    "export": (
        ["export", ".", "--name", "x", "--calibration", ".", "--out", "x"],
        "cxr_export.export",
        "export",
    ),
}


class Blocked:
    """An import system in which one package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(("arguments", "module", "extra"), EXTRAS.values(), ids=EXTRAS)
def test_a_command_whose_library_is_missing(
    arguments: list[str], module: str, extra: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither Keras nor TensorFlow has to be there for this test, nor may they be imported."""
    wanted = {"cxr_training.explore.page": "matplotlib"}.get(module, "keras")
    for name in list(sys.modules):
        if name.partition(".")[0] in (wanted, "cxr_training", "cxr_export"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocked(wanted), *sys.meta_path])
    made = run(*arguments)
    assert made.code == 2
    assert (
        re_line(made.err) == f"  tip: install its extra: pip install 'PATH[{extra}]', "
        "PATH being the wheel or checkout of cxr-edge"
    )


def re_line(text: str) -> str:
    """The last line."""
    return text.splitlines()[-1]


@pytest.mark.parametrize(
    ("device", "level"), [("nvidia0", "2"), ("dxg", "2"), ("null", "3")], ids=["GPU", "WSL", "none"]
)
def test_tensorflow_tells_of_cuda_where_there_is_a_gpu(
    device: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / device).touch()
    found = boundary._has_nvidia_device(tmp_path)
    monkeypatch.setattr(boundary, "_has_nvidia_device", lambda: found)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    boundary.quiet_tensorflow()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == level


def test_a_log_level_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    boundary.quiet_tensorflow()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_tensorflow_gives_no_advice_about_retracing(caplog: pytest.LogCaptureFixture) -> None:
    boundary.quiet_tensorflow()
    logger = logging.getLogger("tensorflow")
    logger.warning("%d of the last 5 calls to f triggered tf.function retracing. Tracing is", 5)
    logger.warning("something else")
    assert caplog.messages == ["something else"]


def test_missing_extra_names_the_module() -> None:
    error = missing_extra(ImportError("No module named 'keras'", name="keras"), "training")
    assert isinstance(error, MissingExtraError)
    assert str(error) == "keras is not installed"


def test_missing_extra_without_a_name() -> None:
    assert str(missing_extra(ImportError("odd"), "export")) == "odd is not installed"


@pytest.mark.parametrize("name", ["cxr_training.fit.training", "cxr_edge.types"])
def test_a_module_of_ours_that_is_missing_is_a_defect(name: str) -> None:
    with pytest.raises(ImportError, match="ours"):
        missing_extra(ImportError("ours", name=name), "training")
