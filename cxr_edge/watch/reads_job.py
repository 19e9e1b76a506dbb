"""Takes readers' answers into a state folder, and reads them back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.ledger.file import transaction
from cxr_edge.ledger.readings import Reading, Readings
from cxr_edge.ledger.runs import Ledger, open_ledger, read_ledger
from cxr_edge.ledger.state import held
from cxr_edge.support.text import display_name
from cxr_edge.watch.drift_job import latest_limits
from cxr_edge.watch.history import history_of
from cxr_edge.watch.reads import ReadFigures, figures
from cxr_edge.watch.reads_file import read_answers


def add(state: Path, files: Sequence[Path], run: str | None, command: Sequence[str]) -> int:
    """Record the answers in files, all or none; returns how many.

    Args:
        state: folder of the ledger.
        files: CSVs that pages saved; a later answer of a reader replaces the earlier one.
        run: of files that do not say which night they are about.
        command: for whoever finds the state held.

    Raises:
        InputError: a file cannot be used, or is about a run or a film that is not of this state.
        StateError, StateBusyError: the ledger cannot be written.
    """
    readings = [(file, reading) for file in files for reading in read_answers(file, run)]
    with read_ledger(state):  # one that is not there is not made
        pass
    with held(state, command), open_ledger(state) as ledger:
        _check(ledger, readings)
        with transaction(ledger.connection) as connection:
            Readings(connection).record(reading for _, reading in readings)
    return len(readings)


def show(state: Path) -> ReadFigures:
    """Figures of all answers so far.

    Raises:
        InputError: there is no answer.
        StateError: the ledger cannot be read.
    """
    with read_ledger(state) as ledger:
        readings = Readings(ledger.connection).kept()
        nights = {night.run: night for night in history_of(ledger).nights}
        readings = [reading for reading in readings if reading.run in nights]
        if not readings:
            raise InputError("nobody has read a film yet", tip="cxr-edge reads add FILE")
        return figures(readings, nights, latest_limits(ledger))


def _check(ledger: Ledger, readings: Sequence[tuple[Path, Reading]]) -> None:
    """Refuse answers that are not about a night of this state."""
    nights = ledger.nights.kept().summaries
    films = {run: Readings(ledger.connection).films_of(run) for run in {r.run for _, r in readings}}
    for file, reading in readings:
        name, run = display_name(file.name), display_name(reading.run)
        if reading.run not in nights:
            raise InputError(
                f"{name} is about run {run}, which is no night of this state",
                tip="give the --state that the run was scored with",
            )
        if films[reading.run] and reading.sha256 not in films[reading.run]:
            raise InputError(f"{name}: run {run} has no film with the bytes of {reading.path}")
