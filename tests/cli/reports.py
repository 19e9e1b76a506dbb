"""Reads what a report holds."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any


def csv_rows(out: Path) -> list[dict[str, str]]:
    with (out / "triage.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run_values(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "run.json").read_text())
    return values


def is_night_line(text: str | bytes) -> bool:
    """Tell whether that is the line of a night that has not gone well, and nothing else."""
    text = text if isinstance(text, str) else text.decode()
    return re.fullmatch(r"\d+ found, \d+ new, .*; report: .*triage\.html\n", text) is not None
