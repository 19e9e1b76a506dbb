"""`cxr-edge drift`: whether the latest films look like those before."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cxr_edge.cli.boundary import echo
from cxr_edge.cli.options import EXIT_LIMIT
from cxr_edge.cli.states import chosen_state, state_option

_DEFAULT_WINDOW = 500


@click.command()
@state_option
@click.option(
    "--reference",
    metavar="RUN",
    help="Compare with this night, as history names it.  [default: the model's validation]",
)
@click.option(
    "--window",
    type=int,
    default=_DEFAULT_WINDOW,
    show_default=True,
    help="The latest films, so many; at least 200.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def drift(state: Path | None, reference: str | None, window: int, as_json: bool) -> int:
    """Compare the latest films with validation, or with earlier ones.

    Identical bytes count once. Each part is tested, and all parts are printed: score, features of
    films, warnings, flag rate.

    Exit code 0: no limit is passed, or there are too few films yet; 5: a part moved beyond chance
    and further than the limit of the site profile (else a stability index of 0.25).

    \b
    Example:
      cxr-edge drift --reference 20261122T221500.123456Z --window 300
    """
    from cxr_edge.watch.drift import LEAST, table
    from cxr_edge.watch.drift_job import DriftJob, TooFew, run

    found = run(DriftJob(chosen_state(state), reference, window))
    if isinstance(found, TooFew):
        if as_json:
            click.echo(json.dumps({"schema_version": 1, "films": found.films, "least": LEAST}))
        else:
            echo(f"too few films to tell: {found.films}, a window takes {LEAST}")
        return 0
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        for line in table(found):
            echo(line)
    return EXIT_LIMIT if found.over else 0
