"""Runs over made films that share a ledger, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cxr_edge.engines.forward_passes import Networks
from cxr_edge.engines.local import Local
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger
from cxr_edge.runtime import Runner
from cxr_edge.scoring.scorer import Scorer
from cxr_edge.triage import reading_key
from cxr_edge.types import FoundFile, Result
from tests.factories import FakeRunner, InThisProcess

SETTINGS = IntakeSettings(8, Scope((1.0, 5.0), ("anterior-posterior",)))


@dataclass
class Told:
    """Progress that remembers; `on_waiting` happens in the meantime."""

    recorded_files: list[int] = field(default_factory=list)
    recalled_files: int = 0
    waited_for: list[tuple[int, float]] = field(default_factory=list)
    on_waiting: Callable[[], Any] = lambda: None

    def recorded(self, files: int) -> None:
        self.recorded_files.append(files)

    def recalled(self, files: int) -> None:
        self.recalled_files += files

    def waiting(self, files: int, seconds: float) -> None:
        self.waited_for.append((files, seconds))
        self.on_waiting()

    @property
    def done(self) -> int:
        return sum(self.recorded_files)


@dataclass
class Night:
    """Runs that share a ledger, each with a fresh runner that remembers what it was asked."""

    ledger: Ledger
    numbers: Iterator[int] = field(default_factory=itertools.count)
    runner: Any = None
    workers: Any = None
    told: Told = field(default_factory=Told)
    complete: bool = False
    runs: list[Run] = field(default_factory=list)

    def run(
        self,
        files: Path | Iterable[FoundFile],
        *,
        runner: Runner | None = None,
        workers: Any = None,
        told: Told | None = None,
        settings: str = "settings",
        **scorer: Any,
    ) -> list[Result]:
        """Every row of a run, by name."""
        self.runner = runner or FakeRunner()
        self.workers = workers or InThisProcess(SETTINGS)
        self.told = told or Told()
        recorded = self.ledger.begin(f"run {next(self.numbers)}", settings)
        self.runs.append(recorded)
        engine = Local(
            scorer.pop("networks", Networks(self.runner)),
            self.workers,
            scorer.pop("batch_size", 32),
            scorer.pop("ahead", 1),
        )
        plain = Scorer(engine, recorded, SettleRule(0), stop=lambda: False, progress=self.told)
        found = discover([files]) if isinstance(files, Path) else files
        self.complete = replace(plain, **scorer).score(found)
        return self.rows()

    def rows(self) -> list[Result]:
        """Those of the last run, by name."""
        return sorted(self.runs[-1].results(reading_key(0.5)), key=lambda each: each.path)
