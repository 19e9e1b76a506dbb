"""A run's scores against validation: counted and drawn right, and nothing made up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.report import Report
from cxr_edge.report.distribution import FEW, Histogram, Spread, Tally, validation_spreads
from cxr_edge.statistics.measurements import SCORE_BINS, ScoreDistribution
from tests.factories import context, html_of, report, result, rows
from tests.report.page import Page, words
from tests.tiny import tiny_spec


def spread(*probabilities: float | None, threshold: float = 0.5) -> Spread:
    tally = Tally()
    results = [result(str(number), each) for number, each in enumerate(probabilities)]
    for row in rows(*results, threshold=threshold):
        tally.add(row)
    return tally.spread()


EDGES = {0.0: 0, 0.049999: 0, 0.05: 1, 0.5: 10, 0.949999: 18, 0.95: 19, 1.0: 19}


@pytest.mark.parametrize(("probability", "bin_"), EDGES.items())
def test_a_score_falls_into_its_twentieth(probability: float, bin_: int) -> None:
    counts = spread(probability).counts
    assert (len(counts), counts[bin_], sum(counts)) == (SCORE_BINS, 1, 1)


def test_shares_of_a_run() -> None:
    """What has no score does not count."""
    found = spread(0.01, 0.2, 0.97, 0.99, None)
    assert (found.films, found.flagged, found.undecided) == (4, 0.5, 0.25)


def test_a_run_without_scores_has_no_shares() -> None:
    found = spread(None)
    assert (found.films, found.flagged, found.undecided) == (0, None, None)


SHARES = {"screening": (0.2, 0.9), "balanced": (0.2, 0.9), "custom": (None, None)}


@pytest.mark.parametrize(("point", "flagged"), SHARES.items())
def test_what_validation_flagged_is_known_at_its_points_alone(
    point: str, flagged: tuple[float | None, float | None]
) -> None:
    normal, ill = validation_spreads(context(operating_point=point))
    assert (normal.name, ill.name) == ("NORMAL", "PNEUMONIA")
    assert (normal.films, ill.films) == (98, 100)
    assert (normal.flagged, ill.flagged) == (pytest.approx(flagged[0]), pytest.approx(flagged[1]))


COUNTS = st.lists(st.integers(0, 50), min_size=SCORE_BINS, max_size=SCORE_BINS)


@given(COUNTS, COUNTS)
def test_everything_drawn_lies_inside(first: list[int], second: list[int]) -> None:
    histogram = Histogram((Spread("a", tuple(first), None), Spread("b", tuple(second), None)))
    for drawing in histogram.spreads:
        heights = [float(y) for y in re.findall(r"V([\d.]+)h", histogram.outline(drawing))]
        assert len(heights) == SCORE_BINS
        assert all(0 <= y <= histogram.height for y in heights)
        largest = max(drawing.shares)
        assert min(heights) == pytest.approx(histogram.y(largest), abs=0.051)
        assert histogram.bars(drawing).count("M") == sum(count > 0 for count in drawing.counts)
    assert all(0 <= y < histogram.height for _, y in histogram.ticks())


def test_twice_as_high_is_four_times_as_many() -> None:
    histogram = Histogram((spread(0.5),))
    assert [histogram.y(share) for share in (0, 0.25, 1)] == [
        histogram.height,
        histogram.height / 2,
        0,
    ]


def text(made: Report) -> str:
    return words(Page(html_of(made).decode()).text)


def test_the_page_compares() -> None:
    said = text(report(result("a", 0.99), result("b", 0.5), result("c", 0.01), result("d", None)))
    assert "this run 3 66.7 % 33.3 %" in said
    assert "validation, NORMAL 98 20.0 % 36.7 %" in said
    assert "validation, PNEUMONIA 100 90.0 % 18.0 %" in said
    assert "This run is too small to show a shape: 3 scored films." in said
    assert "validation: nothing real." in said


def test_enough_films_show_a_shape() -> None:
    said = text(report(*(result(str(number), 0.9) for number in range(FEW))))
    assert "too small" not in said


def test_a_spec_without_validation_scores_is_said() -> None:
    said = text(report(result(), spec=replace(tiny_spec(), validation_scores=None)))
    assert "nothing to compare this run with" in said
    assert "(the model's spec has no scores of validation)" in said


def test_classes_may_have_any_name_and_number() -> None:
    bins = (1,) * SCORE_BINS
    scores = ScoreDistribution("three", {"<a>": bins, "b": bins, "c": bins})
    said = text(report(result(), spec=replace(tiny_spec(), validation_scores=scores)))
    assert "validation, <a> 20" in said
    assert "validation, c 20 not measured" in said
