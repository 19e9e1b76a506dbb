"""A night in a few figures."""

from __future__ import annotations

import json

import pytest

from cxr_edge.features import FEATURES, logit_of
from cxr_edge.report.summary import NightSummary, summarise
from cxr_edge.types import InputWarning, Reason
from tests.factories import report, result

LOOKS = (100.0, 40.0, 0.4, 0.0, 1e6, None)
FILMS = [
    result("a.png", 0.9, features=(*LOOKS, 0.0), warnings=(InputWarning.BLANK,), sha256="ab" * 32),
    result("b.png", 0.9, features=(*LOOKS, 0.0), sha256="ab" * 32, duplicate_of="a.png"),
    result("c.png", 0.5, features=(*LOOKS, 0.0), new=False),
    result("d.png", 0.1),
    result("e.png", None, reason=Reason.CORRUPT),
]


def test_identical_bytes_count_once() -> None:
    night = summarise(report(*FILMS))
    assert (night.films, night.flags, night.new_films, night.new_flags) == (3, 2, 2, 1)
    assert (night.counts.found, night.new) == (5, 4)
    assert (night.reasons, night.warnings) == ({"corrupt": 1}, {"blank": 1})
    assert (night.scores[0], night.scores[10], night.scores[-1]) == (0.1, 0.5, 0.9)


def test_features_are_of_the_films_that_have_them() -> None:
    features = summarise(report(*FILMS)).features
    assert features is not None
    assert features.films == 2
    assert set(features.quantiles) == {*FEATURES} - {"scope"}
    assert features.quantiles["logit"][-1] == pytest.approx(logit_of(0.9), rel=1e-5)


def test_a_night_without_a_film_has_a_summary_too() -> None:
    night = summarise(report())
    assert (night.films, night.scores, night.features) == (0, (), None)


def test_a_summary_comes_back() -> None:
    night = summarise(report(*FILMS))
    assert NightSummary.from_dict(json.loads(json.dumps(night.to_dict()))) == night
    with pytest.raises(ValueError, match="night"):
        NightSummary.from_dict({**night.to_dict(), "films": "3"})
