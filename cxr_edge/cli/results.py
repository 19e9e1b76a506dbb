"""`cxr-edge results`, and the options that `score --results` shares with it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.cli.boundary import echo, missing_extra
from cxr_edge.cli.finished import any_state_option, finished_run, run_argument
from cxr_edge.cli.options import Command
from cxr_edge.cli.terminal import Terminal
from cxr_edge.hospital.results_job import CAPTURES, SR_CLASSES, ResultsJob, Wanted

if TYPE_CHECKING:
    from cxr_edge.decoders.start import Decoders
    from cxr_edge.hospital.results import Made

_EXTRA = "hospital"
_FILES = {
    "sr": ("report", "reports"),
    "sc": ("capture", "captures"),
    "ko": ("key object", "key objects"),
    "hl7": ("HL7 message", "HL7 messages"),
}


def wanted_options(command: Command) -> Command:
    """Options of what a study gets; the command has them as one argument, `wanted`."""

    @functools.wraps(command)
    def with_wanted(**options: Any) -> Any:
        return command(wanted=wanted_of(options), **options)

    for option in (
        click.option(
            "--hl7",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Write an ORU^R01 file a study into DIR, for an integration engine.",
        ),
        click.option(
            "--key-object", is_flag=True, help="Name flagged films in a key object, For Attention."
        ),
        click.option(
            "--secondary-capture",
            type=click.Choice(CAPTURES),
            help="Picture film and evidence map, of flagged films or of all with a score.",
        ),
        click.option(
            "--sr",
            type=click.Choice(SR_CLASSES),
            default=SR_CLASSES[0],
            show_default=True,
            help="Class of the report: what the site's viewer opens.",
        ),
    ):
        with_wanted = option(with_wanted)
    return with_wanted


def wanted_of(options: dict[str, Any]) -> Wanted:
    """Take what a study gets out of a command's options."""
    names = ("sr", "secondary_capture", "key_object", "hl7")
    return Wanted(*(options.pop(name) for name in names))


@click.command()
@run_argument
@any_state_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the results, a folder a study.  [default: reports/RUN/results]",
)
@wanted_options
@click.option("--all", "every", is_flag=True, help="Also films whose result is not new.")
@click.option("--model", help="The model that scored, where its file lies elsewhere by now.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
def results(run: str, state: Path | None, every: bool, quiet: bool, **options: Any) -> None:
    """Write the DICOM results of a finished run, for the PACS.

    RUN is the name that the report and run.json give the run, or `latest`. Each film that is new or
    changed in the run gets a structured report in its own study. Films without a DICOM header get
    none. The same film, model and content make the same file again. Nothing is sent.

    \b
    Example:
      cxr-edge results latest --secondary-capture flagged --out results/tonight
    """
    from dataclasses import replace

    from cxr_edge.decoders.start import Decoders

    name, folder = finished_run(run, state)
    out = options["out"] or Path("reports", name, "results")
    wanted = replace(options["wanted"], every=every)
    job = ResultsJob(name, folder, out, wanted, options["model"])
    with Decoders() as decoders:
        decoders.prepare()
        write_results(job, decoders, Terminal(quiet))


def check_hospital() -> None:
    """Refuse, before a night's work, what could not be written after it.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    from importlib.util import find_spec

    for module in ("highdicom", "pynetdicom"):
        if find_spec(module) is None:
            raise missing_extra(ImportError(name=module), _EXTRA)


def write_results(job: ResultsJob, decoders: Decoders, terminal: Terminal) -> None:
    """Write them, and say how many.

    Raises:
        CxrEdgeError: as `make_results`, or the extra is not installed.
    """
    try:
        from cxr_edge.hospital.results import make_results
    except ImportError as error:
        raise missing_extra(error, _EXTRA) from error
    made = make_results(job, decoders, terminal)
    if not terminal.quiet:
        echo(_line(made, job.out), err=True)


def _line(made: Made, out: Path) -> str:
    """Counts of all films by outcome, in one line."""
    files = [
        f"{made.files[kind]} {names[made.files[kind] != 1]}"
        for kind, names in _FILES.items()
        if kind in made.files
    ]
    left = {
        "without a DICOM header of a film": made.without_header,
        "whose UIDs, patient name or ID cannot be repeated exactly": made.not_repeatable,
        "gone, changed or unreadable": made.unreadable,
        "not new (--all)": made.earlier,
    }
    none = [f"{number} {why}" for why, number in left.items() if number]
    studies = "study" if made.studies == 1 else "studies"
    text = f"{', '.join(files)} in {made.studies} {studies}: {out}" if files else "no results"
    return text + (f"; none for {', '.join(none)}" if none else "")
