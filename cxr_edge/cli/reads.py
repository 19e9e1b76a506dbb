"""`cxr-edge reads`: what readers say of the flags."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cxr_edge.cli.boundary import echo
from cxr_edge.cli.options import EXIT_LIMIT
from cxr_edge.cli.states import chosen_state, state_option


@click.group()
def reads() -> None:
    """Take back what readers answered, and keep running figures.

    \b
    Example:
      cxr-edge reads add reads.csv --state /var/lib/cxr-edge/state
    """


@reads.command("add")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@state_option
@click.option("--run", help="Night of a FILE that does not say which, saved before 0.3.")
def add(files: tuple[Path, ...], state: Path | None, run: str | None) -> None:
    """Record the answers in CSV files that pages of nights have saved.

    All files are recorded or none. Several readers' answers are kept side by side; a later answer
    of the same reader about the same film replaces the earlier one.

    \b
    Example:
      cxr-edge reads add miller.csv jones.csv --state /var/lib/cxr-edge/state
    """
    from cxr_edge.watch import reads_job

    answers = reads_job.add(chosen_state(state), files, run, sys.argv)
    echo(f"answers recorded: {answers}")


@reads.command("show")
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def show(state: Path | None, as_json: bool) -> int:
    """Print running figures: PPV, bounds of the sensitivity, agreement by week, CUSUM.

    Exit code 0: no limit is passed; 5: a limit of the site profile is, or the running sum of wrong
    flags is above 5.

    \b
    Example:
      cxr-edge reads show --state /var/lib/cxr-edge/state
    """
    from cxr_edge.watch import reads_job
    from cxr_edge.watch.reads import table

    found = reads_job.show(chosen_state(state))
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        for line in table(found):
            echo(line)
    return EXIT_LIMIT if found.passed else 0
