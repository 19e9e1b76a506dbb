"""Options and exit codes that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cxr_edge.evaluate.job import Labels
from cxr_edge.types import LANGUAGES

EXIT_INCOMPLETE = 3  # the report is complete, some films have no score
EXIT_LIMIT = 5  # a limit or stop rule was passed

Command = Callable[..., Any]


class Seconds(click.FloatRange):
    """A time in seconds, so that the error for `2min` says what is wanted."""

    name = "number of seconds"


language_option = click.option(
    "--language", type=click.Choice(LANGUAGES), help="Language of the page.  [default: en]"
)

parquet_option = click.option(
    "--parquet",
    is_flag=True,
    help="Write the rows as triage.parquet too, for analysis; needs the extra parquet.",
)


def metrics_option(when: str) -> Callable[[Command], Command]:
    """The file of a command's metrics, written at some time."""
    return click.option(
        "--metrics",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_named_for_the_collector,
        metavar="FILE",
        help=f"Write metrics for Prometheus' textfile collector, {when}: a FILE.prom.",
    )


def _named_for_the_collector(
    _context: click.Context, _option: click.Parameter, path: Path | None
) -> Path | None:
    if path is not None and path.suffix != ".prom":
        raise click.BadParameter("its name must end in .prom: the collector reads no other file")
    return path


def runtime_options(command: Command) -> Command:
    """Options of where and how films are scored."""
    for option in (
        click.option(
            "--batch-size",
            type=click.IntRange(1, 256),
            help="Films in the network at once; a GPU's batch is halved until it fits.  "
            "[default: 16 for each core; 256 on CUDA]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, 256),
            help="Decoding processes.  [default: usable cores]",
        ),
        click.option(
            "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
        ),
    ):
        command = option(command)
    return command


def label_options(command: Command) -> Command:
    """Findings and patients of films; the command gets them as one argument, `labels`."""

    @functools.wraps(command)
    def with_labels(
        labels: Path | None, positive: tuple[str, ...], patients_from_header: bool, **options: Any
    ) -> Any:
        return command(labels=Labels(labels, positive, patients_from_header), **options)

    for option in (
        click.option(
            "--patients-from-header",
            is_flag=True,
            help="Take patients from Patient ID in DICOM headers, where --labels names none.",
        ),
        click.option(
            "--positive",
            multiple=True,
            metavar="NAME",
            help="Class to find, folder or label; can be given again.  [default: PNEUMONIA]",
        ),
        click.option(
            "--labels",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="CSV with path, label and perhaps patient.  [default: folder names]",
        ),
    ):
        with_labels = option(with_labels)
    return with_labels
