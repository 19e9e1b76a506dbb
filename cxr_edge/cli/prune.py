"""`cxr-edge prune`."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.cli.boundary import echo, say_warning
from cxr_edge.errors import InputError


@click.command()
@click.argument("folder", default="reports", type=click.Path(path_type=Path))
@click.option(
    "--reports", "age", required=True, metavar="AGE", help="Delete reports older than AGE: 90d."
)
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
def prune(folder: Path, age: str, dry_run: bool) -> int:
    """Delete old reports.

    FOLDER holds the reports; `reports` if none is given. A report is as old as its run, or as the
    last change in its folder if that was later. Nothing but reports is deleted, no link is
    followed, and the report that `latest` leads to stays whatever its age.

    Exit code 0: all of them are deleted; 1: some could not be.

    \b
    Example:
      cxr-edge prune --reports 90d /var/lib/cxr-edge/reports
    """
    from cxr_edge.report.nights import delete, outdated, parse_age, renew_index, reports_in
    from cxr_edge.support.text import display_name

    limit = parse_age(age)
    try:
        reports = outdated(folder, limit)
        # Of a wrong folder nothing is deleted, and the disk would fill without a word.
        if not reports and not reports_in(folder):
            say_warning(
                f"no report lies in {display_name(folder)}",
                tip="name the folder that holds the reports; folders below it are not searched",
            )
    except OSError as error:
        raise InputError(
            f"the folder {display_name(folder)} cannot be read: {error.strerror}",
            tip="name the folder that holds the reports",
        ) from error
    failed = 0
    for report in reports:
        try:
            if not dry_run:
                delete(report)
            echo(f"{'would delete' if dry_run else 'deleted'} {display_name(report.path)}")
        except OSError as error:
            failed += 1
            say_warning(f"{display_name(report.path)} could not be deleted: {error.strerror}")
    if reports and not dry_run:
        try:
            renew_index(folder)
        except OSError as error:
            say_warning(f"the page of nights could not be written: {error.strerror}")
    return 1 if failed else 0
