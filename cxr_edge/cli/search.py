"""`cxr-edge search`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cxr_edge.cli.boundary import missing_extra, quiet_tensorflow
from cxr_edge.cli.options import label_options


@click.command()
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that holds NORMAL and PNEUMONIA, or the films that --labels names.",
)
@label_options
@click.option(
    "--study",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file; an unfinished search in it goes on.",
)
@click.option(
    "--trials",
    required=True,
    type=click.IntRange(1),
    help="How many in all, those of earlier runs included; failed ones do not count.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 50),
    default=5,
    show_default=True,
    help="Networks per trial, each judged on the fold that it was not trained on.",
)
@click.option(
    "--scheme",
    type=click.Choice(["patients", "style"]),
    default="style",
    show_default=True,
    help="Random patients, or normals by how much they look like pneumonia films.",
)
@click.option(
    "--objective",
    type=click.Choice(["auc", "specificity"]),
    default="auc",
    show_default=True,
    help="Mean over folds of the AUC, or of the specificity at a sensitivity of 0.98.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def search(**options: Any) -> None:
    """Search for better values of a recipe.

    RECIPE is a TOML file whose section [search] says what may vary. The best values go to stdout.

    \b
    Example:
      cxr-edge search mine.toml --data train/ --study studies/mine.db --trials 50
    """
    quiet_tensorflow()
    try:
        from cxr_training.support.memory import keep_freed_memory

        keep_freed_memory()  # before TensorFlow starts its threads
        from cxr_training.search.search import SearchJob
        from cxr_training.search.search import search as run_search
    except ImportError as error:
        raise missing_extra(error, "training") from error
    click.echo(json.dumps(run_search(SearchJob(**options)), indent=2))
