"""Recipes: everything that decides a training run, read from one TOML file."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from cxr_edge.errors import RecipeError
from cxr_edge.support.files import read_plain
from cxr_training.nets import NETS, NetOptions
from cxr_training.recipe.removed import REMOVED_TIP, removed_among, without_removed
from cxr_training.recipe.sections import Augmentation, Optimizer, later
from cxr_training.recipe.shipped import recipes_dir

SEARCH_SECTION = "search"
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Recipe:
    """One training run. Field names are the TOML keys.

    Attributes:
        split_seed: seed of the split by patient, so that runs of several seeds can be compared and
            teach the same student; -1 for `seed`. `train --folds` splits by its own seeds.
        distillation: how much of a label is what teachers say (`cxr-edge train --teacher`).
        first_epochs: epochs at the beginning that see films reduced to `first_size` pixels a side,
            which costs less; only a network that pools over the whole film can.
    """

    name: str
    net: str
    epochs: int
    batch_size: int = 32
    seed: int = 42
    split_seed: int = later(-1)
    shuffle: bool = True
    validation_tenths: int = 2
    class_weights: bool = True
    label_smoothing: float = 0.0
    distillation: float = later(0.0)
    first_epochs: int = later(0)
    first_size: int = later(0)
    freeze_base: bool = False
    model: NetOptions = field(default_factory=NetOptions)
    optimizer: Optimizer = field(default_factory=Optimizer)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Refuse a run that cannot train or validate."""
        self._check_net()
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch_size must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be 0 to 4294967295: {self.seed}")
        if not -1 <= self.split_seed < 2**32:
            raise ValueError(f"split_seed must be -1 to 4294967295: {self.split_seed}")
        if not 1 <= self.validation_tenths <= 5:
            raise ValueError(f"validation_tenths must be 1 to 5: {self.validation_tenths}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1): {self.label_smoothing}")
        if not 0 <= self.distillation <= 1:
            raise ValueError(f"distillation must be in [0, 1]: {self.distillation}")
        self._check_first_epochs()

    def _check_net(self) -> None:
        """A network that is there, and that the options fit."""
        if self.net not in NETS:
            raise ValueError(f"unknown net {self.net!r}; known: {', '.join(NETS)}")
        if self.model.channels != 3:
            raise ValueError("channels must be 3 in training; export folds them into one")
        if self.model.weights != "none" and not NETS[self.net].has_pretrained_base:
            raise ValueError(f"{self.net} has no base that pre-trained weights would fit")
        if self.freeze_base and not NETS[self.net].has_pretrained_base:
            raise ValueError(f"{self.net} has no base that could be frozen")

    def _check_first_epochs(self) -> None:
        """Smaller films in some epochs, of a network that takes them, or in none."""
        if not (self.first_epochs or self.first_size):
            return
        net = NETS[self.net]
        if net.build_any_size is None:
            raise ValueError(f"{self.net} takes films of {net.size} pixels alone")
        if not 0 < self.first_epochs < self.epochs or not 32 <= self.first_size < net.size:
            raise ValueError(
                f"first_epochs must be below epochs, and first_size 32 to {net.size - 1}: "
                f"{self.first_epochs}, {self.first_size}"
            )

    def size_in(self, epoch: int) -> int:
        """Pixels a side of the films of an epoch, which count from 0."""
        return self.first_size if epoch < self.first_epochs else NETS[self.net].size

    @property
    def patients_seed(self) -> int:
        """Seed of the split by patient."""
        return self.seed if self.split_seed < 0 else self.split_seed

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def sha256(self) -> str:
        """Hash of what decides the run, independent of layout and comments of the TOML."""
        canonical = json.dumps(_counted(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def with_weights(self, weights: str) -> Recipe:
        """The same recipe with other pre-trained weights; RecipeError where none can fit."""
        try:
            return replace(self, model=replace(self.model, weights=weights))
        except ValueError as error:
            raise RecipeError(str(error), tip="leave --weights out") from error


def _counted(part: Any) -> dict[str, Any]:
    """The values that enter the hash."""
    counted = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if not (item.metadata.get("later") and value == item.default):
            counted[item.name] = _counted(value) if is_dataclass(value) else value
    return counted


def load_recipe(net: str, which: str) -> Recipe:
    """Read a shipped recipe of a network by its name, or a TOML file.

    Raises:
        RecipeError: no such recipe, not TOML, an unknown key, a value out of range, another net.
    """
    path = recipes_dir() / f"{net}.{which}.toml" if "/" not in which else Path(which)
    if not path.is_file() and Path(which).is_file():
        path = Path(which)
    recipe = recipe_of(read_table(path, net, which), str(path))
    if recipe.net != net:
        raise RecipeError(f"recipe {path} is for {recipe.net}, not for {net}")
    return recipe


def read_table(path: Path, net: str, which: str) -> dict[str, Any]:
    """The TOML file as it stands; `net` and `which` are for the message."""
    try:
        return tomllib.loads(read_plain(path, _MAX_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        shipped = sorted(p.name for p in recipes_dir().glob(f"{net}.*.toml"))
        raise RecipeError(
            f"no recipe {which!r} for {net}",
            tip=f"shipped recipes: {', '.join(shipped)}; or the path of your own",
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error


def recipe_of(table: dict[str, Any], where: str) -> Recipe:
    """A recipe from a TOML table; its section `search` is for `cxr-edge search` alone.

    Raises:
        RecipeError: an unknown key, another type, a value out of range.
    """
    values = {key: value for key, value in table.items() if key != SEARCH_SECTION}
    recipe: Recipe = _build(Recipe, values, where)
    return recipe


def recorded_recipe(table: dict[str, Any], where: str) -> Recipe:
    """The recipe of a run or of folds, from their JSON.

    Raises:
        RecipeError: as `recipe_of`, or it sets an option that is gone.
    """
    return recipe_of(without_removed(table, where), where)


_TABLES: dict[str, type] = {
    "model": NetOptions,
    "optimizer": Optimizer,
    "augmentation": Augmentation,
}


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    """A dataclass from a TOML table; every key must be known and of the field's type."""
    types = {item.name: str(item.type) for item in fields(kind)}
    unknown = sorted(set(table) - set(types))
    if unknown:
        tip = REMOVED_TIP if removed_among(unknown) else ""
        raise RecipeError(f"recipe {where}: unknown keys {', '.join(unknown)}", tip=tip)
    try:
        return kind(**{key: _value(key, types[key], value, where) for key, value in table.items()})
    except (TypeError, ValueError, OverflowError) as error:
        raise RecipeError(f"recipe {where}: {error}") from error


def _value(key: str, annotation: str, value: Any, where: str) -> Any:
    """A field's value; `rotation = 10` is `rotation = 10.0`, for the hash too."""
    _check_type(key, annotation, value)
    if key in _TABLES:
        return _build(_TABLES[key], value, f"{where}, section [{key}]")
    return float(value) if annotation == "float" else value


def _check_type(key: str, annotation: str, value: Any) -> None:
    """TOML has types; a quoted number is a mistake, not a number."""
    # Text is neither a table nor in _TYPES; the dataclass itself checks a `Literal`.
    wanted = (dict,) if key in _TABLES else _TYPES.get(annotation, (str,))
    if not isinstance(value, wanted) or (wanted != (bool,) and type(value) is bool):
        name = "table" if key in _TABLES else wanted[-1].__name__
        raise TypeError(f"{key} must be {name}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} must be finite: {value}")
