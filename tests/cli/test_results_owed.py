"""Results that did not come when they should have: the next run with results makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cxr_edge.errors import ReportError
from cxr_edge.hospital import results
from cxr_edge.types import FoundFile
from tests.cli.conftest import Run
from tests.factories import chest, write_tree
from tests.hospital.studies import FLAGGED, study
from tests.images.films import png

pytestmark = pytest.mark.filterwarnings("ignore:The value length")

Score = Callable[..., list[str]]


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {"1.dcm": study(1), "2.dcm": study(2)})


@pytest.fixture
def score(run: Run, incoming: Path, tiny: Path, tmp_path: Path) -> Score:
    """`score("monday", "--results")`: patients whose films got a result."""

    def scored(name: str, *options: str) -> list[str]:
        out = tmp_path / name
        made = run("score", incoming, "--model", tiny, "--out", out, "-q", *options)
        assert made.code == 0, made.err
        return sorted(str(dcmread(each).PatientID) for each in out.rglob("*.dcm"))

    return scored


@pytest.fixture
def killed(run: Run, incoming: Path, tiny: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs that end between their report and their results."""

    def end(*_: Any) -> None:
        raise ReportError("killed")

    def scored(name: str, *options: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cxr_edge.cli.score.write_results", end)
            command = ("score", incoming, "--model", tiny, "--results", "-q", *options)
            assert run(*command, "--out", tmp_path / name).code == 1

    return scored


@pytest.fixture
def headers_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose headers are read for results."""
    real, names = results._headers, []

    def headers(files: Sequence[FoundFile], *rest: Any) -> Any:
        names.extend(each.display for each in files)
        return real(files, *rest)

    monkeypatch.setattr(results, "_headers", headers)
    return names


def test_a_night_that_was_killed_before_its_results(
    score: Score, killed: Callable[..., None]
) -> None:
    killed("monday")
    assert score("tuesday", "--results") == ["PLANTED-ID-1", "PLANTED-ID-2"]
    assert score("wednesday", "--results") == []


def test_one_of_them_has_nights_without_results_behind_it(
    score: Score, killed: Callable[..., None], incoming: Path
) -> None:
    """What these have scored gets no result: nobody has asked for it."""
    killed("monday")
    write_tree(incoming, {"3.dcm": study(3)})
    assert score("tuesday") == []
    write_tree(incoming, {"4.dcm": study(4)})
    assert score("wednesday", "--results") == ["PLANTED-ID-1", "PLANTED-ID-2", "PLANTED-ID-4"]


def test_a_first_night_with_results_leaves_earlier_films_alone(
    score: Score, killed: Callable[..., None], incoming: Path
) -> None:
    """Whether it is killed or not."""
    assert score("monday") == []
    write_tree(incoming, {"3.dcm": study(3)})
    killed("tuesday")
    assert score("wednesday", "--results") == ["PLANTED-ID-3"]


def test_results_by_hand_pay(
    run: Run, score: Score, killed: Callable[..., None], tmp_path: Path
) -> None:
    killed("monday")
    assert run("results", "latest", "--out", tmp_path / "by hand", "-q").code == 0
    assert len(list((tmp_path / "by hand").rglob("*.dcm"))) == 2
    assert score("tuesday", "--results") == []


def test_the_run_of_a_study_reads_headers_of_new_films_alone(
    score: Score, incoming: Path, headers_read: list[str]
) -> None:
    """A film that can get no result is read once as well."""
    write_tree(incoming, {"none.png": png(chest())})
    options = ("--study", "--results")
    assert len(score("first", *options)) == 2
    headers_read.clear()
    write_tree(incoming, {"3.dcm": study(3)})
    assert score("second", *options) == ["PLANTED-ID-3"]
    assert headers_read == ["3.dcm"]


def test_the_run_of_a_study_that_was_killed(score: Score, killed: Callable[..., None]) -> None:
    killed("first", "--study")
    assert len(score("second", "--study", "--results")) == 2


def test_a_film_that_comes_again_and_says_something_else(score: Score, incoming: Path) -> None:
    """A receiver keeps other bytes beside the first ones; the PACS knows the first answer alone."""
    options = ("--study", "--results")
    assert len(score("first", *options)) == 2
    write_tree(incoming, {"again.dcm": study(1, chest(tilt=FLAGGED))})
    assert score("second", *options) == ["PLANTED-ID-1"]
    assert score("third", *options) == []


def test_a_film_that_comes_again_and_says_the_same(score: Score, incoming: Path) -> None:
    """An archive has written it anew, or compressed it."""
    options = ("--study", "--results")
    assert len(score("first", *options)) == 2
    write_tree(incoming, {"again.dcm": study(1, Manufacturer="An archive")})
    assert score("second", *options) == []
