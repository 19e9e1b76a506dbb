"""`cxr-edge evaluate`: the site acceptance test."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cxr_edge.cli.boundary import missing_extra
from cxr_edge.cli.options import EXIT_INCOMPLETE, label_options, runtime_options
from cxr_edge.cli.terminal import Terminal
from cxr_edge.evaluate.job import EvaluateJob
from cxr_edge.scoring.job import DEFAULT_MODEL


@click.command()
@click.argument("labelled", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--model",
    "models",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    help="As in score; give it twice to compare two models.",
)
@label_options
@click.option(
    "--prevalence", type=float, help="Share of positives at your site, for predictive values."
)
@click.option(
    "--propose-threshold",
    metavar="sensitivity=S",
    help="Write site-profile.json with the highest threshold of that sensitivity.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Limit of drift and reads to write into site-profile.json: psi, ppv, sensitivity, cusum.",
)
@click.option(
    "--site-profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge the threshold of a site profile too, on other films than chose it.",
)
@click.option(
    "--thumbnails",
    is_flag=True,
    help="Show the worst misses in the page: pixels of patients.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the figures.  [default: evaluations/<UTC time>]",
)
@runtime_options
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
def evaluate(quiet: bool, **options: Any) -> int:
    """Measure a model on films whose findings are known.

    LABELLED holds the folders NORMAL and PNEUMONIA, or the films that --labels names. Writes
    evaluation.html, evaluation.json and films.csv.

    Exit code 0: every film has a score; 3: the figures are complete, some films are not scored and
    are listed.

    \b
    Example:
      cxr-edge evaluate site-films/ --model cnn3_128 --propose-threshold sensitivity=0.98
    """
    job = EvaluateJob(**options, command=tuple(sys.argv))
    try:
        from cxr_edge.evaluate.acceptance import run
    except ImportError as error:
        raise missing_extra(error, "evaluate") from error
    acceptance = run(job, Terminal(quiet))
    if not quiet:
        from cxr_edge.cli.show import print_lines

        print_lines(acceptance.lines())
    if acceptance.refusal is not None:  # the figures are worth having all the same
        raise acceptance.refusal
    incomplete = any(model.not_scored for model in acceptance.evaluation.models)
    return EXIT_INCOMPLETE if incomplete else 0
