"""The table of labels that a site writes: UTF-8 CSV with `path`, `label` and perhaps `patient`."""

from __future__ import annotations

import csv
import io
import posixpath
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import DataError
from cxr_edge.support.files import read_plain
from cxr_edge.support.text import display_name

_NAMED = 5
_ANSWERS = {"yes": "PNEUMONIA", "no": "NORMAL"}
_MAX_BYTES = 64 * 10**6


@dataclass(frozen=True)
class TableLine:
    """One film of the table; `patient` is empty where the table does not say."""

    number: int
    path: str
    label: str
    patient: str

    def __str__(self) -> str:
        """Name for errors."""
        return f"line {self.number} {display_name(self.path)!r}"


def read_table(table: Path) -> list[TableLine]:
    """Read the table.

    A byte order mark, CRLF, empty lines, other columns and, where the header has no comma, `;`
    between the columns are all right. A file of answers that the page of a night saves has
    `pneumonia` in place of `label`.

    Args:
        table: its first line names the columns.

    Returns:
        One line per path; paths are normalised (`./a.png` is `a.png`).

    Raises:
        DataError: it is not UTF-8, no CSV or without a film; a column is missing or a line has
            other columns than the header; a path is named twice, or leads out of the folder.
    """
    name = display_name(table)
    lines = _lines(_text(table), name)
    _refuse(name, "lines without a path or a label", [x for x in lines if not (x.path and x.label)])
    _refuse(name, "paths that leave the folder", [line for line in lines if _leaves(line.path)])
    _refuse_repeated(name, lines)
    if not lines:
        raise DataError(f"{name} names no film", tip="columns: path,label and perhaps patient")
    return lines


def _lines(text: str, name: str) -> list[TableLine]:
    """Lines of a table of labels, or of answers as the page of a night saves them.

    Of answers, `yes` and `no` are labels; films without one of them are left out, and what several
    readers say alike is one label.
    """
    rows = list(_rows(text, name))
    if not rows or "label" in rows[0][1]:
        return [_line(*row) for row in rows]
    lines = [
        _line(number, {**cells, "label": label, "path": cells["path"].removeprefix("'")})
        for number, cells in rows
        if (label := _ANSWERS.get(cells["pneumonia"].strip()))
    ]
    return list({(line.path, line.label): line for line in lines}.values())


def first_few(names: Sequence[str]) -> str:
    """Enough names to find the trouble, and how many there are."""
    more = f" and {len(names) - _NAMED} more ({len(names)} in all)" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _text(table: Path) -> str:
    name = display_name(table)
    try:
        return read_plain(table, _MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8: byte {error.start}",
            tip="a spreadsheet can save it as 'CSV UTF-8'",
        ) from error


def _rows(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = ";" if ";" in header and "," not in header else ","
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells, name, header)
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{name}, line {reader.line_num}: {len(cells)} cells, not {len(columns)}"
                )
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}") from error


def _columns(cells: list[str], name: str, header: str) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    label = "label" if "label" in columns or "pneumonia" not in columns else "pneumonia"
    wanted = [column for column in ("path", label) if columns.count(column) != 1]
    if wanted or columns.count("patient") > 1:
        raise DataError(
            f"{name} needs one column {' and one column '.join(wanted or ['patient'])}; "
            f"its first line is {display_name(header)!r}",
            tip="the first line of the table: path,label or path,label,patient",
        )
    return columns


def _line(number: int, cells: dict[str, str]) -> TableLine:
    path = cells["path"] and posixpath.normpath(cells["path"])
    label, patient = cells["label"], cells.get("patient", "")
    return TableLine(number, path, display_name(label.strip()), display_name(patient.strip()))


def _leaves(path: str) -> bool:
    return path.startswith("/") or path.split("/")[0] == ".."


def _refuse_repeated(name: str, lines: list[TableLine]) -> None:
    by_path: dict[str, list[TableLine]] = defaultdict(list)
    for line in lines:
        by_path[line.path].append(line)
    repeated = [group for group in by_path.values() if len(group) > 1]
    different = [group[-1] for group in repeated if len({line.label for line in group}) > 1]
    _refuse(name, "contradictory labels for a path named before", different)
    _refuse(name, "paths named before", [group[-1] for group in repeated])


def _refuse(name: str, what: str, lines: list[TableLine]) -> None:
    if lines:
        raise DataError(f"{name}: {what}: {first_few([str(line) for line in lines])}")
