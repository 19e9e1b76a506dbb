"""The error tree is what its docstring draws."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from cxr_edge import errors
from cxr_edge.errors import CxrEdgeError, ImageError, MissingExtraError, RunInterruptedError
from cxr_edge.types import Reason

LINE = re.compile(
    r"^    (?P<branch>[│├└─ ]*)(?P<name>\w+)\s+(?:exit (?P<exit>[\d, ]*\d)|a row)?\s*"
)


def drawn_tree() -> Iterator[tuple[str, str | None, list[int]]]:
    """(name, parent, exit codes that the line says) from the docstring."""
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        match = LINE.match(line)
        if match is None:
            return
        depth = len(match["branch"]) // 4
        branch[depth:] = [match["name"]]
        exit_codes = [int(code) for code in (match["exit"] or "").split(", ") if code]
        yield match["name"], branch[depth - 1] if depth else None, exit_codes


def descendants(root: type[CxrEdgeError]) -> Iterator[type[CxrEdgeError]]:
    yield root
    for child in root.__subclasses__():
        yield from descendants(child)


TREE = list(drawn_tree())


def test_every_error_is_drawn_under_its_parent() -> None:
    real = {
        cls.__name__: cls.__base__.__name__ if cls is not CxrEdgeError else None  # type: ignore
        for cls in descendants(CxrEdgeError)
        if cls.__module__ == errors.__name__
    }
    assert {name: parent for name, parent, _ in TREE} == real


def test_no_other_module_adds_to_the_tree() -> None:
    assert {cls.__module__ for cls in descendants(CxrEdgeError)} == {errors.__name__}


OF_A_CLASS = [line for line in TREE if line[0] != "RunInterruptedError"]


@pytest.mark.parametrize(
    ("name", "parent", "exit_codes"), OF_A_CLASS, ids=[name for name, *_ in OF_A_CLASS]
)
def test_exit_code(name: str, parent: str | None, exit_codes: list[int]) -> None:
    expected = exit_codes or [getattr(errors, parent or "").exit_code]
    assert [getattr(errors, name).exit_code] == expected


def test_an_interrupted_run_exits_as_a_shell_reports_its_signal() -> None:
    (drawn,) = (codes for name, _, codes in TREE if name == "RunInterruptedError")
    signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    made = [RunInterruptedError(number, 7) for number in signals]
    assert [error.exit_code for error in made] == drawn == [129, 130, 143]
    assert str(made[0]) == "stopped by a signal; 7 files of this run are safe"
    assert made[0].tip == "the same command goes on from here"


def test_message_and_tip() -> None:
    error = CxrEdgeError("what", tip="way out")
    assert (str(error), error.tip) == ("what", "way out")
    assert CxrEdgeError("what").tip == ""


def test_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("keras", "training")
    assert str(error) == "keras is not installed"
    assert error.tip == (
        "install its extra: pip install 'PATH[training]', "
        "PATH being the wheel or checkout of cxr-edge"
    )


@pytest.mark.parametrize(
    ("detail", "text"), [("", "truncated"), ("no end", "truncated: no end")], ids=["bare", "detail"]
)
def test_image_error_carries_its_reason(detail: str, text: str) -> None:
    error = ImageError(Reason.TRUNCATED, detail)
    assert (str(error), error.reason) == (text, Reason.TRUNCATED)
