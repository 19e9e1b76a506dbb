"""A night that tells somebody: one line, too few films, what is left out, metrics, waiting."""

from __future__ import annotations

import os
import re
import signal
import stat
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from cxr_edge.cli import score as command
from cxr_edge.cli.terminal import Terminal
from cxr_edge.ledger import state
from cxr_edge.ledger.state import held
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import names_in, raising, write_tree


def test_a_bad_night_is_one_line(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("score", mixed, "--model", tiny, "--out", out, "-q")
    line = (
        "6 found, 6 new, 3 need attention (truncated 1, empty 1, unrecognised 1), 1 flagged, "
        f"2 unflagged; report: {out / 'triage.html'}\n"
    )
    assert (made.code, made.out, made.err) == (3, "", line)


def test_the_line_counts_what_is_new_and_gone(
    run: Run, mixed: Path, tiny: Path, tmp_path: Path
) -> None:
    options = ("--model", tiny, "--state", tmp_path / "state", "-q")
    run("score", mixed, *options, "--out", tmp_path / "one")
    (mixed / "wide.tif").unlink()
    (mixed / "empty.png").unlink()
    made = run("score", write_tree(mixed, {"late.jpg": b"x"}), *options, "--out", tmp_path / "two")
    assert made.err.startswith("5 found, 1 new, 2 gone, 3 need attention (")


def test_what_is_no_film_is_no_reason(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    write_tree(films, {"notes.txt": b"a text\n", "none.png": b""})
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "-q")
    assert ", 1 need attention (empty 1), " in made.err
    assert ", 1 no films; report: " in made.err
    assert run_values(out)["reasons"] == {"empty": 1}


@pytest.mark.parametrize(("at_least", "code"), [(3, 0), (4, 3)])
def test_fewer_films_than_every_night_has(
    at_least: int, code: int, run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    """A text is no film; the report is there all the same."""
    write_tree(films, {"notes.txt": b"a text\n"})
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "-q", "--at-least", at_least)
    assert made.code == code
    warning = "warning: films found: 3, fewer than --at-least 4: is the share mounted?\n4 found, "
    assert made.err.startswith(warning) if code else made.err == ""
    assert len(csv_rows(out)) == 4


def test_an_unmounted_share(run: Run, tiny: Path, tmp_path: Path) -> None:
    """An empty folder: 0 unless somebody has said how many films there are."""
    (tmp_path / "share").mkdir()
    options = ("score", tmp_path / "share", "--model", tiny, "-q")
    assert run(*options, "--out", tmp_path / "one").code == 0
    made = run(*options, "--out", tmp_path / "two", "--at-least", 1)
    assert (made.code, made.err.splitlines()[0]) == (
        3,
        "warning: films found: 0, fewer than --at-least 1: is the share mounted?",
    )


def test_what_is_excluded_is_counted(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    write_tree(mixed, {"@eaDir/a.jpg": b"preview"})
    out = tmp_path / "out"
    more = ("--exclude", "*.txt", "--exclude", "empty.*", "--exclude", "cut.jpg")
    made = run("score", mixed, "--model", tiny, "--out", out, *more)
    assert made.code == 0
    assert "\nleft out: 3 files by --exclude, 1 files in system folders\n" in made.err
    counts = run_values(out)["counts"]
    assert (counts["found"], counts["excluded"], counts["left_out"]) == (3, 3, 1)
    assert "--exclude: 3" in (out / "triage.html").read_text()


def test_an_empty_pattern_is_refused(run: Run, films: Path) -> None:
    assert run("score", films, "--exclude", "").code == 2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_SECONDS_BETWEEN_TRIES", 0.05)


def test_a_run_waits_for_another(
    run: Run, films: Path, tiny: Path, tmp_path: Path, impatient: None
) -> None:
    with ExitStack() as other:
        other.enter_context(held(tmp_path / "state", ["another"]))
        timer = threading.Timer(0.5, other.close)
        timer.start()
        began = time.monotonic()
        options = ("--model", tiny, "--out", tmp_path / "out", "--state", tmp_path / "state")
        made = run("score", films, *options, "--wait")
        timer.join()
    assert (made.code, time.monotonic() - began > 0.5) == (0, True)
    waited = f"note: waiting: another run holds {tmp_path / 'state'}: process "
    assert made.err.count(waited) == made.err.count("waiting") == 1


def test_a_signal_ends_the_wait(
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt_soon(*_: object) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(Terminal, "note", interrupt_soon)
    options = ("--model", tiny, "--out", tmp_path / "out", "--state", tmp_path / "state")
    with held(tmp_path / "state", ["another"]):
        made = run("score", films, *options, "--wait")
    assert (made.code, made.err.lstrip()) == (130, "error: interrupted; safe to run again\n")


def metric(path: Path, name: str) -> str:
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", path.read_text(), re.MULTILINE)
    return str(value)


def test_metrics_of_a_night(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "cxr-edge.prom"
    run("score", mixed, "--model", tiny, "--out", tmp_path / "out", "-q", "--metrics", file)
    assert metric(file, "cxr_edge_exit_code") == "3"
    assert metric(file, 'cxr_edge_films{band="attention"}') == "3"
    assert metric(file, 'cxr_edge_films_without_score{reason="truncated"}') == "1"
    assert abs(float(metric(file, "cxr_edge_last_success_timestamp_seconds")) - time.time()) < 60
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_metrics_that_nobody_would_collect(run: Run, films: Path, tmp_path: Path) -> None:
    made = run("score", films, "--metrics", tmp_path / "cxr-edge.txt")
    assert (made.code, "its name must end in .prom" in made.err) == (2, True)


def test_metrics_of_a_night_that_failed(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    """The time of the last success stays; nothing is told of films."""
    file = tmp_path / "cxr-edge.prom"
    options = ("score", films, "--model", tiny, "-q", "--metrics", file)
    success = "cxr_edge_last_success_timestamp_seconds"
    run(*options, "--out", tmp_path / "out")
    before = metric(file, success)
    assert run(*options, "--out", tmp_path / "few", "--at-least", 9).code == 3
    assert (metric(file, success), metric(file, "cxr_edge_exit_code")) == (before, "3")
    assert run(*options, "--out", tmp_path / "out").code == 2
    assert (metric(file, success), metric(file, "cxr_edge_exit_code")) == (before, "2")
    assert "cxr_edge_films" not in file.read_text()


def test_metrics_of_a_run_that_was_stopped(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cxr-edge.prom"
    monkeypatch.setattr(command, "scored", raising(SystemExit(143)))
    with pytest.raises(SystemExit):
        run("score", films, "--model", tiny, "--metrics", file)
    assert metric(file, "cxr_edge_exit_code") == "143"


def test_metrics_that_cannot_be_written(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    """A warning; the night goes on."""
    file, out = tmp_path / "not there" / "a.prom", tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "-q", "--metrics", file)
    warning = f"warning: the metrics could not be written to {file}: No such file or directory\n"
    assert (made.code, made.err) == (0, warning)
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]
