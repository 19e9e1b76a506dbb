"""Readers' answers: taken back, merged, and what they say of the flags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxr_edge.errors import InputError, StateError
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.model.site_profile import Limits
from cxr_edge.watch import reads_job
from cxr_edge.watch.history import read_history
from cxr_edge.watch.reads import figures, table
from cxr_edge.watch.reads_file import read_answers
from tests.watch.answers import HEADER, answers
from tests.watch.nights import add_night

SCORES = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.3, 4: 0.2, 5: 0.1}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    with open_ledger(folder) as ledger:
        add_night(ledger, "night", [*SCORES.values()])
    return folder


def test_figures_by_hand(state: Path, tmp_path: Path) -> None:
    """One film unread in each half; the bounds are what those may be."""
    said = {0: "yes", 1: "no", 3: "yes", 4: "no"}
    file = answers(tmp_path / "reads.csv", "night", SCORES, said)
    assert reads_job.add(state, [file], None, ()) == 4
    found = reads_job.show(state)
    assert (found.confirmed, found.wrong, found.unread_flags) == (1, 1, 1)
    assert (found.missed, found.rest, found.unread_rest) == (1, 1, 1)
    assert found.ppv is not None
    assert (found.ppv.value, found.ppv.n) == (0.5, 2)
    assert found.sensitivity is not None
    assert (found.sensitivity.low, found.sensitivity.high) == (1 / 3, 2 / 3)
    assert {week: share.value for week, share in found.weeks.items()} == {"2026-W47": 0.5}
    assert (found.cusum, found.passed) == (None, ())
    assert any("verification bias" in line for line in table(found))


def test_readers_are_merged_and_a_later_answer_replaces(state: Path, tmp_path: Path) -> None:
    files = [
        answers(tmp_path / "1.csv", "night", SCORES, {0: "yes", 1: "yes", 2: "cannot tell"}),
        answers(tmp_path / "2.csv", "night", SCORES, {0: "yes", 1: "no"}, by="Jones"),
    ]
    reads_job.add(state, files, None, ())
    found = reads_job.show(state)
    assert (found.readers, found.films, found.undecided) == (("Jones", "Miller"), 3, 2)
    again = answers(tmp_path / "3.csv", "night", SCORES, {1: "no"})
    reads_job.add(state, [again], None, ())
    assert (reads_job.show(state).wrong, reads_job.show(state).undecided) == (1, 1)


def test_reads_of_another_state_are_refused_by_name(state: Path, tmp_path: Path) -> None:
    """All files or none."""
    good = answers(tmp_path / "good.csv", "night", SCORES, {0: "yes"})
    bad = answers(tmp_path / "bad.csv", "elsewhere", SCORES, {0: "yes"})
    with pytest.raises(InputError, match=r"bad\.csv is about run elsewhere, which is no night"):
        reads_job.add(state, [good, bad], None, ())
    with pytest.raises(InputError, match="nobody has read"):
        reads_job.show(state)
    bad.write_text(good.read_text().replace(",night", ",night").replace("0,night/", "9,night/9"))
    bad.write_text(good.read_text().replace(good.read_text().split(",")[10], "ee" * 32))
    with pytest.raises(InputError, match="run night has no film with the bytes of night/00000"):
        reads_job.add(state, [bad], None, ())


def test_a_state_without_a_ledger_gets_none(tmp_path: Path) -> None:
    file = answers(tmp_path / "reads.csv", "night", SCORES, {0: "yes"})
    with pytest.raises(StateError):
        reads_job.add(tmp_path / "nowhere", [file], None, ())
    assert not (tmp_path / "nowhere").exists()


def test_files_of_before_say_whether_readers_agree(tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    lines = ["rank,path,sha256,probability,flagged,read_by,agree"]
    lines += [f"1,a.png,ab,0.9,{flag},M,{agree}" for flag in ("true", "false") for agree in "yn"]
    file.write_text("\n".join(lines).replace(",y\n", ",yes\n").replace(",n", ",no") + "\n")
    file.write_text(file.read_text().replace(",y\n", ",yes\n"))
    with pytest.raises(InputError, match="give --run"):
        read_answers(file)
    assert [each.pneumonia for each in read_answers(file, "night")] == ["yes", "no", "no", "yes"]


BAD = {
    "no column": ("path,label\na,b\n", "columns missing: rank, sha256"),
    "no answer column": (
        "rank,path,sha256,probability,flagged,read_by\n",
        "columns missing: pneumonia",
    ),
    "another answer": (
        f"{HEADER}\n1,a,ab,0.9,true,M,perhaps,,night\n",
        "'perhaps', not yes, no or cannot",
    ),
    "no score": (f"{HEADER}\n1,a,ab,high,true,M,yes,,night\n", "line 2: could not convert"),
    "NaN": (f"{HEADER}\n1,a,ab,nan,true,M,yes,,night\n", "line 2: no answer about"),
    "no flag": (f"{HEADER}\n1,a,ab,0.9,WAHR,M,yes,,night\n", "flagged is 'WAHR'"),
    "short line": (f"{HEADER}\n1,a,ab\n", "line 2: another number of cells"),
    "long line": (f"{HEADER}\n1,a,ab,0.9,true,M,yes,,night,x\n", "another number of cells"),
    "empty": ("", "columns missing"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_file_that_makes_no_sense(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "reads.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_answers(file)


def test_spreadsheets_change_separators_and_names_stay_harmless(tmp_path: Path) -> None:
    file = tmp_path / "reads.csv"
    line = "1;a.png;ab;0.9;true;'=cmd()\x1b[2J;yes;;night"
    file.write_text(f"\ufeff{HEADER.replace(',', ';')}\r\n{line}\r\n", newline="")
    (reading,) = read_answers(file)
    assert reading.read_by == r"=cmd()\x1b[2J"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be used: it is not in UTF-8: save it as CSV"):
        read_answers(file)


@pytest.mark.parametrize(("share", "alarm"), [(0.2, False), (0.6, True)])
def test_more_wrong_flags_raise_the_running_sum(share: float, alarm: bool, tmp_path: Path) -> None:
    """After 50 flags of which one in five is wrong."""
    random = np.random.default_rng(0)
    scores = dict.fromkeys(range(120), 0.9)
    wrong = [number % 5 == 0 if number < 50 else random.random() < share for number in scores]
    said = {number: "no" if wrong[number] else "yes" for number in scores}
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "night", [*scores.values()])
    file = answers(tmp_path / "reads.csv", "night", scores, said)
    nights = {night.run: night for night in read_history(tmp_path).nights}
    found = figures(read_answers(file), nights, Limits())
    assert bool(found.passed) is alarm
    limited = figures(read_answers(file), nights, Limits(ppv=0.95, cusum=1e9))
    assert limited.passed == ("PPV is below 0.95, with its whole interval",)
    assert not figures(read_answers(file), nights, Limits(sensitivity=0.9, cusum=1e9)).passed


def test_missed_films_pass_a_limit_of_sensitivity(state: Path, tmp_path: Path) -> None:
    said = dict.fromkeys(range(3), "yes") | dict.fromkeys(range(3, 6), "yes")
    readings = read_answers(answers(tmp_path / "reads.csv", "night", SCORES, said))
    nights = {night.run: night for night in read_history(state).nights}
    assert figures(readings, nights, Limits(sensitivity=0.9)).passed == (
        "sensitivity is below 0.9, whatever the unread films are",
    )


def test_answers_about_earlier_films_leave_a_nights_own_unread(state: Path, tmp_path: Path) -> None:
    """A page lists the films of the night before as well."""
    with open_ledger(state) as ledger:
        add_night(ledger, "second", [*SCORES.values()], files_of="night", more=[0.4] * 4)
    said = dict.fromkeys((3, 4, 5), "no")
    file = answers(tmp_path / "reads.csv", "second", SCORES, said, files_of="night")
    reads_job.add(state, [file], None, ())
    assert reads_job.show(state).unread_rest == 4


def test_a_reader_has_one_vote_for_a_film_in_all_nights(state: Path, tmp_path: Path) -> None:
    with open_ledger(state) as ledger:
        add_night(ledger, "second", [*SCORES.values()], files_of="night")
    files = [
        answers(tmp_path / "1.csv", "night", SCORES, {3: "no", 0: "no"}),
        answers(tmp_path / "2.csv", "second", SCORES, {3: "yes", 0: "no"}, files_of="night"),
        answers(tmp_path / "3.csv", "night", SCORES, {0: "yes"}, by="Jones"),
    ]
    reads_job.add(state, files, None, ())
    found = reads_job.show(state)
    assert (found.films, found.missed, found.rest, found.undecided) == (2, 1, 0, 1)
