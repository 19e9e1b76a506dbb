"""`cxr-edge train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from cxr_edge.cli.boundary import echo, missing_extra, quiet_tensorflow
from cxr_edge.cli.options import label_options
from cxr_edge.evaluate.job import Labels


class _Train(click.Command):
    """A command whose help lists the recipes that ship."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Read their names when somebody asks for help, and then alone."""
        from cxr_training.recipe.shipped import shipped_recipes

        super().format_help_text(ctx, formatter)
        with formatter.section("Networks and their recipes"):
            formatter.write_dl([(name, ", ".join(of)) for name, of in shipped_recipes().items()])


@click.command(cls=_Train)
@click.argument("name")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that holds NORMAL and PNEUMONIA, or the films that --labels names.",
)
@label_options
@click.option(
    "--recipe",
    "which",
    default="tuned",
    show_default=True,
    help="One of the network's recipes, or the path of a TOML file.",
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
@click.option(
    "--folds",
    type=click.IntRange(2, 50),
    help="Cross-validate instead: this many folds, each held out once.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="With --folds: trainings of each fold.",
)
@click.option(
    "--scheme",
    type=click.Choice(["patients", "style"]),
    default="patients",
    show_default=True,
    help="With --folds: random patients, or normals by how much they look like pneumonia films.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="Finished run to learn from besides the labels; with --folds, finished folds. Repeatable.",
)
def train(name: str, which: str, weights: str | None, **options: Any) -> None:
    """Train one of the networks.

    NAME is one of the networks below. Recipe report is the source report's, quirks included; tuned
    and distilled are ours.

    Validation is always split off by patient. A killed run resumes from its last epoch when the
    same command is given again; so do folds. A recipe with `distillation` learns from teachers too,
    which must have the same split.

    \b
    Example:
      cxr-edge train cnn3_50 --data train/ --recipe tuned --out runs/cnn3_50
      cxr-edge train cnn3_50 --data train/ --folds 5 --seeds 3 --scheme style --out runs/folds
    """
    from cxr_training.recipe.shipped import check_network

    check_network(name)
    quiet_tensorflow()
    try:
        from cxr_training.support.memory import keep_freed_memory

        keep_freed_memory()  # before TensorFlow starts its threads
        from cxr_training.fit import training
        from cxr_training.recipe.recipe import load_recipe
    except ImportError as error:
        raise missing_extra(error, "training") from error
    recipe = load_recipe(name, which)
    if weights is not None:
        recipe = recipe.with_weights(weights)
    request = TrainRequest(**options)
    job = training.TrainingJob(
        recipe, request.data, request.out, teachers=request.teachers, labels=request.labels
    )
    if request.folds is None:
        echo(f"run complete: {training.train(job).path}", err=True)
    else:
        _cross_validate(job, request.folds, request)


@dataclass(frozen=True)
class TrainRequest:
    """The options that are not about the recipe."""

    data: Path
    out: Path
    folds: int | None
    seeds: int
    scheme: Literal["patients", "style"]
    teachers: tuple[Path, ...]
    labels: Labels

    def __post_init__(self) -> None:
        """Refuse options that would be ignored."""
        if self.folds is None and (self.seeds, self.scheme) != (1, "patients"):
            raise click.UsageError("--seeds and --scheme are for --folds")


def _cross_validate(job: Any, folds: int, request: TrainRequest) -> None:
    """All folds, or those that are missing."""
    from cxr_training.crossval.crossval import CrossValidation, cross_validate

    table = cross_validate(CrossValidation(job, folds, request.seeds, request.scheme))
    echo(f"{table}folds complete: {request.out}", err=True)
