"""`cxr-edge evaluate`: the site acceptance test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cxr_edge.cli.boundary import missing_extra
from cxr_edge.cli.options import runtime_options
from cxr_edge.cli.score import DEFAULT_MODEL, EXIT_INCOMPLETE
from cxr_edge.errors import InputError

_MODELS_COMPARED = 2


@dataclass(frozen=True)
class EvaluateRequest:
    """The command line of `evaluate`, one field per parameter."""

    labelled: Path
    models: tuple[str, ...]
    labels: Path | None
    positive: tuple[str, ...]
    prevalence: float | None
    propose_threshold: str | None
    site_profile: Path | None
    thumbnails: bool
    out: Path | None
    device: str
    workers: int | None
    batch_size: int | None
    quiet: bool

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if len(self.models) > _MODELS_COMPARED:
            raise InputError(f"{len(self.models)} models: one is evaluated, or two are compared")
        if len(set(self.models)) < len(self.models):
            raise InputError(f"--model {self.models[0]} is given twice")
        single = self.propose_threshold is not None or self.site_profile is not None
        if single and len(self.models) > 1:
            raise InputError("a threshold belongs to one model: give one --model")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise InputError(f"--prevalence must lie between 0 and 1: {self.prevalence}")
        self.least_sensitivity()  # refused before any film is read

    def least_sensitivity(self) -> float | None:
        """What --propose-threshold asks for."""
        if self.propose_threshold is None:
            return None
        figure, _, value = self.propose_threshold.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = 0.0
        if figure != "sensitivity" or not 0 < least <= 1:
            raise InputError(
                f"--propose-threshold {self.propose_threshold!r} cannot be used",
                tip="write it as sensitivity=0.98, above 0 and up to 1",
            )
        return least


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
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with path, label and perhaps patient.  [default: folder names]",
)
@click.option(
    "--positive",
    multiple=True,
    metavar="NAME",
    help="Class to find, folder or label; can be given again.  [default: PNEUMONIA]",
)
@click.option(
    "--prevalence", type=float, help="Share of positives at your site, for predictive values."
)
@click.option(
    "--propose-threshold",
    metavar="sensitivity=S",
    help="Write site-profile.json with the highest threshold of that sensitivity.",
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
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def evaluate(**options: Any) -> int:
    """Measure a model on films whose findings are known.

    LABELLED holds the folders NORMAL and PNEUMONIA, or the films that --labels names. Writes
    evaluation.html, evaluation.json and films.csv.

    Exit code 0: every film has a score; 3: the figures are complete, some films are not scored and
    are listed.

    \b
    Example:
      cxr-edge evaluate site-films/ --model cnn3_128 --propose-threshold sensitivity=0.98
    """
    request = EvaluateRequest(**options)
    try:
        from cxr_edge.evaluate.acceptance import run
    except ImportError as error:
        raise missing_extra(error, "evaluate") from error
    evaluation = run(request)
    return EXIT_INCOMPLETE if any(model.not_scored for model in evaluation.models) else 0
