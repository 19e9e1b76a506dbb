"""The nights of a state folder: for people, for programs, and as a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cxr_edge.errors import InputError
from cxr_edge.ledger.run import STUDY
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.watch.history import History, read_history, table
from cxr_edge.watch.page import render_page, write_page
from cxr_edge.watch.plots import Plot, plots
from tests.watch.nights import add_night, add_plain_nights


def test_nights_come_in_order_and_studies_do_not_count(tmp_path: Path) -> None:
    names = add_plain_nights(tmp_path, 3)
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "study", [0.5], kind=STUDY)
    assert [night.run for night in read_history(tmp_path).nights] == names


def test_the_table(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "full", [0.9, 0.6, 0.1, 0.2])
        add_night(ledger, "empty", [])
    header, full, empty = table(read_history(tmp_path).nights)
    assert header.split()[:3] == ["run", "model", "threshold"]
    expected = "full tiny 1.0.0 0.500 4 4 0 2 2 0 4 0.500 (0.150 to 0.850) 0.40 2"
    assert " ".join(full.split()) == expected
    assert empty.split()[-3:] == ["-", "-", "2"]


def test_a_page_with_plots_and_no_script(tmp_path: Path) -> None:
    add_plain_nights(tmp_path, 3)
    history = read_history(tmp_path)
    write_page(history, tmp_path / "out")
    page = (tmp_path / "out" / "history.html").read_text()
    assert page.count("<svg viewBox") == len(plots(history.nights)) == 10
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert "NaN" not in page
    with pytest.raises(InputError, match="already exists"):
        write_page(history, tmp_path / "out")


@pytest.mark.parametrize("scores", [[], [0.3], [0.3, 0.3]], ids=len)
def test_a_page_of_few_films(scores: list[float], tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "few", scores)
        add_night(ledger, "none", [])
    assert b"<h2>Flag rate" in render_page(read_history(tmp_path))
    assert b"None has a report yet" in render_page(History((), ("broken",)))


def test_lines_break_where_a_night_has_no_film(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        for name, scores in {"1": [0.2], "2": [], "3": [0.4]}.items():
            add_night(ledger, name, scores)
    score = plots(read_history(tmp_path).nights)[2]
    assert re.sub(r"[\d. ]+", "", score.line(score.lines["median"])) == "MM"


def test_an_axis_says_when_and_no_share_below_nought(tmp_path: Path) -> None:
    add_plain_nights(tmp_path, 3)
    history = read_history(tmp_path)
    first, last = history.nights[0].started_utc[:10], history.nights[-1].started_utc[:10]
    page = render_page(history).decode()
    assert (f">{first}</text>" in page, f">{last}</text>" in page) == (True, True)
    flat = Plot("Border", "share of the area", {"median": [0.0, 0.0]})
    assert [label for label, _ in flat.ticks()] == ["0", "0.500", "1"]
    flat = Plot("Size", "pixels", {"median": [50176.0, 50176.0]})
    assert [label for label, _ in flat.ticks()] == ["0", "50,176", "100,352"]
