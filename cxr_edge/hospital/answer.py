"""The answer about a film, in words and figures, for every format of results."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.images.own_result import SERIES_PREFIX
from cxr_edge.report.context import BANNER, RunContext
from cxr_edge.report.texts import texts
from cxr_edge.triage import TriageRow
from cxr_edge.types import PROBABILITY_DECIMALS, Band, probability_text

# Worklists show a Series Description, and can filter on it.
DESCRIPTIONS = {
    Band.ATTENTION: f"{SERIES_PREFIX}ATTENTION",
    Band.FLAGGED: f"{SERIES_PREFIX}FLAGGED",
    Band.UNFLAGGED: f"{SERIES_PREFIX}no flag, not a diagnosis",
}
NOT_VERIFIED = "Made by software; nobody has verified it."


@dataclass(frozen=True)
class Algorithm:
    """Identification of the algorithm that made a score.

    Attributes:
        software: version of cxr-edge that scored.
    """

    name: str
    version: str
    sha256: str
    operating_point: str
    threshold: float
    software: str

    @classmethod
    def of(cls, context: RunContext) -> Algorithm:
        """Algorithm of a run."""
        return cls(
            context.spec.name,
            context.spec.version,
            context.model_sha256,
            context.operating_point,
            context.threshold,
            context.versions.get("cxr-edge", ""),
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameters as an SR lists them beside name and version."""
        return (
            f"operating point: {self.operating_point}",
            f"threshold: {probability_text(self.threshold)}",
            f"model sha256: {self.sha256}",
            f"software: cxr-edge {self.software}",
        )


@dataclass(frozen=True)
class Answer:
    """The result of one film.

    Attributes:
        band: of the reading list; never `other`.
        flagged: whether its score is at or above the threshold, None without one.
        probability: as the CSV prints it, None without a score.
        reason: code, where there is no score.
        warnings: codes.
    """

    band: Band
    flagged: bool | None
    probability: float | None
    reason: str
    warnings: tuple[str, ...]
    algorithm: Algorithm

    @classmethod
    def of(cls, row: TriageRow, algorithm: Algorithm) -> Answer:
        """Answer for a row."""
        result = row.result
        score = result.probability
        return cls(
            row.band,
            row.flagged,
            None if score is None else round(score, PROBABILITY_DECIMALS),
            result.reason.value if result.reason else "",
            tuple(warning.value for warning in result.warnings),
            algorithm,
        )

    @property
    def description(self) -> str:
        """Series Description of its objects."""
        return DESCRIPTIONS[self.band]

    @property
    def figure(self) -> str:
        """The probability as the CSV prints it; empty without a score."""
        return "" if self.probability is None else probability_text(self.probability)

    @property
    def threshold(self) -> str:
        """Threshold as the CSV prints figures."""
        return probability_text(self.algorithm.threshold)

    @property
    def headline(self) -> str:
        """One line: band, probability and threshold, or that there is no score."""
        if self.probability is None:
            return f"{self.description}. No score: {_name(self.reason)}."
        relation = "at or above" if self.flagged else "below"
        point = self.algorithm.operating_point
        return (
            f"{self.description}. Probability {self.figure} is {relation} the threshold "
            f"{self.threshold} ({point})."
        )

    @property
    def remark_names(self) -> tuple[str, ...]:
        """A few words for each reason and warning."""
        return tuple(_name(code) for code in self._codes)

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence for each reason and warning."""
        return tuple(f"{_name(code)}: {texts().remark(code).meaning}" for code in self._codes)

    @property
    def _codes(self) -> tuple[str, ...]:
        return (*filter(None, [self.reason]), *self.warnings)

    @property
    def lines(self) -> tuple[str, ...]:
        """All statements in words, most important first."""
        return (self.headline, *self.remarks, BANNER, NOT_VERIFIED)


def _name(code: str) -> str:
    return texts().remark(code).name
