"""The recipes that ship, by the names of their files: NETWORK.RECIPE.toml. Needs no Keras."""

from __future__ import annotations

import difflib
from pathlib import Path

from cxr_edge.errors import RecipeError


def recipes_dir() -> Path:
    """Folder of the shipped recipes: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, list[str]]:
    """Each network's recipes, both in alphabetical order."""
    recipes: dict[str, list[str]] = {}
    for path in sorted(recipes_dir().glob("*.toml")):
        network, recipe = path.stem.split(".")
        recipes.setdefault(network, []).append(recipe)
    return recipes


def check_network(name: str) -> None:
    """Refuse a mistyped network, before a library of seconds is loaded.

    Raises:
        RecipeError: no network of this name.
    """
    networks = list(shipped_recipes())
    if name not in networks:
        close = difflib.get_close_matches(name, networks, n=1)
        tip = f"did you mean {close[0]}?" if close else f"networks: {', '.join(networks)}"
        raise RecipeError(f"no network {name}", tip=tip)
