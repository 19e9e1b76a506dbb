"""Is the model as good here as where it was made? Its figures beside those of its own spec."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.evaluate.results import ModelFigures, SetFigures
from cxr_edge.statistics.measurements import Decisions, Estimate
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion

Figure = Proportion | Estimate

VALIDATION = "validation, which set the threshold"
APART = ("lower here", "higher here")


@dataclass(frozen=True)
class Against:
    """One figure of the site beside what the model's spec says of it.

    Attributes:
        source: validation, which chose the thresholds, or the name of a test set.
    """

    figure: str
    here: Figure
    there: Figure
    source: str

    @property
    def verdict(self) -> str:
        """Conclusion from the two 95 % intervals; none where one has no width."""
        if self.here.low == self.here.high or self.there.low == self.there.high:
            return "no interval"
        if self.here.high < self.there.low:
            return "lower here"
        return "higher here" if self.here.low > self.there.high else "intervals overlap"


def against(model: ModelFigures, data: SetFigures) -> list[Against]:
    """The site's figures beside validation's and the test sets', as far as both exist.

    A test set of the very same films says nothing new and is left out.
    """
    tests = [test for test in model.spec.evaluations if test.data_sha256 != data.sha256]
    rows = []
    if model.auc:
        rows += [Against("AUC", model.auc, test.auc, test.data) for test in tests]
    for point in model.points:
        made = model.spec.operating_points.get(point.name)
        if not made or made.threshold != point.threshold:  # the spec has not measured it
            continue
        sources: list[tuple[str, OperatingPoint | Decisions]] = [(VALIDATION, made)]
        sources += [
            (test.data, test.operating_points[point.name])
            for test in tests
            if point.name in test.operating_points
        ]
        for name in ("sensitivity", "specificity"):
            here = getattr(point, name)
            rows += [
                Against(f"{name} at {point.name}", here, getattr(shares, name), source)
                for source, shares in sources
                if here
            ]
    return rows


def against_words(model: ModelFigures, data: SetFigures) -> str:
    """Is the model as good here as where it was made?"""
    rows = against(model, data)
    if not rows:
        return "The model's spec holds no figures to compare these with."
    apart: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: row.verdict != APART[0]):
        if row.verdict in APART:
            apart.setdefault((row.verdict, row.source), []).append(row.figure)
    sentences = [_apart(figures, *where) for where, figures in apart.items()]
    if not sentences:
        return "Every figure's interval overlaps the spec's; on few films intervals are wide."
    return " ".join(sentences)


def _apart(figures: list[str], verdict: str, source: str) -> str:
    named = " and ".join(figures)
    verb = "is" if len(figures) == 1 else "are"
    return (
        f"{named[0].upper()}{named[1:]} {verb} {verdict} than on {source}; the 95 % intervals do "
        "not overlap."
    )


def sources(model: ModelFigures, data: SetFigures) -> str:
    """Sets on which the spec's figures were measured."""
    chosen = " and ".join(dict.fromkeys(p.data for p in model.spec.operating_points.values()))
    sentences = [f"Validation is {chosen}; it chose the thresholds, so its figures are optimistic."]
    sentences += [
        f"This set is {test.data}, to the byte: the spec holds its figures already."
        if test.data_sha256 == data.sha256
        else f"{test.data} was not used to set a threshold."
        for test in model.spec.evaluations
    ]
    return " ".join(sentences)
