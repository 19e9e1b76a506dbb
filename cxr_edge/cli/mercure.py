"""`cxr-edge mercure`: one task of mercure, from its folder to its folder."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from cxr_edge.cli.results import check_hospital, write_results
from cxr_edge.cli.score import ScoreTerminal, decoders_for, scored
from cxr_edge.hospital.mercure_job import (
    MercureSettings,
    check_writable,
    films_of,
    read_task,
    results_written,
    write_answer,
)
from cxr_edge.hospital.results_job import ResultsJob
from cxr_edge.scoring.job import ScoreJob
from cxr_edge.triage import Counts


@click.command()
@click.option(
    "--in",
    "given",
    envvar="MERCURE_IN_DIR",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the task.  [env: MERCURE_IN_DIR]",
)
@click.option(
    "--out",
    envvar="MERCURE_OUT_DIR",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder for results.  [env: MERCURE_OUT_DIR]",
)
@click.option(
    "--keep",
    envvar="MODULE_PERSISTENCE_DIR",
    type=click.Path(path_type=Path),
    help="Folder for the ledger; without one nothing is kept.  [env: MODULE_PERSISTENCE_DIR]",
)
def mercure(given: Path, out: Path, keep: Path | None) -> int:
    """Work through one task of mercure, as its container.

    Scores the DICOM files of the task, copies them and their results to the folder for results, and
    writes the accounting to result.json. Settings are those of task.json: model, operating_point,
    threshold, sr, secondary_capture, key_object, target.

    Exit code 0: every film is accounted for, with or without a score; anything else is an error of
    the task, as `score` has them.

    \b
    Example:
      cxr-edge mercure --in in --out out
    """
    settings = MercureSettings.of(read_task(given))
    check_hospital()
    check_writable(out)
    films = films_of(given)
    counts = _worked_through(films, settings, out, keep) if films else _NOTHING
    with results_written(out):
        for film in films:  # what mercure routes on is what lies here
            place = out / Path(film).relative_to(given)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film, place)
    write_answer(out, counts, settings, _note(counts))
    return 0


_NOTHING = Counts(0, 0, 0, 0, 0, 0, 0)


def _worked_through(
    films: tuple[str, ...], settings: MercureSettings, out: Path, keep: Path | None
) -> Counts:
    """Score, and put every object of the results beside the films."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cxr-edge-")))
        job = ScoreJob(
            inputs=films,
            model=settings.model,
            operating_point=settings.operating_point,
            threshold=settings.threshold,
            out=scratch / "report",
            state=keep / "state" if keep else scratch / "state",
            settle=0.0,
            study=True,
            wait=True,
            command=("cxr-edge", "mercure"),
        )
        decoders = stack.enter_context(decoders_for(job))
        night = scored(job, decoders, ScoreTerminal(quiet=True))
        results = ResultsJob(
            *(night.report.context.run_id, night.state, scratch / "results", settings.wanted),
            settings.model,
        )
        write_results(results, decoders, ScoreTerminal(quiet=True))
        with results_written(out):
            for made in sorted((scratch / "results").rglob("*.dcm")):
                shutil.copyfile(made, out / made.name)
        return night.report.counts


def _note(counts: Counts) -> str:
    """A line without a name: mercure may send it by mail."""
    return (
        f"cxr-edge: {counts.attention} need attention, {counts.flagged} flagged, "
        f"{counts.unflagged} without a flag, {counts.other} no films. Prioritisation aid. "
        "Not a diagnosis. Unflagged studies still need reading."
    )
