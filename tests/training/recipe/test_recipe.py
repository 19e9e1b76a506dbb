"""Recipes: the shipped ones say what the report says, and mistakes are refused by name."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.errors import RecipeError
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_training.nets import NETS
from cxr_training.recipe.recipe import Recipe, load_recipe, recorded_recipe
from cxr_training.recipe.sections import Augmentation, Optimizer
from cxr_training.recipe.shipped import recipes_dir, shipped_recipes

# From the report: epochs, image size (its divisor), learning rate.
REPORT = {
    "cnn3_50": (300, 50.0, 3e-6),
    "cnn4_50": (300, 50.0, 3e-6),
    "cnn3_128": (200, 128.0, 3e-6),
    "resnet50v2_50": (40, 50.0, 3e-3),
}
MINIMAL = 'name = "x"\nnet = "cnn3_50"\nepochs = 1\n'


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe("cnn3_50", str(path))


def test_every_network_has_recipes_and_those_of_the_report_have_both() -> None:
    assert shipped_recipes() == {
        "cnn3_128": ["distilled", "report", "tuned"],
        "cnn3_50": ["report", "tuned"],
        "cnn4_50": ["report", "tuned"],
        "efficientnet_lite0_160": ["tuned"],
        "resnet18_96": ["distilled", "tuned"],
        "resnet50v2_50": ["distilled", "report", "tuned"],
    }
    assert set(shipped_recipes()) == set(NETS)


@pytest.mark.parametrize("path", sorted(recipes_dir().glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_called_as_its_file(path: Path) -> None:
    net, which = path.stem.split(".")
    recipe = load_recipe(net, which)
    assert (recipe.net, recipe.name) == (net, which)


def test_what_is_distilled_differs_by_its_teachers_alone() -> None:
    distilled, tuned = load_recipe("cnn3_128", "distilled"), load_recipe("cnn3_128", "tuned")
    assert distilled.distillation > 0
    assert replace(distilled, name="tuned", distillation=0.0) == tuned


TEACHERS = {
    "cnn3_128": (("cnn3_50", "tuned"), ("resnet18_96", "distilled")),
    "resnet18_96": (("cnn3_50", "tuned"), ("resnet18_96", "tuned")),
    "resnet50v2_50": (("cnn3_50", "tuned"),),
}


def as_it_was_named(recipe: Recipe) -> Recipe:
    """The first `resnet18_96` was trained under another name, which is a part of the hash."""
    is_first_resnet = (recipe.net, recipe.name) == ("resnet18_96", "tuned")
    return replace(recipe, name="teacher") if is_first_resnet else recipe


@pytest.mark.parametrize("net", TEACHERS)
def test_the_teachers_of_what_ships_can_be_trained_again(net: str) -> None:
    described = json.loads((models_dir() / "sources" / net / "run.json").read_text())
    recipes = [load_recipe(*which) for which in TEACHERS[net]]
    taught_by = [teacher["recipe_sha256"] for teacher in described["teachers"]]
    assert taught_by == [as_it_was_named(recipe).sha256() for recipe in recipes]


@pytest.mark.parametrize("net", REPORT)
def test_report_recipes_keep_the_reports_quirks(net: str) -> None:
    epochs, size, rate = REPORT[net]
    recipe = load_recipe(net, "report")
    assert recipe.epochs == epochs
    assert (recipe.model.normalization, recipe.model.rescale_divisor) == ("rescale", size)
    assert recipe.optimizer == Optimizer(name="adam", learning_rate=rate)
    assert recipe.augmentation == Augmentation(zoom=0.1, shift=0.1)
    assert (recipe.batch_size, recipe.seed, recipe.shuffle) == (32, 42, False)
    assert (recipe.validation_tenths, recipe.class_weights) == (3, False)
    assert (recipe.label_smoothing, recipe.model.dropout_scale) == (0.0, 1.0)


def test_a_file_in_the_working_folder_needs_no_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(MINIMAL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("cnn3_50", "mine.toml").name == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINIMAL + "epoch = 2\n", "unknown keys epoch"),
        (MINIMAL + "[optimiser]\nlearning_rate = 1.0\n", "unknown keys optimiser"),
        (
            MINIMAL + "[optimizer]\nlearning_rat = 1.0\n",
            r"\[optimizer\]: unknown keys learning_rat",
        ),
        (MINIMAL + "[seed]\nvalue = 1\n", "seed must be int"),
        (MINIMAL + "[[augmentation]]\nzoom = 0.1\n", "augmentation must be"),
        ('name = "x"\nnet = "cnn3_50"\nepochs = 2.0\n', "epochs must be int, not 2.0"),
        ('name = 1\nnet = "cnn3_50"\nepochs = 1\n', "name must be str, not 1"),
        (MINIMAL + "shuffle = 1\n", "shuffle must be bool, not 1"),
        (MINIMAL + "[augmentation]\nzoom = true\n", "zoom must be float, not True"),
        ('net = "cnn3_50"\nepochs = 1\n', "name"),
        ('name = "x"\nnet = "vgg"\nepochs = 1\n', "unknown net 'vgg'; known: cnn3_50"),
        ('name = "x"\nnet = "cnn4_50"\nepochs = 1\n', "is for cnn4_50, not for cnn3_50"),
        ('name = "x"\nnet = "cnn3_50"\nepochs = 0\n', "at least 1"),
        (MINIMAL + "batch_size = 0\n", "at least 1"),
        (MINIMAL + "seed = -1\n", "seed"),
        (MINIMAL + "validation_tenths = 6\n", "validation_tenths must be 1 to 5"),
        (MINIMAL + "label_smoothing = 1.0\n", r"label_smoothing must be in \[0, 1\)"),
        (MINIMAL + "[model]\nweights = 'imagenet'\n", "cnn3_50 has no base that pre-trained"),
        (MINIMAL + "[model]\nchannels = 4\n", "channels must be 1 or 3"),
        (MINIMAL + "[model]\nchannels = 1\n", "channels must be 3 in training"),
        (MINIMAL + '[model]\nnormalization = "max"\n', "normalization must be"),
        (MINIMAL + "[model]\nrescale_divisor = inf\n", "rescale_divisor must be finite"),
        (MINIMAL + '[optimizer]\nname = "sgd"\n', "unknown optimizer or schedule: sgd"),
        (MINIMAL + '[optimizer]\nschedule = "step"\n', "unknown optimizer or schedule: adam, step"),
        (MINIMAL + "[optimizer]\nlearning_rate = 0.0\n", "learning_rate must be positive"),
        (MINIMAL + "[optimizer]\nweight_decay = -1.0\n", "not negative"),
        (MINIMAL + "split_seed = -2\n", "split_seed must be -1 to"),
        (MINIMAL + "[augmentation]\nzoom = -0.1\n", "zoom must not be negative"),
        (MINIMAL + "[augmentation]\nzoom = 1.0\n", "zoom must be below 1"),
        (MINIMAL + f"[augmentation]\nrotation = 1{'0' * 400}\n", "int too large"),
        (MINIMAL + "[augmentation]\nnoise = nan\n", "noise must be finite"),
        (MINIMAL + "[augmentation]\nhistogram = 1.1\n", "histogram is a share, at most 1"),
        (MINIMAL + "[augmentation]\ncrop = 0.5\n", "crop would leave nothing"),
        (MINIMAL + "first_epochs = 1\nfirst_size = 40\n", "cnn3_50 takes films of 50 pixels alone"),
        (MINIMAL + "[optimizer]\nweight_average = 1.0\n", r"weight_average must be in \[0, 1\)"),
        ("name = \n", "cannot be read: Invalid value"),
        (MINIMAL + "epochs = 2\n", "cannot be read: Cannot overwrite"),
    ],
    ids=lambda value: value.removeprefix(MINIMAL).strip().replace("\n", "; "),
)
def test_mistakes_are_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as refused:
        load(tmp_path, text)
    assert "mine.toml" in str(refused.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe("cnn3_50", str(path))


@pytest.mark.parametrize("which", ["best", "./none.toml", "none.toml"])
def test_a_missing_recipe_names_the_shipped_ones(which: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"no recipe {which!r} for cnn3_50")) as refused:
        load_recipe("cnn3_50", which)
    assert "cnn3_50.tuned.toml" in refused.value.tip


def test_the_hash_ignores_layout_and_comments(tmp_path: Path) -> None:
    plain = load(tmp_path, MINIMAL + "[optimizer]\nlearning_rate = 0.001\n")
    text = "# a comment\nepochs=1\nnet   = 'cnn3_50'\n\nname = 'x'\n"
    laid_out = load(tmp_path, text + "optimizer = {learning_rate = 1e-3}")
    assert laid_out.sha256() == plain.sha256()


def test_a_whole_number_is_the_number(tmp_path: Path) -> None:
    whole = load(tmp_path, MINIMAL + "[augmentation]\nrotation = 10\n")
    assert type(whole.augmentation.rotation) is float
    broken = load(tmp_path, MINIMAL + "[augmentation]\nrotation = 10.0\n")
    assert whole.sha256() == broken.sha256()


def test_spelling_out_a_default_keeps_the_hash(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL + "seed = 42\n").sha256() == load(tmp_path, MINIMAL).sha256()


@pytest.mark.parametrize(
    "change",
    [
        "seed = 43",
        "split_seed = 43",
        "shuffle = false",
        "[model]\ndropout_scale = 0.5",
        "[optimizer]\nlearning_rate = 2e-3",
        "[augmentation]\nflip = true",
        "[augmentation]\nhistogram = 0.5",
        "[optimizer]\nweight_average = 0.99",
    ],
)
def test_the_hash_changes_with_every_value(tmp_path: Path, change: str) -> None:
    assert load(tmp_path, MINIMAL + change).sha256() != load(tmp_path, MINIMAL).sha256()


LITE = Recipe("x", "efficientnet_lite0_160", epochs=8)


@pytest.mark.parametrize(
    "first", [(8, 128), (0, 128), (-1, 128), (3, 0), (3, 31), (3, 160)], ids=str
)
def test_first_epochs_leave_epochs_and_have_smaller_films(first: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="first_epochs must be below epochs, and first_size 32 to"):
        replace(LITE, first_epochs=first[0], first_size=first[1])


def test_films_are_smaller_in_the_first_epochs_alone() -> None:
    recipe = replace(LITE, first_epochs=3, first_size=128)
    assert [recipe.size_in(epoch) for epoch in (0, 2, 3, 8)] == [128, 128, 160, 160]
    assert LITE.size_in(0) == 160
    assert recipe.sha256() != replace(recipe, first_size=96).sha256() != LITE.sha256()


@pytest.mark.parametrize("net", NETS)
def test_published_runs_keep_their_hash(net: str) -> None:
    """A field that is added later must not make old runs look like runs of another recipe."""
    path = models_dir() / "sources" / net / "run.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    described = json.loads(path.read_text(encoding="utf-8"))
    recipe = recorded_recipe(described["recipe"], str(path))
    assert recipe.sha256() == described["recipe_sha256"]


@pytest.mark.parametrize("net", [spec.name for spec in bundled_specs()])
def test_what_ships_follows_from_its_recipe(net: str) -> None:
    described = json.loads((models_dir() / "sources" / net / "run.json").read_text())
    which = "distilled" if described.get("teachers") else "tuned"
    assert load_recipe(net, which).sha256() == described["recipe_sha256"]


def test_only_a_pretrained_base_can_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cnn3_50 has no base that could be frozen"):
        load(tmp_path, "freeze_base = true\n" + MINIMAL)


def test_other_weights_are_part_of_the_recipe() -> None:
    recipe = load_recipe("resnet50v2_50", "report")
    other = recipe.with_weights("none")
    assert other.model.weights == "none"
    assert other.sha256() != recipe.sha256()
    assert other.with_weights("imagenet") == recipe


@pytest.mark.parametrize("net", ["cnn3_50", "cnn4_50", "cnn3_128"])
def test_pretrained_weights_fit_only_the_resnet(net: str) -> None:
    recipe = load_recipe(net, "tuned")
    assert recipe.with_weights("none") == recipe
    with pytest.raises(RecipeError, match=f"{net} has no base") as refused:
        recipe.with_weights("imagenet")
    assert refused.value.tip == "leave --weights out"
