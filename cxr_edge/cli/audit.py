"""`cxr-edge audit`: the log of which model said what."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.cli.boundary import echo
from cxr_edge.cli.states import chosen_state, state_option
from cxr_edge.errors import StateError


@click.group()
def audit() -> None:
    """Show or check the audit log of a state folder.

    The log has one line for each run whose report was written: model, settings, versions, counts
    and the hash of triage.csv. Each line holds the hash of the line before it.

    \b
    Example:
      cxr-edge audit verify --state /var/lib/cxr-edge/state
    """


@audit.command("show")
@state_option
def show(state: Path | None) -> None:
    """Print the log, one JSON object a line, as far as its chain holds.

    \b
    Example:
      cxr-edge audit show --state /var/lib/cxr-edge/state
    """
    import json

    from cxr_edge.ledger.audit import read_audit

    log = read_audit(chosen_state(state))
    for line in log.lines:
        click.echo(json.dumps(line))
    _refuse(log.broken)


@audit.command("verify")
@state_option
def verify(state: Path | None) -> None:
    """Check the chain and print how many lines it has, and the hash of the last.

    Keep that hash elsewhere: who can write the log could also write a new one.

    Exit code 0: the chain holds; 1: it is broken, and the message says where.

    \b
    Example:
      cxr-edge audit verify --state /var/lib/cxr-edge/state
    """
    from cxr_edge.ledger.audit import read_audit

    log = read_audit(chosen_state(state))
    _refuse(log.broken)
    last = log.lines[-1]["run"] if log.lines else "none"
    echo(f"lines: {len(log.lines)}, last run: {last}, sha256 of its line: {log.head}")


def _refuse(broken: str) -> None:
    if broken:
        raise StateError(
            f"the audit log is broken at {broken}",
            tip="compare it with a backup; new runs are added behind the break",
        )
