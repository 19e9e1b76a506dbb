"""Pictures made by rule: each is what its name says, and none is a film left as it was."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_training.recipe.recipe import load_recipe
from cxr_training.scope.draws import FILM, UNKNOWN, Material, draw
from cxr_training.scope.negatives import GROUPS, RULES, Source, make
from cxr_training.scope.planes import SIDE, Planes
from tests.factories import chest


@pytest.fixture
def source() -> Source:
    films = np.stack([chest(SIDE, SIDE, tilt=tilt) for tilt in (60, 110)])
    ramps = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint8)
    return Source(films, ramps[np.newaxis], np.random.default_rng(0))


def is_a_film(plane: Planes, source: Source) -> bool:
    return any(np.array_equal(plane, f) or np.array_equal(plane, f[:, ::-1]) for f in source.films)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_makes_other_pictures(rule: str, source: Source) -> None:
    made = make(rule, source, 8)
    assert (made.shape, made.dtype) == ((8, SIDE, SIDE), np.uint8)
    assert not any(is_a_film(plane, source) for plane in made)
    again = make(rule, Source(source.films, source.pictures, np.random.default_rng(0)), 8)
    assert np.array_equal(made, again)


def test_turned_films_are_films_that_were_turned(source: Source) -> None:
    for plane in make("turned by 90 or 270 degrees", source, 4):
        assert is_a_film(np.rot90(plane), source) or is_a_film(np.rot90(plane, 3), source)
    for plane in make("upside down", source, 4):
        assert is_a_film(plane[::-1], source)
    for plane in make("inverted", source, 4):
        assert is_a_film(255 - plane, source)


def test_clipped_films_are_black_or_white_in_large_parts(source: Source) -> None:
    for plane in make("clipped to black or white", source, 20):
        assert np.isin(plane, (0, 255)).mean() >= 0.35


def test_groups_hold_every_rule_once() -> None:
    assert sorted(rule for rules in GROUPS.values() for rule in rules) == sorted(RULES)


@pytest.mark.slow
def test_a_draw_holds_films_and_every_kind_and_can_leave_some_out(source: Source) -> None:
    ranges = load_recipe("cnn3_50", "tuned").augmentation
    drawn = draw(Material(source.films, source.films[:1], source.pictures, ranges), 0)
    assert set(drawn.kinds) == {FILM, *RULES}
    films = drawn.kinds == FILM
    assert drawn.planes.shape[1:] == (48, 48)
    assert set(map(tuple, drawn.targets[films])) == {(0.0, 0.0), (0.0, 1.0)}
    assert set(map(tuple, drawn.targets[~films])) == {(1.0, UNKNOWN)}
    assert set(drawn.without(GROUPS["pieces"]).kinds) == {FILM, *RULES} - {*GROUPS["pieces"]}
    assert len(drawn.thinned(2).planes) == -(-len(drawn.planes) // 2)
