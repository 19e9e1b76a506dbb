"""`cxr-edge history`: the nights of a state folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cxr_edge.cli.boundary import echo, say_warning
from cxr_edge.cli.states import chosen_state, state_option


@click.command()
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option(
    "--html", "html", type=click.Path(path_type=Path), help="Write a page with plots here, new."
)
def history(state: Path | None, as_json: bool, html: Path | None) -> None:
    """List the nights that have a report, the earliest first.

    Prints counts, the flag rate with its interval and the median score of each night of the last
    400 days. Runs of single studies are not listed.

    \b
    Example:
      cxr-edge history --state /var/lib/cxr-edge/state --html nights
    """
    from cxr_edge.watch.history import read_history, table

    found = read_history(chosen_state(state))
    if found.unreadable:
        runs = ", ".join(found.unreadable[:5])
        say_warning(f"summaries left out, damaged or of another version: {runs}")
    if html is not None:
        from cxr_edge.watch.page import write_page

        write_page(found, html)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    for line in table(found.nights):
        echo(line)
