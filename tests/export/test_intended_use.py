"""What is said of the people and films that a model learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxr_edge.cli.export import export as export_command
from cxr_edge.errors import ExportError, InputError
from cxr_export.export import ExportJob
from cxr_export.intended_use import KERMANY_USE, UNKNOWN_USE, VIEWS, with_stated


def test_what_the_maker_states_replaces_what_nobody_knows() -> None:
    use = with_stated(UNKNOWN_USE, "adults of our clinic", (18.0, 90.0), VIEWS[1:])
    assert (use.population, use.age_years) == ("adults of our clinic", (18.0, 90.0))
    assert use.views == ("posterior-anterior",)
    assert use.exclusions == UNKNOWN_USE.exclusions


@pytest.mark.parametrize("use", [KERMANY_USE, UNKNOWN_USE], ids=["public", "own"])
def test_nothing_stated_changes_nothing(use: Any) -> None:
    assert with_stated(use, "", None, ()) == use


@pytest.mark.parametrize(
    "stated", [("adults", None, ()), ("", (18.0, 90.0), ()), ("", None, VIEWS)]
)
def test_the_public_films_are_known(stated: Any) -> None:
    with pytest.raises(ExportError, match="of the public films are known"):
        with_stated(KERMANY_USE, *stated)


@pytest.mark.parametrize("ages", [(5.0, 1.0), (-1.0, 5.0), (1.0, 121.0), (float("nan"), 5.0)])
def test_ages_that_no_person_has_are_refused(ages: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="from 0 to 120, the lower one first"):
        ExportJob(Path("run"), "mine", Path("films"), Path("out"), ages=ages)


def test_a_population_is_one_line() -> None:
    with pytest.raises(InputError, match="one line of printable text"):
        ExportJob(Path("run"), "mine", Path("films"), Path("out"), population="a\n# b")


def test_the_command_offers_the_views_that_the_runtime_knows() -> None:
    (option,) = (each for each in export_command.params if each.name == "views")
    assert tuple(option.type.choices) == VIEWS  # type: ignore[attr-defined]
