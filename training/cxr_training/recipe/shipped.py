"""The recipes that ship, by the names of their files: NETWORK.RECIPE.toml. Needs no Keras."""

from __future__ import annotations

from pathlib import Path


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
