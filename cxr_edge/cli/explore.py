"""`cxr-edge explore`."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.cli.boundary import echo, missing_extra
from cxr_edge.cli.options import label_options
from cxr_edge.evaluate.job import Labels


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@label_options
@click.option(
    "--out",
    default="exploration.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The HTML page to write.",
)
def explore(folder: Path, out: Path, labels: Labels) -> None:
    """Describe a labelled data set on one HTML page.

    FOLDER holds NORMAL and PNEUMONIA, or several such folders (train, test), or the films that
    --labels names.

    \b
    Example:
      cxr-edge explore data/ --out exploration.html
    """
    try:
        from cxr_training.explore.page import explore as run_exploration
    except ImportError as error:
        raise missing_extra(error, "evaluate") from error
    run_exploration(folder, out, labels)
    echo(f"exploration written: {out}", err=True)
