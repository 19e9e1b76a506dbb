"""Whatever decides a row has a version that is raised when it changes; else ledgers hand out old
rows, and specs and site profiles hold thresholds about other pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.pinned import table
from tests.pinned.table import Stage, complaint, is_same, read_table, regenerated, stages, written

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")


@pytest.mark.parametrize("name", stages())
def test_behaviour_is_that_of_its_version(name: str) -> None:
    stage = stages()[name]
    assert complaint(stage, stage.results(), read_table()[name]) == ""


STAGE = Stage("X_VERSION", "x.py", 2, lambda: {"a": {"pixels": "00"}, "b": [1.0, 2.0]})
ENTRY: dict[str, Any] = {"version": 2, "films": STAGE.results()}
OTHER = {**ENTRY, "films": {**STAGE.results(), "a": {"pixels": "ff"}}}
COMPLAINTS = {
    "the same": (STAGE, ENTRY, ""),
    "moved": (
        STAGE,
        OTHER,
        "behaviour changed: raise X_VERSION in x.py and regenerate with python -m tests.pinned; "
        "it is another for a",
    ),
    "raised": (
        replace(STAGE, version=3),
        OTHER,
        "X_VERSION has been changed: regenerate with python -m tests.pinned",
    ),
    "another film": (
        STAGE,
        {**ENTRY, "films": {"a": {"pixels": "00"}}},
        "other films than in the table: regenerate with python -m tests.pinned",
    ),
}


@pytest.mark.parametrize(("stage", "entry", "text"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_complaints(stage: Stage, entry: dict[str, Any], text: str) -> None:
    assert complaint(stage, stage.results(), entry) == text


SAME = {
    "a level in some pixels": ([10.0, 20.0], [10.2, 19.8], True),
    "another grey": ([10.0, 20.0], [10.0, 20.3], False),
    "names are exact": (["blank"], ["inverted"], False),
    "a name more": (["blank"], [], False),
    "sizes are exact": ([50, 50], [50, 51], False),
    "a key more": ({"a": 1}, {"a": 1, "b": 2}, False),
}


@pytest.mark.parametrize(("result", "pinned", "same"), SAME.values(), ids=SAME)
def test_only_mean_levels_have_a_tolerance(result: Any, pinned: Any, same: bool) -> None:
    assert is_same(result, pinned) == same


def test_regenerating_refuses_what_moved_under_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "stages", lambda: {"x": STAGE})
    with pytest.raises(ValueError, match="behaviour changed: raise X_VERSION"):
        regenerated({"x": OTHER})
    assert regenerated({"x": {**OTHER, "version": 1}}) == {"x": ENTRY} == regenerated({})


def test_regenerating_keeps_what_is_the_same_within_the_tolerance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "stages", lambda: {"x": STAGE})
    nearly = {**ENTRY, "films": {"a": {"pixels": "00"}, "b": [1.1, 2.0]}}
    assert regenerated({"x": nearly}) == {"x": nearly}


def test_the_table_is_as_it_would_be_written() -> None:
    assert written(read_table()) == table.TABLE.read_text(encoding="utf-8")
