"""The space of a search: section `search` of a recipe, as data.

[search]
"optimizer.learning_rate" = { low = 3e-4, high = 1e-2, log = true }
"model.dropout_scale" = { low = 0.0, high = 1.0 }
"augmentation.histogram" = { choices = [0.0, 0.25, 0.5] }
batch_size = { choices = [32, 64] }
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import optuna

from cxr_edge.errors import RecipeError
from cxr_training.recipe.recipe import SEARCH_SECTION, Recipe, recipe_of

Table = dict[str, Any]

# One set of films is read, at one size; none is kept back but the folds; and the luckiest seed is
# no better recipe. A search has no teachers.
_FIXED = ("name", "net", "seed", "validation_tenths", "distillation")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, whole ones if the field is; even in the logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        numbers = all(type(end) in (int, float) for end in (self.low, self.high))
        if not numbers or type(self.log) is not bool or not self.low < self.high:
            raise ValueError(f"not a range from low to high: {self}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithm needs low above 0: {self}")

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """The trial's value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Refuse what is no choice."""
        if len(self.choices) < 2:
            raise ValueError(f"not a choice between values: {self}")

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """The trial's value."""
        return trial.suggest_categorical(name, self.choices)


@dataclass(frozen=True)
class Space:
    """A recipe and what may take its values' place.

    Attributes:
        table: the recipe's TOML table, with its section `search`.
        where: the recipe's path, for messages.
        varied: by the recipe's key, sections and keys joined by a dot.
    """

    table: Table
    where: str
    varied: dict[str, Range | Choice]

    def recipe(self, values: dict[str, Any]) -> Recipe:
        """The recipe with these values.

        Raises:
            RecipeError: they are no recipe.
        """
        table = copy.deepcopy(self.table)
        for key, value in values.items():
            *sections, last = key.split(".")
            inside = table
            for section in sections:
                inside = inside.setdefault(section, {})
            inside[last] = value
        return recipe_of(table, self.where)

    def suggest(self, trial: optuna.Trial) -> Recipe:
        """The recipe that a trial tries."""
        return self.recipe({name: it.suggest(trial, name) for name, it in self.varied.items()})


def load_space(table: Table, where: str) -> Space:
    """The space of a recipe's table.

    Raises:
        RecipeError: it has no section `search`, or one that names what no recipe has.
    """
    section = table.get(SEARCH_SECTION)
    if not isinstance(section, dict) or not section:
        raise RecipeError(
            f"recipe {where} has no section [{SEARCH_SECTION}]",
            tip='say there what may vary: "optimizer.learning_rate" = { low = 1e-4, high = 1e-2 }',
        )
    try:
        varied = {name: _one(value) for name, value in section.items()}
    except (TypeError, ValueError) as error:
        raise RecipeError(f"recipe {where}: {error}") from error
    if fixed := sorted(set(varied) & set(_FIXED)):
        raise RecipeError(f"recipe {where}: a search cannot vary {', '.join(fixed)}")
    space = Space(table, where, varied)
    if space.recipe({}).distillation:
        raise RecipeError(f"recipe {where}: a search has no teachers, so distillation must be 0")
    if space.recipe({}).first_epochs:
        raise RecipeError(f"recipe {where}: a search has films of one size: first_epochs must be 0")
    for name, it in varied.items():  # both ends, before hours are spent
        for value in it.choices if isinstance(it, Choice) else (it.low, it.high):
            space.recipe({name: value})
    return replace(space, varied={k: _of_type(space, k, it) for k, it in varied.items()})


def _of_type(space: Space, name: str, it: Range | Choice) -> Range | Choice:
    """A range from 0 to 1 is not the two numbers where the field takes those between as well."""
    *sections, last = name.split(".")
    owner: Any = space.recipe({})
    for section in sections:
        owner = getattr(owner, section)
    if isinstance(it, Range) and str({f.name: f.type for f in fields(owner)}[last]) == "float":
        return replace(it, low=float(it.low), high=float(it.high))
    return it


def _one(value: Any) -> Range | Choice:
    if not isinstance(value, dict):
        raise TypeError(f"neither a range nor a choice: {value!r}")
    if set(value) == {"choices"} and isinstance(value["choices"], list):
        return Choice(tuple(value["choices"]))
    return Range(**value)
