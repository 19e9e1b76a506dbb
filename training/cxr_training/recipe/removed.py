"""Recipe options that are gone, and older recipes as recorded runs hold them.

docs/training.md says what each of them brought.
"""

from __future__ import annotations

import copy
from typing import Any

from cxr_edge.errors import RecipeError

# By key, sections and keys joined by a dot: the default, at which it changed nothing.
REMOVED_FIELDS: dict[str, Any] = {
    "style_balance": 0.0,
    "patience": 0,
    "precision": "float32",
    "pretraining": {
        "epochs": 0,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "temperature": 0.2,
    },
    "augmentation.low_resolution": 0.0,
    "augmentation.cut_out": 0.0,
    "augmentation.mixup": 0.0,
}
REMOVED_TIP = "it was removed; the commit 04db5e4 was the last that had it"


def without_removed(table: dict[str, Any], where: str) -> dict[str, Any]:
    """A recorded recipe's table without the options that are gone.

    Raises:
        RecipeError: one of them has another value than its default.
        TypeError: it is no table.
    """
    if not isinstance(table, dict):
        raise TypeError(f"a recipe is a table, not a {type(table).__name__}")
    kept = copy.deepcopy(table)
    for key, default in REMOVED_FIELDS.items():
        *sections, last = key.split(".")
        inside: Any = kept
        for section in sections:
            inside = inside.get(section)
        if isinstance(inside, dict) and inside.pop(last, default) != default:
            raise RecipeError(f"recipe {where}: {key} is set, and was removed", tip=REMOVED_TIP)
    return kept


def removed_among(keys: list[str]) -> list[str]:
    """Pick the keys that recipes used to have out of unknown ones."""
    last_parts = {key.rpartition(".")[2] for key in REMOVED_FIELDS}
    return [key for key in keys if key in last_parts]
