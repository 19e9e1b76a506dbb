"""`cxr-edge runs`: finished trainings, judged again or held against one another."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cxr_edge.cli.boundary import echo, missing_extra, quiet_tensorflow
from cxr_edge.cli.options import label_options
from cxr_edge.evaluate.job import Labels

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def runs() -> None:
    """Judge finished trainings again, or compare them.

    A RUN is the --out folder of a finished cxr-edge train.

    \b
    Example:
      cxr-edge runs compare train/ runs/cnn3_50 runs/newer
    """


@runs.command("judge-again")
@click.argument("run", type=_FOLDER)
@click.argument("data", type=_FOLDER)
@label_options
def judge_run_again(run: Path, data: Path, labels: Labels) -> None:
    """Judge a run again, with the current preprocessing.

    Scores the validation films of RUN anew, chooses its operating points on them, rewrites what RUN
    records of both, and prints the operating points as JSON. The network stays as it is. DATA is
    the folder that it was trained with.

    \b
    Example:
      cxr-edge runs judge-again runs/cnn3_50 train/
    """
    quiet_tensorflow()
    try:
        from cxr_training.judge.judge_again import judge_again
    except ImportError as error:
        raise missing_extra(error, "training") from error
    click.echo(json.dumps(judge_again(run, data, labels)["operating_points"], indent=2))


@runs.command("compare")
@click.argument("data", type=_FOLDER)
@click.argument("run", nargs=-1, required=True, type=_FOLDER)
@label_options
def compare(data: Path, run: tuple[Path, ...], labels: Labels) -> None:
    """Compare runs on changed copies of the validation films that they share.

    Prints a table in Markdown: each RUN on the films and on eight changed copies of each, and its
    difference to the first, with intervals by patient. DATA is the folder that all were trained
    with.

    \b
    Example:
      cxr-edge runs compare train/ runs/cnn3_50 runs/newer
    """
    quiet_tensorflow()
    try:
        from cxr_training.judge import changed_copies
    except ImportError as error:
        raise missing_extra(error, "training") from error
    for line in changed_copies.rows(data, run, labels):
        echo(line)


@runs.command("reproduce")
@click.argument("test", type=_FOLDER)
@click.argument("run", nargs=-1, required=True, type=_FOLDER)
@label_options
def reproduce(test: Path, run: tuple[Path, ...], labels: Labels) -> None:
    """Measure runs as the source report did, at a threshold of 0.5.

    Prints a table in Markdown: accuracy, the share of each class that is recognised, and the area
    under the ROC curve, with intervals by patient. TEST is a labelled folder.

    \b
    Example:
      cxr-edge runs reproduce test/ runs/cnn3_50-report
    """
    quiet_tensorflow()
    try:
        from cxr_training.judge import reproduction
    except ImportError as error:
        raise missing_extra(error, "training") from error
    for line in reproduction.rows(test, run, labels):
        echo(line)
