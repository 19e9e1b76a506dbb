"""The error tree is what its docstring draws."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from cxr_edge import errors
from cxr_edge.errors import CxrEdgeError, ImageError, MissingExtraError
from cxr_edge.types import Reason

LINE = re.compile(r"^    (?P<branch>[│├└─ ]*)(?P<name>\w+)\s+(?:exit (?P<exit>\d)|a row)?\s*")


def drawn_tree() -> Iterator[tuple[str, str | None, int | None]]:
    """(name, parent, exit code if the line says one) from the docstring."""
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        match = LINE.match(line)
        if match is None:
            return
        depth = len(match["branch"]) // 4
        branch[depth:] = [match["name"]]
        exit_code = int(match["exit"]) if match["exit"] else None
        yield match["name"], branch[depth - 1] if depth else None, exit_code


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


@pytest.mark.parametrize(("name", "parent", "exit_code"), TREE, ids=[name for name, *_ in TREE])
def test_exit_code(name: str, parent: str | None, exit_code: int | None) -> None:
    expected = exit_code if exit_code is not None else getattr(errors, parent or "").exit_code
    assert getattr(errors, name).exit_code == expected


def test_message_and_tip() -> None:
    error = CxrEdgeError("what", tip="way out")
    assert (str(error), error.tip) == ("what", "way out")
    assert CxrEdgeError("what").tip == ""


def test_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("keras", "training")
    assert str(error) == "keras is not installed"
    assert error.tip == "install it with: pip install 'cxr-edge[training]'"


@pytest.mark.parametrize(
    ("detail", "text"), [("", "truncated"), ("no end", "truncated: no end")], ids=["bare", "detail"]
)
def test_image_error_carries_its_reason(detail: str, text: str) -> None:
    error = ImageError(Reason.TRUNCATED, detail)
    assert (str(error), error.reason) == (text, Reason.TRUNCATED)
