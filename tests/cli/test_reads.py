"""`cxr-edge reads`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr_edge.ledger.runs import open_ledger
from tests.cli.conftest import Run
from tests.watch.answers import answers
from tests.watch.nights import add_night


@pytest.mark.parametrize(("wrong_from", "code"), [(1000, 0), (60, 5)])
def test_a_limit_that_is_passed_exits_with_5(
    wrong_from: int, code: int, run: Run, tmp_path: Path
) -> None:
    state, scores = tmp_path / "state", dict.fromkeys(range(80), 0.9)
    state.mkdir(0o700)
    with open_ledger(state) as ledger:
        add_night(ledger, "night", [*scores.values()])
    said = {number: "no" if number >= wrong_from else "yes" for number in scores}
    file = answers(tmp_path / "reads.csv", "night", scores, said)
    made = run("reads", "add", file, "--state", state)
    assert (made.code, made.out, made.err) == (0, "answers recorded: 80\n", "")
    made = run("reads", "show", "--state", state)
    assert (made.code, made.err) == (code, "")
    assert ("passed: no limit" in made.out) == (code == 0)
    values = json.loads(run("reads", "show", "--state", state, "--json").out)
    assert values["confirmed"] == min(wrong_from, 80)
    assert run("reads", "add", file, "--state", tmp_path / "other").code == 1


def test_evaluate_takes_the_answers_for_labels(
    run: Run, tiny: Path, films: Path, tmp_path: Path
) -> None:
    """Films without an answer are listed as unlabelled."""
    table = tmp_path / "reads.csv"
    header = "rank,path,sha256,probability,flagged,read_by,pneumonia,comment,run"
    rows = ["bright.png,,,true,M,yes", "bright.png,,,true,J,yes", "sub/film.jpg,,,false,M,no"]
    rows += ["wide.tif,,,false,M,cannot tell"]
    lines = [f"{rank},{row},,night" for rank, row in enumerate(rows)]
    table.write_text("\n".join([header, *lines]) + "\n")
    out = tmp_path / "out"
    made = run("evaluate", films, "--labels", table, "--model", tiny, "--out", out, "-q")
    assert (made.code, made.err) == (0, "")
    counts = (out / "films.csv").read_text().splitlines()
    assert len(counts) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--limit", "ppv=0.2"), "give --propose-threshold"),
        (("--propose-threshold", "sensitivity=0.9", "--limit", "pvp=0.2"), "psi, ppv, sensitivity"),
        (("--propose-threshold", "sensitivity=0.9", "--limit", "ppv=2"), "--limit ppv=2 cannot"),
    ],
    ids=["no profile", "unknown", "no share"],
)
def test_limits_that_cannot_be_used(
    options: tuple[str, ...], message: str, run: Run, films: Path
) -> None:
    made = run("evaluate", films, *options)
    assert (made.code, message in made.err) == (2, True)
