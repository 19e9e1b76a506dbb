"""Made nights in a ledger, by the thousand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge.features import logit_of
from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import NIGHT
from cxr_edge.ledger.runs import Ledger, open_ledger
from cxr_edge.report import Report
from cxr_edge.report.context import RecordedRows
from cxr_edge.report.summary import summarise
from cxr_edge.types import FoundFile, InputWarning
from tests.factories import context, result

MEANS = {"mean": 120.0, "spread": 50.0, "sharpness": 0.3, "border_share": 0.1, "size": 1e6}


def made_features(random: np.random.Generator, films: int, **means: float) -> NDArray[Any]:
    """Features that need no network, [films, 5], around these means."""
    centres = np.array([*{**MEANS, **means}.values()])
    return centres * (1 + 0.1 * random.standard_normal((films, len(centres))))


def add_night(
    ledger: Ledger,
    name: str,
    scores: Sequence[float],
    features: NDArray[Any] | None = None,
    *,
    kind: str = NIGHT,
    warnings: Sequence[tuple[InputWarning, ...]] = (),
    files_of: str = "",
    more: Sequence[float] = (),
    **facts: Any,
) -> None:
    """A night with a report; film `n` of it is `<name>/<n>.png`.

    Or one of the night `files_of`, which still lies there, and `more` are its own.
    """
    run = ledger.begin(name, "settings", kind)
    entries = []
    paths = [f"{files_of or name}/{number:05d}.png" for number in range(len(scores))]
    paths += [f"{name}/{number:05d}.png" for number in range(len(more))]
    for number, (path, score) in enumerate(zip(paths, (*scores, *more), strict=True)):
        looks = () if features is None else (*features[number].tolist(), 0.01, logit_of(score))
        film = result(
            path,
            round(float(score), 6),
            sha256=hashlib.sha256(path.encode()).hexdigest(),
            features=looks,
            warnings=warnings[number] if warnings else (),
        )
        entries.append(Entry(FoundFile(Path("in", path), path), film))
    run.record(entries)
    about = context(run_id=name, **facts)
    run.finish(about.to_dict())
    rows = RecordedRows(run, about.threshold)
    run.reported(summarise(Report(rows, about)).to_dict())


def add_plain_nights(folder: Path, nights: int, films: int = 10) -> list[str]:
    """Nights that differ by chance alone; returns their names."""
    random = np.random.default_rng(0)
    names = [f"202611{night:02d}T220000.000000Z" for night in range(1, nights + 1)]
    with open_ledger(folder) as ledger:
        for name in names:
            scores = random.beta(0.4, 0.6, films).clip(0.001, 0.999)
            add_night(ledger, name, scores.tolist(), made_features(random, films))
    return names
