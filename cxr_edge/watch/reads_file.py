"""The CSV of answers that the page of a night saves."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.ledger.readings import CANNOT_TELL, NO, YES, Reading
from cxr_edge.support.files import read_plain
from cxr_edge.support.text import display_name

_MAX_BYTES = 64 * 10**6
_MAX_TEXT = 500
_NEEDED = ("rank", "path", "sha256", "probability", "flagged", "read_by")


def read_answers(file: Path, run: str | None = None) -> list[Reading]:
    """Read the films that a reader has answered for; others in the file are skipped.

    Files of before 0.3 have a column `agree`: whether the reader agreed with the flag.

    Args:
        file: UTF-8, with `;` between the cells where the header has no comma.
        run: of a file that does not say which night it is about.

    Raises:
        InputError: it cannot be read, or a line makes no sense.
    """
    name = display_name(file.name)
    try:
        text = _decoded(read_plain(file, _MAX_BYTES))
        return [reading for cells in _lines(text) if (reading := _reading(cells, run))]
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"{name} cannot be used: {display_name(str(error))}",
            tip="give the CSV that the page of a night saves",
        ) from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # spreadsheets save what they call Unicode, or Windows' own
        raise ValueError("it is not in UTF-8: save it as CSV UTF-8") from error


def _lines(text: str) -> Iterator[dict[str, str]]:
    header = text.split("\n", 1)[0]
    separator = ";" if ";" in header and "," not in header else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = [each.strip() for each in reader.fieldnames or ()]
    reader.fieldnames = columns
    missing = [each for each in _NEEDED if each not in columns]
    if missing or not {"pneumonia", "agree"} & {*columns}:
        raise ValueError(f"columns missing: {', '.join(missing or ['pneumonia'])}")
    for cells in reader:
        if None in cells or None in cells.values():
            raise ValueError(f"line {reader.line_num}: another number of cells than the header has")
        yield {**cells, "line": str(reader.line_num)}


def _reading(cells: dict[str, str], run: str | None) -> Reading | None:
    """One line; None where nobody has answered, or there is no score to judge."""
    where, answer = f"line {cells['line']}", _answer(cells)
    if not answer or not cells["probability"]:
        return None
    name = cells.get("run") or run
    if not name:
        raise ValueError("it does not say which run it is about: give --run")
    if cells["flagged"] not in ("true", "false"):
        raise ValueError(f"{where}: flagged is {cells['flagged']!r}, not true or false")
    try:
        return Reading(
            name,
            int(cells["rank"]),
            cells["path"],
            cells["sha256"],
            float(cells["probability"]),
            cells["flagged"] == "true",
            _plain(cells["read_by"]),
            answer,
            _plain(cells.get("comment", "")),
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _answer(cells: dict[str, str]) -> str:
    answer = cells.get("pneumonia", "").strip()
    if answer or "pneumonia" in cells:
        if answer not in ("", YES, NO, CANNOT_TELL):
            wanted = f"{YES}, {NO} or {CANNOT_TELL}"
            raise ValueError(f"line {cells['line']}: the answer is {answer!r}, not {wanted}")
        return answer
    agree = cells["agree"].strip()
    if agree not in ("", YES, NO):
        raise ValueError(f"line {cells['line']}: agree is {agree!r}, not {YES} or {NO}")
    if not agree:
        return ""
    return YES if (agree == YES) == (cells["flagged"] == "true") else NO


def _plain(text: str) -> str:
    """A reader's text, without the quote that guards it from spreadsheets."""
    return display_name(text.strip().removeprefix("'"))[:_MAX_TEXT]
