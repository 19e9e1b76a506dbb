"""Reads what a report holds."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def csv_rows(out: Path) -> list[dict[str, str]]:
    with (out / "triage.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run_values(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "run.json").read_text())
    return values
