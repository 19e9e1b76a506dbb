"""Files of answers, as the page of a night saves them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

HEADER = "rank,path,sha256,probability,flagged,read_by,pneumonia,comment,run"


def answers(
    file: Path,
    run: str,
    scores: Mapping[int, float],
    said: Mapping[int, str],
    by: str = "Miller",
    files_of: str = "",
) -> Path:
    """A file about films of `tests.watch.nights.add_night`, flagged from 0.5 on."""
    lines = [HEADER]
    for number, score in scores.items():
        path = f"{files_of or run}/{number:05d}.png"
        sha256 = hashlib.sha256(path.encode()).hexdigest()
        flagged = "true" if score >= 0.5 else "false"
        answer = said.get(number, "")
        who = by if answer else ""
        lines.append(f"{number},{path},{sha256},{score:.6f},{flagged},{who},{answer},,{run}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
