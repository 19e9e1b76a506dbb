"""A night in a few figures, which are kept when its rows are forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cxr_edge.features import FEATURES, logit_of
from cxr_edge.report.context import Report
from cxr_edge.statistics.measurements import FEATURE_STEPS, FeatureDistribution
from cxr_edge.statistics.quantiles import quantiles
from cxr_edge.support.strict_json import read
from cxr_edge.triage import Counts, TriageRow
from cxr_edge.types import Result

SCHEMA_VERSION = 1
_LOGIT = FEATURES.index("logit")


@dataclass(frozen=True)
class NightSummary:
    """One night that has a report.

    Attributes:
        run: its name.
        counts: files by status and band.
        reasons: files without a score, by reason.
        warnings: films with a score, by warning; identical bytes count once, as below.
        films: films with a score.
        flags: of these, at or above the threshold, doubted ones included.
        new_films: of `films`, those that the last night with a report did not have.
        new_flags: of these, at or above the threshold.
        scores: quantiles of the probability at 0, 1/20, ... 1; empty without a film.
        features: how the films look; None where no row has its features.
    """

    schema_version: int
    run: str
    started_utc: str
    seconds: float
    model: str
    model_version: str
    model_sha256: str
    operating_point: str
    threshold: float
    settings_sha256: str
    counts: Counts
    new: int
    gone: int
    reasons: dict[str, int]
    warnings: dict[str, int]
    films: int
    flags: int
    new_films: int
    new_flags: int
    scores: tuple[float, ...]
    features: FeatureDistribution | None

    @classmethod
    def from_dict(cls, values: Any) -> NightSummary:
        """Read what `to_dict` gave and the ledger kept.

        Raises:
            ValueError: another version wrote it.
        """
        return read(cls, values, "night")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        features = self.features and self.features.to_dict()
        return {**asdict(self), "scores": list(self.scores), "features": features}


@dataclass
class _Tally:
    """Counts rows as they come; of identical bytes the first row counts."""

    reasons: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    flags: int = 0
    new_films: int = 0
    new_flags: int = 0
    scores: list[float] = field(default_factory=list)
    features: list[tuple[float | None, ...]] = field(default_factory=list)

    def add(self, row: TriageRow) -> None:
        """One row."""
        result = row.result
        if result.reason:
            self.reasons[result.reason.value] += 1
        if result.probability is None or result.duplicate_of:
            return
        self.warnings.update(warning.value for warning in result.warnings)
        self.flags += bool(row.flagged)
        self.new_films += result.new
        self.new_flags += result.new and bool(row.flagged)
        self.scores.append(result.probability)
        self.features += [kept] if (kept := _features(result, result.probability)) else []


def summarise(report: Report) -> NightSummary:
    """Go through a report once more, for what is kept of it."""
    context, tally = report.context, _Tally()
    for row in report.rows:
        tally.add(row)
    shares = np.linspace(0, 1, FEATURE_STEPS + 1).tolist()
    scores = np.round(quantiles(tally.scores, shares), 6).tolist() if tally.scores else ()
    return NightSummary(
        schema_version=SCHEMA_VERSION,
        run=context.run_id,
        started_utc=context.started_utc,
        seconds=context.seconds,
        model=context.spec.name,
        model_version=context.spec.version,
        model_sha256=context.model_sha256,
        operating_point=context.operating_point,
        threshold=context.threshold,
        settings_sha256=context.settings_sha256,
        counts=report.counts,
        new=report.new,
        gone=context.gone,
        reasons=dict(tally.reasons),
        warnings=dict(tally.warnings),
        films=len(tally.scores),
        flags=tally.flags,
        new_films=tally.new_films,
        new_flags=tally.new_flags,
        scores=tuple(scores),
        features=distribution(context.run_id, tally.features),
    )


def _features(result: Result, probability: float) -> tuple[float | None, ...]:
    """Features of a row, with the logit of the score that it has."""
    if len(result.features) != len(FEATURES):
        return ()
    return (*result.features[:_LOGIT], logit_of(probability))


def distribution(data: str, features: list[tuple[float | None, ...]]) -> FeatureDistribution | None:
    """Distribution of each feature that all films have; None without a film.

    Args:
        data: what these films are.
        features: of each film, in the order of `FEATURES`.
    """
    columns = dict(zip(FEATURES, zip(*features, strict=True), strict=True)) if features else {}
    whole = {name: column for name, column in columns.items() if None not in column}
    return FeatureDistribution.of(data, whole) if whole else None
