"""Files that a training leaves: JSON and CSV, each whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from cxr_edge.support.atomic import write_atomically


def write_json(path: Path, value: Any) -> None:
    """JSON with a trailing newline, whole or not at all."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file with a header, from dictionaries with equal keys; whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # A file name on Linux need not be UTF-8; a finished training must not fail on one.
    write_atomically(path, text.getvalue().encode("utf-8", "backslashreplace"))
