"""Options that recipes used to have: ignored at their defaults, refused by name elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from cxr_edge.errors import RecipeError
from cxr_training.recipe.recipe import load_recipe, recipe_of, recorded_recipe
from cxr_training.recipe.removed import REMOVED_FIELDS, REMOVED_TIP
from cxr_training.recipe.shipped import shipped_recipes

RECIPE = {"name": "x", "net": "cnn3_50", "epochs": 1}
# Specs, cards and runs cite them: a field that comes or goes must not change one.
RECIPES = {
    "cnn3_128.distilled": "464520048c7e126954c2eedae4605c08cd6cefc0bc5f3094a9f0a03b95894949",
    "cnn3_128.report": "6bc4b47f1fd6a74ce834034e071a88da0227488946bcb86b8f2a1ebd1b6b8a12",
    "cnn3_128.tuned": "862664d638b7bdb69c5ae67f02442598cfdca1e334340f92e82a2d2637be0e3b",
    "cnn3_50.report": "b669243e182d0b13d70688bcad08b5bc92229bda12b90bd202068f0ec7c79b25",
    "cnn3_50.tuned": "f21330c1732b026b89c46b4b71b69716fbcf6691d275be40c8d7e81ae89c3fec",
    "cnn4_50.report": "9bad0e0f7f19f7e263e39cade7133e20a8cb11ef352c1c1fa225ad4ca2db0235",
    "cnn4_50.tuned": "5d3f4f287d17c0aa8c7ab486398f6d090d74d119cda5f73034515ef9daa6ff12",
    "efficientnet_lite0_160.tuned": (
        "fb93c2467cab953bd751d38415841312a822d4b4362d51deb48d4c2063d4b780"
    ),
    "resnet18_96.distilled": "2648a858e57621c3096a5316f257013d9e159fcecb9401da886fc82e91089599",
    "resnet18_96.tuned": "a1d5cd9128075bf2f7ae120e80f07ce4691715d7c264e04b90c7788718a8f8a9",
    "resnet50v2_50.distilled": "d4fb0d867f457b10125eda760da9ff1c5b4cbc9a8d7ce96890d77f9b666a4caf",
    "resnet50v2_50.report": "f423f755a41a98d64711db47a5287f2ecf8f658fb4350cb66a652f815de16669",
    "resnet50v2_50.tuned": "5edff3c4166e832e570023ef3979acb4de4ad67fdd80f4e16c104096e5cc43f4",
}


def recorded(key: str, value: Any) -> dict[str, Any]:
    """The recipe of a run that still had this option."""
    *sections, last = key.split(".")
    return {**RECIPE, sections[0]: {last: value}} if sections else {**RECIPE, last: value}


def test_shipped_recipes_keep_their_hashes() -> None:
    hashes = {
        f"{network}.{name}": load_recipe(network, name).sha256()
        for network, names in shipped_recipes().items()
        for name in names
    }
    assert hashes == RECIPES


@pytest.mark.parametrize(("key", "default"), REMOVED_FIELDS.items(), ids=REMOVED_FIELDS)
def test_a_run_that_left_it_at_its_default_is_read(key: str, default: object) -> None:
    assert recorded_recipe(recorded(key, default), "run") == recipe_of(RECIPE, "run")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("style_balance", 1.0),
        ("patience", 20),
        ("precision", "mixed_bfloat16"),
        ("pretraining", {**REMOVED_FIELDS["pretraining"], "epochs": 50}),
        ("augmentation.low_resolution", 0.5),
        ("augmentation.cut_out", 0.3),
        ("augmentation.mixup", 0.2),
    ],
)
def test_a_run_that_used_it_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"run: {key} is set, and was removed") as refused:
        recorded_recipe(recorded(key, value), "run")
    assert refused.value.tip == REMOVED_TIP


@pytest.mark.parametrize(("key", "default"), REMOVED_FIELDS.items(), ids=REMOVED_FIELDS)
def test_a_recipe_of_today_does_not_know_it(key: str, default: object) -> None:
    with pytest.raises(RecipeError, match=f"unknown keys {key.rpartition('.')[2]}") as refused:
        recipe_of(recorded(key, default), "mine.toml")
    assert refused.value.tip == REMOVED_TIP


def test_another_unknown_key_has_no_tip() -> None:
    with pytest.raises(RecipeError, match="unknown keys epoch") as refused:
        recipe_of({**RECIPE, "epoch": 1}, "mine.toml")
    assert refused.value.tip == ""
