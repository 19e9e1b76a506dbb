"""`cxr-edge train`."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.cli.boundary import missing_extra, quiet_tensorflow


@click.command()
@click.argument("name")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that holds NORMAL and PNEUMONIA.",
)
@click.option(
    "--recipe",
    "which",
    default="tuned",
    show_default=True,
    help="report, tuned or the path of a TOML file.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="RUN folder; an unfinished run in it goes on.",
)
@click.option(
    "--weights",
    help="imagenet, none or a weights file, instead of what the recipe says.",
)
def train(name: str, data: Path, which: str, out: Path, weights: str | None) -> None:
    """Train one of the four networks.

    NAME is cnn3_50, cnn4_50, cnn3_128 or resnet50v2_50.

    Validation is always split off by patient. A killed run resumes from its last epoch when the
    same command is given again.

    \b
    Example:
      cxr-edge train cnn3_50 --data train/ --recipe tuned --out runs/cnn3_50
    """
    quiet_tensorflow()
    try:
        from cxr_training.fit import TrainingJob
        from cxr_training.fit import train as run_training
        from cxr_training.recipe import load_recipe
    except ImportError as error:
        raise missing_extra(error, "training") from error
    recipe = load_recipe(name, which)
    if weights is not None:
        recipe = recipe.with_weights(weights)
    folder = run_training(TrainingJob(recipe, data, out))
    click.echo(f"run complete: {folder.path}", err=True)
