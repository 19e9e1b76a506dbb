"""What a flag is worth at the site's prevalence: the right figures, in whole people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.report.worth import _in_people, worth
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import Proportion, predictive_shares
from tests.factories import context, html_of, report, result
from tests.tiny import tiny_spec

HALF = Proportion.of(50, 100)


def test_by_bayes() -> None:
    """Of 1,000 films 100 are ill: 90 are flagged, and of 900 healthy ones 180."""
    positive, negative = predictive_shares(0.9, 0.8, 0.1)
    assert positive == pytest.approx(90 / 270)
    assert negative == pytest.approx(720 / 730)


PEOPLE = {
    0.4: (4, 10),
    0.06: (1, 10),
    0.03: (3, 100),
    0.97: (97, 100),
    0.0004: (4, 10_000),
    0.99999: (10_000, 10_000),
    0.0: (0, 10_000),
}


@pytest.mark.parametrize("share", PEOPLE)
def test_shares_in_people(share: float) -> None:
    assert _in_people(share) == PEOPLE[share]


def test_nothing_is_said_without_a_prevalence_or_a_measurement() -> None:
    assert worth(context()) is None
    assert worth(context(prevalence=0.1, operating_point="custom", threshold=0.3)) is None
    text = html_of(report(result(), prevalence=0.1, operating_point="custom")).decode()
    assert "nobody can say what a flag is worth" in text


def test_films_that_did_not_set_the_threshold_are_believed_first() -> None:
    """The tiny model finds 0.9 of the ill and 0.8 of the others on validation."""
    found = worth(context(prevalence=0.1))
    assert found and (found.flagged, found.unflagged) == ((3, 10), (1, 100))
    area = Estimate(0.95, 0.91, 0.98, 196, 2000)
    tested = MeasuredSet("test_x", "0" * 64, {}, area, {"screening": Decisions(HALF, HALF, HALF)})
    other = worth(context(prevalence=0.1, spec=replace(tiny_spec(), evaluations=(tested,))))
    assert other and (other.sensitivity, other.data, other.flagged) == (0.5, "test_x", (1, 10))


def test_the_page_says_it_in_one_line() -> None:
    text = html_of(report(result(), prevalence=0.1)).decode()
    line = "At a prevalence of 10 % about 3 of 10 flagged films show pneumonia, "
    assert f"{line}and 1 of 100 of the others." in text
    assert "sensitivity 0.900 and specificity 0.800 on " in text
    assert "prevalence" not in html_of(report(result())).decode()
